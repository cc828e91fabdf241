//! A machine in memory for the whole loop: a clock that moves when the loop sleeps, a network of
//! byte pipes, signals that are only said, and faults from a seed.
//!
//! It stands below the loop's one seam, [`Kernel`](super::kernel::Kernel), and below the loop's own
//! sockets (`net.rs`); everything above them is the code that runs in production. Built for tests,
//! and with the feature `testing`, whose module `testing` is its public face.
//!
//! ```text
//!   Server, streams ── Stream, StreamListener ──> SimulatedSocket ──┐
//!   EventLoop ──────── Kernel::Simulated ───────────────────────────┼── Network ── World
//!   testing::Sim, Client ───────────────────────────────────────────┘
//! ```
//!
//! All of them share one [`Network`], behind a mutex that nobody holds while he calls somebody: a
//! [`Stream`](super::Stream) may be moved between threads, whatever it stands on.

mod calls;
mod clients;
mod connection;
mod dice;
mod faults;
mod kernel;
mod machine;
mod trace;
mod wall;
mod witness;
mod world;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::base::Base;
use super::core::Core;
use super::event_loop::EventLoop;
use super::kernel::{Batch, Kernel};
use super::net::StreamListener;
use super::peer::Peer;
use super::source::{Event, Next, Readiness};
use crate::slab::Token;
use world::World;

pub use clients::Ends;
pub use connection::Moments;
pub use dice::Dice;
pub use faults::Faults;

/// The machine, shared by the loop on it, its sockets and its clients.
#[derive(Clone, Debug)]
pub struct Network {
    world: Arc<Mutex<World>>,
    /// What a simulated socket shows to who asks for its descriptor; nothing ever happens to it.
    stand_in: Arc<OwnedFd>,
}

impl Network {
    /// A machine that `seed` decides, without faults.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left for the one that stands for all simulated ones.
    pub fn new(seed: u64) -> io::Result<Network> {
        Ok(Network {
            world: Arc::new(Mutex::new(World::new(seed))),
            stand_in: Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?),
        })
    }

    /// Nothing that is done under the lock panics half-way.
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A listener, and where clients find it.
    pub fn listen(&self) -> (StreamListener, SocketAddr) {
        let (number, address) = self.lock().listen();
        let socket = SimulatedSocket {
            network: self.clone(),
            number,
        };
        (StreamListener::simulated(socket), address)
    }

    /// An event loop on this machine.
    ///
    /// # Errors
    ///
    /// None that are known: nothing of the real machine is asked for.
    pub fn event_loop<S: 'static>(&self) -> io::Result<EventLoop<S>> {
        let base = Base::new(Kernel::Simulated(self.clone()))?;
        Ok(EventLoop::over(base, Batch::Simulated(Vec::new())))
    }
}

/// What [`Kernel`] asks of the machine.
impl Network {
    pub(super) fn nanos(&self) -> u64 {
        self.lock().nanos
    }

    pub(super) fn wall(&self) -> SystemTime {
        self.lock().wall()
    }

    pub(super) fn wait(&self, events: &mut Vec<(Token, Readiness)>, sleep: bool) {
        self.lock().wait(events, sleep);
    }

    pub(super) fn arm(&self, nanos: u64) {
        self.lock().alarm = Some(nanos);
    }

    pub(super) fn register(&self, number: u32, token: Token) {
        self.lock().register(number, token);
    }

    pub(super) fn deregister(&self, number: u32) {
        self.lock().deregister(number);
    }

    pub(super) fn expect_signal(&self, number: i32) {
        let world = &mut *self.lock();
        if !world.expected.contains(&number) {
            world.expected.push(number);
        }
    }

    /// The signals that were sent since the last call.
    pub(super) fn take_signals(&self) -> Vec<i32> {
        std::mem::take(&mut self.lock().signals)
    }

    fn dispatched(&self, token: Token, event: Event) {
        let world = &mut *self.lock();
        let code = match event {
            Event::Ready(_) => 1,
            Event::Deadline => 2,
            Event::Signal(_) => 3,
            Event::Woken => 4,
            Event::Resumed => 5,
            Event::Drain => 6,
            Event::Completed(_) => 7,
        };
        world.note(trace::Mark::Dispatched, token.to_bits(), code);
        let due = world.due();
        world.witness.dispatched(token, event, due);
    }
}

/// Where the loop tells what it does, for the witness and the trace.
impl<S> Core<S> {
    pub(super) fn witness_dispatch(&self, token: Token, event: Event) {
        if let Kernel::Simulated(network) = &self.base.kernel {
            network.dispatched(token, event);
        }
    }

    pub(super) fn witness_answer(&self, token: Token, next: Next) {
        if let Kernel::Simulated(network) = &self.base.kernel {
            network.lock().witness.answered(token, next);
        }
    }
}

/// One descriptor of a simulated machine; closed when it is dropped.
#[derive(Debug)]
pub struct SimulatedSocket {
    network: Network,
    number: u32,
}

/// As the calls of the kernel that have these names.
impl SimulatedSocket {
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.network.lock().read(self.number, buffer)
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.network.lock().write(self.number, bytes)
    }

    pub(super) fn shutdown_write(&self) -> Result<(), Errno> {
        self.network.lock().shutdown_write(self.number)
    }

    pub(super) fn abort_on_close(&self) {
        self.network.lock().abort_on_close(self.number);
    }

    pub(super) fn accept(&self) -> Result<(SimulatedSocket, Peer), Errno> {
        let (number, address) = self.network.lock().accept(self.number)?;
        let socket = SimulatedSocket {
            network: self.network.clone(),
            number,
        };
        Ok((socket, Peer::Network(address)))
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.network.lock().has_waiting(self.number)
    }

    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        self.network.lock().address_of(self.number)
    }
}

impl AsFd for SimulatedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.network.stand_in.as_fd()
    }
}

impl Drop for SimulatedSocket {
    fn drop(&mut self) {
        self.network.lock().close(self.number);
    }
}
