//! The client: writes constant requests, counts the octets that come back, looks at none of them.
//!
//! It must cost less than what it drives. So it is one epoll, edge-triggered, and an answer is thrown
//! away in the kernel (`MSG_TRUNC`, tcp(7)): a read, a write, and a look at the clock for each batch.
//! That the answers are right is another file's business (`verify.rs`), before and after; here each
//! must have as many octets as that one had, and none may be missing or too many at the end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, set_tcp_nodelay};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::workload::{Lives, Workload};

/// A server that has nothing to say for so long has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a wait for answers lasts before the clock is looked at.
const TURN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};
/// More than any batch of answers has.
const INPUT_OCTETS: usize = 64 * 1024;
/// Idle connections that are opened at once: fewer than any queue of a listening socket holds.
const OPENED_AT_ONCE: usize = 64;

/// Times from a batch's first octet sent to its last received, in nanoseconds, to a hundredth.
pub type Times = Histogram<u64>;

/// An empty one.
///
/// # Panics
///
/// Never: its bounds are in order.
#[must_use]
pub fn times() -> Times {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 2).expect("the bounds are in order")
}

struct Link {
    socket: OwnedFd,
    /// Octets of answers that have not come; 0 only for a connection that ends.
    missing: usize,
    asked: Instant,
}

/// Its connections, each with a batch under way.
pub struct Client<'a> {
    address: SocketAddr,
    workload: &'a Workload,
    answer_octets: usize,
    batch: Vec<u8>,
    epoll: OwnedFd,
    links: Vec<Option<Link>>,
    idle: Vec<OwnedFd>,
    events: Vec<Event>,
    input: Vec<u8>,
    answered: u64,
    times: Times,
    /// Whether a connection that has its answers asks again.
    asks: bool,
}

