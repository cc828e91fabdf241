//! A unified event-source runtime for Linux servers.
//!
//! One epoll loop for the three kinds of event a server handles: sockets, signals and timers. A
//! state-machine HTTP/1.1 server feeds on it, and pluggable storage sits behind it. No async, no
//! executor: plain `&mut` state, lent to every call. This page is the map of the house.
//!
//! # Two ways through the house
//!
//! ```text
//! event path   kernel -> reactor -> slab[token] -> EventSource::handle -> Next (what it waits for now)
//! data path    bytes in -> connection -> http parser -> Request -> Service -> Reply -> bytes out
//!                                                                    |          ^
//!                                                                    v          | Deferred, wake-up
//!                                                                  StorageUnit: queue, thread, store
//! ```
//!
//! Everything that can happen is an event for a source; what a source waits for next is returned,
//! not armed on the side.
//!
//! # Six ideas
//!
//! 1. **One event type.** Readiness, deadline, signal, wake-up, leftover work and drain arrive as
//!    [`Event`] through one [`handle`](EventSource::handle). A timer is a
//!    source without a descriptor.
//! 2. **Deadlines are returned, not armed.** [`Next::Until`] names the
//!    deadline; the loop keeps the timer. Nothing can forget to arm, re-arm or cancel, and a
//!    deadline that only moves later costs one store.
//! 3. **States in a line.** One enum with the data and the deadline inside each state; one request
//!    in flight a connection; pipelined bytes wait in the input buffer.
//! 4. **Sans-I/O core.** Parsers, connection and timer wheel are pure: bytes and ticks in,
//!    decisions out. They are tested in virtual time and fuzzed.
//! 5. **A request is answered exactly once, and the compiler knows.** A
//!    [`Service`] gets a [`Reply`] by value and must return the
//!    proof [`Answered`].
//! 6. **The module order is the architecture.** The list below is bottom-up; a module imports only
//!    from modules above it, and `tests/tidy.rs` checks that, and who may read the clock, touch a
//!    socket or start a thread.
//!
//! # Layers
//!
//! | layer | modules | may touch |
//! |---|---|---|
//! | ground | [`time`] [`slab`] [`buffer`] [`timer_wheel`] | memory |
//! | protocol | [`http`] (parsers, bodies, encoder), [`connection`] (sans-I/O server side) | memory |
//! | loop | [`reactor`] (sources, demultiplexer, timers, signals, wake-ups), [`proactor`] (operations and their completions) | epoll, clock, timerfd, signals, eventfd; io_uring, threads for files |
//! | restart | [`hand_over`] (listening sockets to a successor) | a Unix socket |
//! | units | [`service`] (the logic unit) | |
//! | concurrency | [`concurrency`] (request queue, worker pool, half-sync/half-async, leader/followers, loop per core) | threads |
//! | storage | [`storage`] (the storage unit) | disk, threads, the network to a cluster |
//! | ends | [`resp`] (the protocol of Redis), [`server`] (the I/O unit) | sockets, by the reactor |
//! | roles | `testing` (a simulated machine; feature `testing`) | memory |
//!
//! The loop knows no HTTP; the connection knows no socket; the service knows neither. A store knows
//! neither connections nor loops, and nothing in the library knows which one there is.
//!
//! # Where is ...?
//!
//! | what | where |
//! |---|---|
//! | the loop's turn: wait, control, I/O by class, deadlines, leftovers | `reactor/event_loop.rs` |
//! | how one event reaches its source, panics | `reactor/dispatch.rs`; the table: `reactor/core.rs`; a turn's phases: `reactor/phases.rs` |
//! | epoll and the timerfd | `reactor/demultiplexer.rs`; the seam to a virtual machine: `reactor/kernel.rs` |
//! | the simulated machine: clocks, network, faults | `reactor/simulated/`; its face, and disks: `testing/` |
//! | the clock | `reactor/clock.rs` |
//! | signals, the self-pipe | `reactor/signals.rs` |
//! | wake-ups from threads, and when they cost a system call; the bounded inbox | `reactor/waker.rs`, `reactor/bell.rs`; `reactor/inbox.rs` |
//! | accepting: limits, descriptors run out | `reactor/accept.rs` (states), `reactor/listener.rs` |
//! | connecting without waiting | `reactor/connector.rs` |
//! | TCP and Unix streams for other protocols | `reactor/stream.rs`, `reactor/stream_{source,pipe,host}.rs` |
//! | datagrams, children, any descriptor, periodic and wall-clock timers | `reactor/{datagram,child,descriptor,schedule,wall_alarm}.rs` |
//! | closures as sources (`every`, `tcp`, `udp`, `signals`, ...) | `reactor/sources.rs` |
//! | slow callbacks, counters | `reactor/watch.rs`, `reactor/metrics.rs` |
//! | operations and their completions; who may start what | `proactor/start.rs`; `proactor/table.rs` |
//! | the two drivers: over the reactor, and io_uring with all `unsafe` there is | `proactor/driver.rs`, `proactor/emulated/`, `proactor/ring/kernel.rs` |
//! | a loop that is stuck: the watchdog and what it reads | `reactor/watchdog.rs`, `reactor/heartbeat.rs`, `reactor/stall.rs` |
//! | the timer wheel | `timer_wheel/` |
//! | what is accepted and refused as HTTP, and the attacks | `http/mod.rs` |
//! | percent-decoding; the types of the `http` crate | `http/percent.rs`, `http/types.rs` |
//! | what is optional | `features.rs` |
//! | faults, and what proves that they are survived | `faults.rs`; drills from outside: `.ci/drills` |
//! | states and deadlines of a connection | `connection/state.rs`, `connection/config.rs` |
//! | bodies in pieces: what is asked when, marks, ends | `connection/streaming.rs`, `connection/exchange.rs`, `connection/supply.rs` |
//! | how and why connections end | `connection/ending.rs`, `connection/close_reason.rs` |
//! | answers from other threads; those of workers | `connection/deferred.rs`, `connection/detached.rs` |
//! | listening sockets passed to a successor: messages, states, sockets, sources | `hand_over/` |
//! | what systemd is told, and the sockets it opened; root dropped for good | `systemd/`, `privileges.rs` |
//! | what a drain finished and cut | `server/metrics.rs`, `server/host.rs` |
//! | new settings for a running server, SIGHUP | `server/reload.rs` |
//! | the model of a server as one value; a server of several loops, their limits, settings and counters | `server/models/` |
//! | connections that a team of threads runs; what the threads and their loop tell each other | `server/team/`, `server/driver/on_team.rs`; `server/team/ledger.rs` |
//! | the same by operations of the loop: who starts them, where the two meet | `server/team/{ferry,quay,carrier}.rs`, `server/driver/on_ferry.rs` |
//! | one loop accepts for all; connections that move between loops | `server/models/desk.rs`; `server/moving.rs`, `server/models/member.rs` |
//! | the quick way of a request that is answered at once | `connection/row.rs` |
//! | sockets moved for a connection | `server/driver.rs`; deadlines, drain: `server/driver/facts.rs` |
//! | a connection by operations: completions told as readiness, sends that take their time | `server/completions.rs`, `server/driver/on_proactor.rs`, `proactor/carriage.rs` |
//! | how each exchange went: noted, told, as a line of a log | `connection/journal.rs`, `server/{observer,served,access_line}.rs` |
//! | what can be set about a server, and whether it makes sense | `server/settings.rs` |
//! | overload: the rungs, which one it is, who makes room, what connections do | `server/{ladder,overload,sweep}.rs`, `server/driver/pressed.rs`, `connection/overload.rs` |
//! | bytes in buffers, counted; descriptors kept back | `buffer/meter.rs`, `connection/pools.rs`; `reactor/reserve.rs` |
//! | counters for Prometheus | `server/exposition.rs` |
//! | the service called, panics caught | `server/unit.rs` |
//! | the life of a connection: recorded, told | `server/recorder.rs`, `server/timeline.rs` |
//! | vectors in the parser | `http/block.rs` |
//! | the request queue | `concurrency/request_queue.rs` |
//! | the same service on threads that may wait | `concurrency/half_sync_half_async.rs` |
//! | leader/followers: the lead, the seats, what the leader has in hand | `concurrency/leader_followers/` |
//! | loop per core, and what the loops tell each other | `concurrency/loop_per_core.rs`, `concurrency/fellows.rs` |
//! | what the models of threads are built from | `sync.rs`, run by `.ci/loom` |
//! | mistakes on purpose, for the simulation to find | `planted.rs`, made by `.ci/sim` |
//! | threads; what they do, step by step; the pool of them | `thread.rs`, `concurrency/steps.rs`, `concurrency/worker_pool.rs` |
//! | the threads of a simulated machine | `concurrency/crew.rs` |
//! | storage: operations, faults, the traits of an adapter | `storage/{operation,fault,store}.rs` |
//! | storage: queues, threads, order of a key, reopening | `storage/{unit,place,lane,pending,health}.rs` |
//! | the memory store: what it weighs, what goes when it is full, time to live | `storage/memory/mod.rs` |
//! | the durable store: one file, one committer | `storage/durable/mod.rs` |
//! | the store for many writes: a journal and sorted files | `storage/fjall/mod.rs` |
//! | the suite that every store passes | `storage/conformance/mod.rs` |
//! | the checksum around each stored value; expiry, conditions, pages | `storage/envelope.rs`, `storage/rows.rs` |
//! | storage: Redis Cluster, and what an answer of it is worth | `storage/redis_cluster/mod.rs` |

