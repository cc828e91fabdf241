//! Test your own service under virtual time, and on a network that does its worst (feature
//! `testing`).
//!
//! A [`Sim`] is a machine in memory with one event loop on it: the loop, the timer wheel, the server
//! and the connections are those that run in production; only the clock, the wait and the sockets
//! are others. An hour passes in microseconds, and the same seed does the same again.
//!
//! ```
//! use std::time::Duration;
//! use trine::Response;
//! use trine::service::respond;
//! use trine::testing::Sim;
//!
//! let mut sim = Sim::seeded(1);
//! let server = sim.server().idle_timeout(Duration::from_secs(75));
//! let address = sim.serve(server, respond(|_| Response::text("ok")));
//! let mut client = sim.connect(address);
//! client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
//! assert_eq!(client.reply().status(), 200);
//! sim.advance(Duration::from_secs(74));
//! assert!(client.is_open());
//! sim.advance(Duration::from_secs(1));
//! assert!(!client.is_open());
//! ```
//!
//! # How to test a service
//!
//! 1. Make a [`Sim`]: [`Sim::seeded`], or [`Sim::with_state`] for a service that is lent a state.
//! 2. Give it a server: [`Sim::server`] has every setting of a real one.
//! 3. Let clients [connect](Sim::connect), [send](Client::send) whatever bytes you like, in pieces
//!    or whole, and look at the [replies](Client::reply). A client takes what comes as it comes;
//!    [`Client::pause`] makes one that does not.
//! 4. Let time pass by [`Sim::advance`]: it goes from timer to timer, so `advance(9 s)` is nine
//!    times `advance(1 s)`. No time passes otherwise.
//! 5. Drain by [`Sim::signal`], and look at [`Sim::outcome`].
//!
//! Sources of your own (timers, an inbox, streams of another protocol over [`Sim::listen`]) go onto
//! the loop by [`Sim::with`].
//!
//! # Faults, seeds and replays
//!
//! [`Faults`] say what goes wrong, and how often: none at first. With them on, run the same test
//! with many seeds; each is another order of events, and other luck:
//!
//! ```
//! use trine::Response;
//! use trine::service::respond;
//! use trine::testing::{Faults, Sim};
//!
//! for seed in 0..50 {
//!     let mut sim = Sim::seeded(seed);
//!     sim.set_faults(Faults::lossless());
//!     let address = sim.serve(sim.server(), respond(|_| Response::text("ok")));
//!     let mut client = sim.connect(address);
//!     client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
//!     sim.advance(std::time::Duration::from_secs(5));
//!     assert_eq!(client.reply().status(), 200);
//! }
//! ```
//!
//! A test that fails prints the seed and the step (the number of waits of the loop). The same seed
//! takes the same steps; [`Sim::trace`] is a hash over every event that was dispatched, every byte
//! that was moved and every alarm, to make sure of it. What it cannot see is chance and time that the
//! service takes from elsewhere: a hash map's order, the real clock, threads.
//!
//! After each turn the simulation looks whether the loop kept its word, and panics if not: no event
//! for a source that is gone or for its successor, no deadline that nobody asked for, none early,
//! none more than a tick late except for time the clock jumped over.
//!
//! # What is simulated, and what is not
//!
//! | of | simulated | not |
//! |---|---|---|
//! | time | the monotonic and the wall clock, the alarm, stalls | steps of the wall clock |
//! | network | connections as byte pipes with bounded buffers, the queue of a listener, half-close, reset | latency, loss and windows of TCP, urgent data, Unix sockets, datagrams |
//! | epoll | edges, and that they come spurious, twice, late, in any order and for those who are gone | level triggers |
//! | errors | EAGAIN, EINTR, EMFILE, ECONNABORTED, ECONNRESET, EPIPE | the rarer ones of `accept` |
//! | signals | those sent by [`Sim::signal`]: no handler is installed | who sent them |
//! | threads | wake-ups and answers from other threads arrive, but when is their luck | the threads themselves |
//! | descriptors | of sockets | real ones: a source with one is refused |
//!
//! A machine takes one real descriptor, which stands for all the simulated ones.

mod answer;
mod client;
mod disk;
mod machine;
mod sim;

pub use crate::reactor::simulated::{Dice, Ends, Faults, Moments};
pub use answer::Answer;
pub use client::Client;
pub use disk::Disk;
pub use sim::Sim;
