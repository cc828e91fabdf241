//! The floor: reads, never parses, writes a constant. One epoll a thread, edge-triggered; no server
//! of HTTP can do with less of the kernel than this, so the others are given as ratios to it.
//!
//! `floor ADDRESS REQUEST_OCTETS keep|close THREADS`: it answers as many times as REQUEST_OCTETS have
//! come, and closes after an answer or does not. Each thread has a listening socket of its own.

use std::env::args;
use std::error::Error;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use trine_compare::constants::ANSWER;

/// Answers in one write at most; a client that has more of them under way gets several.
const BATCH: usize = 64;
const LISTENER: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Floor {
    address: SocketAddr,
    request_octets: usize,
    closes: bool,
}

struct Link {
    socket: OwnedFd,
    /// Octets of a request that is not whole.
    rest: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = args().skip(1).collect();
    let [address, request_octets, keep, threads] = &arguments[..] else {
        return Err("floor ADDRESS REQUEST_OCTETS keep|close THREADS".into());
    };
    let floor = Floor {
        address: address.parse()?,
        request_octets: request_octets.parse()?,
        closes: keep == "close",
    };
    for _ in 1..threads.parse()? {
        thread::spawn(move || floor.run().expect("the first thread could"));
    }
    Ok(floor.run()?)
}

impl Floor {
    fn run(self) -> rustix::io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let family = AddressFamily::INET;
        let listener = net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseport(&listener, true)?;
        net::bind(&listener, &self.address)?;
        net::listen(&listener, 1024)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, data, EventFlags::IN)?;
        let answers = ANSWER.repeat(BATCH);
        let mut input = vec![0; 64 * 1024];
        // By descriptor, the cheapest of tables.
        let mut links: Vec<Option<Link>> = Vec::new();
        let mut events = Vec::with_capacity(1024);
        loop {
            events.clear();
            match epoll::wait(&epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            for event in &events {
                let data = event.data.u64();
                if data == LISTENER {
                    accept(&epoll, &listener, &mut links)?;
                    continue;
                }
                let place = &mut links[data as usize];
                let stays = place
                    .as_mut()
                    .is_some_and(|link| self.answer(link, &mut input, &answers).unwrap_or(false));
                if !stays {
                    *place = None;
                }
            }
        }
    }

    /// One read, and the answers to it. Whether the connection stays.
    fn answer(
        &self,
        link: &mut Link,
        input: &mut [u8],
        answers: &[u8],
    ) -> rustix::io::Result<bool> {
        let got = match net::recv(&link.socket, input, RecvFlags::empty()) {
            Ok((_, 0)) => return Ok(false),
            Ok((_, got)) => got,
            Err(Errno::AGAIN) => return Ok(true),
            Err(error) => return Err(error),
        };
        let octets = link.rest + got;
        link.rest = octets % self.request_octets;
        let mut due = octets / self.request_octets;
        let whole = due > 0;
        while due > 0 {
            let now = due.min(BATCH);
            let octets = &answers[..now * ANSWER.len()];
            if net::send(&link.socket, octets, SendFlags::NOSIGNAL)? < octets.len() {
                return Ok(false); // a client that does not read is none of ours
            }
            due -= now;
        }
        Ok(!(self.closes && whole))
    }
}

fn accept(
    epoll: &OwnedFd,
    listener: &OwnedFd,
    links: &mut Vec<Option<Link>>,
) -> rustix::io::Result<()> {
    loop {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = match net::accept_with(listener, flags) {
            Ok(socket) => socket,
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::CONNABORTED) => continue,
            Err(error) => return Err(error),
        };
        sockopt::set_tcp_nodelay(&socket, true)?;
        let place = socket.as_raw_fd() as usize;
        if links.len() <= place {
            links.resize_with(place + 1, || None);
        }
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(
            epoll,
            socket.as_fd(),
            EventData::new_u64(place as u64),
            flags,
        )?;
        links[place] = Some(Link { socket, rest: 0 });
    }
}