// Without io_uring nobody can allow what `Cargo.toml` denies; with it, one file does, and
// `tests/tidy.rs` knows which.
#![cfg_attr(not(feature = "io-uring"), forbid(unsafe_code))]

#[cfg(not(target_os = "linux"))]
compile_error!("trine runs on Linux only: it is built on epoll, timerfd, eventfd and pidfd.");

mod sync;

mod thread;

mod unwind;

#[cfg(trine_planted)]
#[doc(hidden)]
pub mod planted;

pub mod time;

pub mod slab;

pub mod buffer;

pub mod timer_wheel;

pub mod http;

pub mod connection;

pub mod reactor;

pub mod proactor;

pub mod hand_over;

#[cfg(feature = "systemd")]
pub mod systemd;

#[cfg(feature = "privileges")]
pub mod privileges;

pub mod service;

pub mod concurrency;

pub mod storage;

pub mod resp;

pub mod server;

#[cfg(feature = "testing")]
pub mod testing;

pub mod features;

pub mod faults;

pub use connection::CloseReason;
pub use http::{Request, Response};
pub use reactor::{Context, Error, Event, EventLoop, EventSource, Next, Result, Signal, Sources};
pub use server::Server;
pub use service::{Answered, Deferred, Reply, Service};

/// The examples of the README are compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