impl<'a> Client<'a> {
    /// Connects, lets the idle connections have an answer each, and sends the first batches.
    ///
    /// # Errors
    ///
    /// When the server refuses or closes a connection, or is silent.
    pub fn connect(
        address: SocketAddr,
        workload: &'a Workload,
        answer_octets: usize,
    ) -> io::Result<Client<'a>> {
        let mut client = Client {
            address,
            workload,
            answer_octets,
            batch: workload.request().repeat(workload.depth),
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            links: Vec::new(),
            idle: Vec::new(),
            events: Vec::with_capacity(1024),
            input: vec![0; INPUT_OCTETS],
            answered: 0,
            times: times(),
            asks: true,
        };
        while client.idle.len() < workload.idle {
            let more = OPENED_AT_ONCE.min(workload.idle - client.idle.len());
            client.open_idle(more)?;
        }
        client.links.resize_with(workload.connections, || None);
        for place in 0..workload.connections {
            client.open(place)?;
        }
        Ok(client)
    }

    /// Asks for `span`, and forgets what was counted before. How many answers came, and in what times.
    ///
    /// # Errors
    ///
    /// When the server closes a connection, is silent, or says more than it was asked.
    pub fn run(&mut self, span: Duration) -> io::Result<(u64, &Times)> {
        self.times.clear();
        let (before, began) = (self.answered, Instant::now());
        while began.elapsed() < span {
            self.turn()?;
        }
        Ok((self.answered - before, &self.times))
    }

    /// Waits for what is under way and asks no more; then looks whether the idle connections are there.
    ///
    /// # Errors
    ///
    /// As [`run`](Client::run), and when an idle connection was closed or has been sent anything.
    pub fn finish(mut self) -> io::Result<()> {
        self.asks = false;
        // One that lives once has ended when the server has closed it, not before.
        let ends = self.workload.lives == Lives::Once;
        while self
            .links
            .iter()
            .flatten()
            .any(|link| ends || link.missing > 0)
        {
            self.turn()?;
        }
        let flags = RecvFlags::DONTWAIT;
        let rest = self.links.iter().flatten().map(|link| &link.socket);
        for socket in rest.chain(&self.idle) {
            match net::recv(socket, &mut self.input[..], flags) {
                Err(Errno::AGAIN) => {}
                Ok((_, 0)) => return Err(broken("it closed a connection that was idle")),
                Ok(_) => return Err(broken("it said more than it was asked")),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reacts to what comes until at least one answer is whole.
    fn turn(&mut self) -> io::Result<()> {
        let before = self.answered;
        let began = Instant::now();
        while self.answered == before {
            self.events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&TURN)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for number in 0..self.events.len() {
                let event = self.events[number];
                let place = event.data.u64() as usize;
                match self.workload.lives {
                    Lives::Stays => self.receive(place)?,
                    Lives::Once => self.receive_last(place, event.flags)?,
                }
            }
            if began.elapsed() > PATIENCE {
                return Err(broken("it was silent for 5 s"));
            }
        }
        Ok(())
    }

    /// Takes what came; asks again when that was all.
    fn receive(&mut self, place: usize) -> io::Result<()> {
        let Some(link) = &mut self.links[place] else {
            return Ok(());
        };
        match take(link, &mut self.input)? {
            Some(0) => return Err(broken("it closed a connection that was to stay")),
            Some(_) if link.missing == 0 => {}
            _ => return Ok(()),
        }
        let now = Instant::now();
        self.times
            .saturating_record((now - link.asked).as_nanos() as u64);
        self.answered += self.workload.depth as u64;
        if self.asks {
            link.asked = now;
            link.missing = self.answer_octets * self.workload.depth;
            send(&link.socket, &self.batch)?;
        }
        Ok(())
    }

    /// Takes what came; when the server has closed after its answer, another connection begins.
    fn receive_last(&mut self, place: usize, flags: EventFlags) -> io::Result<()> {
        let Some(link) = &mut self.links[place] else {
            return Ok(());
        };
        let mut got = take(link, &mut self.input)?;
        let closed = EventFlags::RDHUP | EventFlags::HUP;
        if flags.intersects(closed) && got.is_some_and(|octets| octets > 0) {
            got = take(link, &mut self.input)?; // the end came with the answer
        }
        if got != Some(0) {
            return Ok(());
        }
        if link.missing > 0 {
            return Err(broken("it closed a connection before its answer was whole"));
        }
        let took = link.asked.elapsed();
        self.times.saturating_record(took.as_nanos() as u64);
        self.answered += 1;
        self.links[place] = None;
        if self.asks {
            self.open(place)?;
        }
        Ok(())
    }

    fn open(&mut self, place: usize) -> io::Result<()> {
        let asked = Instant::now();
        let socket = connect(self.address)?;
        let data = EventData::new_u64(place as u64);
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &socket, data, flags)?;
        send(&socket, &self.batch)?;
        self.links[place] = Some(Link {
            socket,
            missing: self.answer_octets * self.workload.depth,
            asked,
        });
        Ok(())
    }

    fn open_idle(&mut self, count: usize) -> io::Result<()> {
        let first = self.idle.len();
        for _ in 0..count {
            let socket = connect(self.address)?;
            send(&socket, self.workload.request())?;
            self.idle.push(socket);
        }
        for socket in &self.idle[first..] {
            let answer = &mut self.input[..self.answer_octets];
            let (_, got) = net::recv(socket, answer, RecvFlags::WAITALL)?;
            if got < self.answer_octets {
                return Err(broken("it closed a connection before its answer was whole"));
            }
        }
        Ok(())
    }
}

/// Throws away what came; how many octets, 0 at the end, `None` if nothing.
fn take(link: &mut Link, input: &mut [u8]) -> io::Result<Option<usize>> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    match net::recv(&link.socket, input, flags) {
        Ok((_, got)) if got > link.missing => Err(broken("it said more than it was asked")),
        Ok((_, got)) => {
            link.missing -= got;
            Ok(Some(got))
        }
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Sends all at once: a batch is far smaller than the buffer of a socket.
fn send(socket: &OwnedFd, octets: &[u8]) -> io::Result<()> {
    match net::send(socket, octets, SendFlags::NOSIGNAL)? {
        sent if sent == octets.len() => Ok(()),
        _ => Err(broken("it did not take a batch of requests")),
    }
}

fn connect(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = AddressFamily::INET;
    let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?; // of the connect, too
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    set_tcp_nodelay(&socket, true)?;
    net::connect(&socket, &address)?;
    Ok(socket)
}

fn broken(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}
