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
//! 6. Leave to [`Sim::dice`] what may be this or that, and to [`Faults`] what may go wrong, and run it
//!    with many seeds.
//!
//! Sources of your own (timers, an inbox, streams of another protocol over [`Sim::listen`]) go onto
//! the loop by [`Sim::with`].
//!
//! # A timeout bug, found and repeated
//!
//! Who asks for news waits until there are some, and is told "none" by a sweep: every 5 s it answers
//! those whom the sweep before has seen. Nobody waits for more than 10 s; but the server was told that a
//! handler takes 8 s at most. Whoever comes within 2 s behind a sweep gets 504. A test that asks once,
//! at the beginning, passes. One that asks when the dice say so, in fifty runs, does not:
//!
//! ```
//! use std::time::Duration;
//! use trine::testing::Sim;
//! use trine::{Deferred, Reply, Request, Response, Sources};
//!
//! #[derive(Default)]
//! struct News {
//!     waiting: Vec<Deferred>,
//!     seen: Vec<Deferred>,
//! }
//!
//! fn ask(_: &Request<'_>, reply: Reply<'_>, news: &mut News) -> trine::Answered {
//!     let (deferred, answered) = reply.defer();
//!     news.waiting.push(deferred);
//!     answered
//! }
//!
//! fn sweep(news: &mut News) {
//!     let seen = std::mem::take(&mut news.waiting);
//!     for deferred in std::mem::replace(&mut news.seen, seen) {
//!         deferred.send(Response::text("none\n"));
//!     }
//! }
//!
//! fn run(seed: u64, limit: Duration) -> Result<(), String> {
//!     let mut sim = Sim::with_state(seed, News::default());
//!     let address = sim.serve(sim.server().handler_timeout(limit), ask);
//!     let swept = |events: &mut trine::EventLoop<News>, _: &mut News| {
//!         events.every(Duration::from_secs(5), |news, _, _| sweep(news))
//!     };
//!     sim.with(swept).map_err(|error| error.to_string())?;
//!     let mut dice = sim.dice(); // chance of the same seed
//!     sim.advance(Duration::from_millis(dice.below(20_000) as u64));
//!     let mut client = sim.connect(address);
//!     client.send("GET /news HTTP/1.1\r\nhost: x\r\n\r\n");
//!     let asked = sim.elapsed();
//!     sim.advance(Duration::from_secs(10));
//!     match client.reply().status() {
//!         200 => Ok(()),
//!         status => Err(format!("seed {seed}: {status}, asked at {asked:?}")),
//!     }
//! }
//!
//! let eight = Duration::from_secs(8);
//! let (seed, error) = (0..50)
//!     .find_map(|seed| Some((seed, run(seed, eight).err()?)))
//!     .expect("some seed finds it");
//! assert!(error.contains("504"));
//! // The seed is all that is needed to see it again, as often as it takes to understand it ...
//! assert_eq!(run(seed, eight), Err(error));
//! // ... and a limit beyond the longest wait mends it, for each of them.
//! for seed in 0..50 {
//!     run(seed, Duration::from_secs(11)).unwrap();
//! }
//! ```
//!
//! In a test of your own, write the seed that failed into a list, and run that list for ever.
//!
//! # Threads, disks and the wall clock
//!
//! Units with threads run on threads of the machine: [`Sim::workers`] is
//! [`HalfSyncHalfAsync`](crate::concurrency::HalfSyncHalfAsync), and [`Sim::storage`] is a
//! [`StorageUnit`](crate::storage::StorageUnit) over any store. There are no real threads: what those of
//! production do is written step by step, and the machine takes the same steps between the turns of the
//! loop. Between two steps a thread may be paused or hang ([`Faults::pauses`], [`Faults::vanishes`]).
//!
//! A store that does its I/O through a [`Disk`] meets disks that fail, and the loss of power; so does
//! the durable store of this crate:
//!
//! ```
//! # #[cfg(feature = "durable")] {
//! use std::time::Duration;
//! use trine::storage::durable::{Durable, Options};
//! use trine::storage::{Condition, Operation, Request as Job, StorageUnit, Submission, UnitOptions};
//! use trine::testing::{Disk, Faults, Sim};
//! use trine::{Answered, Reply, Request, Response};
//!
//! fn serve(sim: &mut Sim, disk: &Disk) -> std::net::SocketAddr {
//!     let disk = disk.clone();
//!     let store = Durable::open_on(move || Ok(disk.clone()), Options::default()).unwrap();
//!     let unit = sim.storage(Box::new(store), UnitOptions::default());
//!     let service = move |request: &Request<'_>, reply: Reply<'_>, (): &mut ()| -> Answered {
//!         let key = request.path().to_owned().into();
//!         let operation = match request.method_name() {
//!             "GET" => Operation::Get { key },
//!             _ => Operation::Put {
//!                 key,
//!                 value: request.body().to_vec().into(),
//!                 ttl: None,
//!                 condition: Condition::Any,
//!             },
//!         };
//!         let (deferred, answered) = reply.defer();
//!         match unit.submit(Job::new(operation)) {
//!             Submission::Queued(place) => place.answer(deferred, |outcome| {
//!                 Response::text(format!("{outcome:?}"))
//!             }),
//!             Submission::Done(outcome) => deferred.send(Response::text(format!("{outcome:?}"))),
//!         }
//!         answered
//!     };
//!     sim.serve(sim.server(), service)
//! }
//!
//! let mut sim = Sim::seeded(1);
//! let disk = sim.disk();
//! let address = serve(&mut sim, &disk);
//! let mut client = sim.connect(address);
//! client.send("PUT /k HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nkept");
//! sim.advance(Duration::from_secs(1));
//! assert!(client.reply().text().starts_with("Ok")); // acknowledged
//! disk.lose_power();
//!
//! let mut sim = Sim::seeded(2); // started again
//! let disk = sim.disk_with(disk.image_after_power_loss());
//! let address = serve(&mut sim, &disk);
//! let mut client = sim.connect(address);
//! client.send("GET /k HTTP/1.1\r\nhost: x\r\n\r\n");
//! sim.advance(Duration::from_secs(1));
//! assert!(client.reply().text().contains("kept"));
//! # }
//! ```
//!
//! The wall clock is set by [`Sim::set_wall_clock`], or by chance ([`Faults::wall_steps`]): dates and
//! alarms ([`Sources::at`](crate::Sources::at)) go by it, deadlines do not.
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
//! `tests/sim_suite` and `tests/sim_units` are larger examples: clients from a grammar, a model of what
//! each is owed, and a phase without faults at the end, in which everything has to end.
//!
//! # What is simulated, and what is not
//!
//! | of | simulated | not |
//! |---|---|---|
//! | time | the monotonic clock, the alarm, stalls; the wall clock, its steps and its alarms | |
//! | network | connections as byte pipes with bounded buffers, the queue of a listener, half-close, reset | latency, loss and windows of TCP, urgent data, Unix sockets, datagrams |
//! | epoll | edges, and that they come spurious, twice, late, in any order and for those who are gone | level triggers |
//! | errors | EAGAIN, EINTR, EMFILE, ECONNABORTED, ECONNRESET, EPIPE | the rarer ones of `accept` |
//! | signals | those of [`Sim::signal`] and of chance, if somebody asked for them: no handler is installed | who sent them |
//! | threads of units | the steps of workers and storage lanes, their order, pauses, hangs | two at the same moment: that is for `.ci/loom` |
//! | other threads | their wake-ups and answers arrive, but when is their luck | the threads themselves |
//! | disks | of stores that use [`Disk`]: EIO, ENOSPC, syncs that fail, delays, the loss of power | real files |
//! | descriptors | of sockets and alarms | real ones: a source with one is refused |
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
