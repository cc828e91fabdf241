//! Ten thousand peers on one UDP socket, each with a deadline of its own.
//!
//! Loops for datagram protocols look for the earliest of all deadlines before every wait, and when
//! one has passed, ask every connection. Here a peer is a source without a descriptor: it
//! returns the tick it waits for, and is called then, or when a datagram moved the deadline. The
//! wheel does either in O(1), and a deadline that moves later costs no system call.
//!
//! A datagram is `peer milliseconds`: keep this peer for so long. `?` asks how many there are.

mod support;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use support::{Example, Timeline, terminate};
use trine::reactor::{Context, Datagram, Event, EventSource, Histogram, Metrics, Next};
use trine::slab::Token;
use trine::time::Tick;
use trine::{EventLoop, Signal, Sources};

const PEERS: u32 = 10_000;
/// Anybody can send datagrams: what they make the server remember has a bound.
const PEERS_MAX: usize = 100_000;
/// Datagrams on their way at one time: the kernel drops what its buffer has no room for.
const WINDOW: usize = 64;

struct Peers {
    by_id: HashMap<u32, Token>,
    /// One moment by the system's clock and by the loop's, to check the one by the other.
    began: (Instant, Tick),
    created: u64,
    refreshed: u64,
    expired: u64,
    early: u64,
    /// In milliseconds.
    lateness: Histogram,
}

impl Peers {
    fn expire(&mut self, peer: &Peer) {
        let (instant, tick) = self.began;
        let due = instant + Duration::from(peer.until.since(tick));
        let now = Instant::now();
        self.early += u64::from(now < due);
        let late = now.saturating_duration_since(due);
        self.lateness.record(late.as_millis() as u64);
        self.expired += 1;
        self.by_id.remove(&peer.id);
    }
}

struct Peer {
    id: u32,
    until: Tick,
    /// What the loop was told. When `until` has moved since, the deadline before it may still come.
    told: Tick,
}

impl EventSource<Peers> for Peer {
    fn handle(&mut self, event: Event, peers: &mut Peers, _: &mut Context<'_, Peers>) -> Next {
        match event {
            Event::Deadline if self.told == self.until => {
                peers.expire(self);
                Next::Close
            }
            Event::Drain => Next::Close,
            _ => {
                self.told = self.until; // new, or the deadline moved
                Next::Until(self.until)
            }
        }
    }
}

fn received(peers: &mut Peers, datagram: Datagram<'_>, cx: &mut Context<'_, Peers>) {
    let text = std::str::from_utf8(datagram.bytes).unwrap_or("").trim();
    if text == "?" {
        let _ = datagram.reply(peers.by_id.len().to_string().as_bytes()); // lost, as datagrams are
        return;
    }
    let numbers = text.split_once(' ');
    let numbers = numbers.and_then(|(id, keep)| Some((id.parse().ok()?, keep.parse().ok()?)));
    let Some((id, keep)) = numbers else {
        return; // not for us
    };
    if peers.by_id.len() == PEERS_MAX && !peers.by_id.contains_key(&id) {
        return; // no room, and no answer
    }
    keep_peer(peers, id, Duration::from_millis(keep), cx);
    let _ = datagram.reply(b"kept");
}

fn keep_peer(peers: &mut Peers, id: u32, keep: Duration, cx: &mut Context<'_, Peers>) {
    let until = cx.after(keep);
    if let Some(&token) = peers.by_id.get(&id) {
        if let Some(peer) = cx.source_mut::<Peer>(token) {
            peer.until = until;
            cx.resume(token);
            peers.refreshed += 1;
        }
        return;
    }
    let told = Tick::NEVER;
    match cx.insert(Peer { id, until, told }) {
        Ok(token) => peers.by_id.insert(id, token),
        Err(_) => return, // the table of sources is full
    };
    peers.created += 1;
}

fn main() -> trine::Result<ExitCode> {
    let about = "Ten thousand peers on one UDP socket, each with a deadline of its own.";
    let example = Example::from_arguments(about, "127.0.0.1:4433");
    let mut event_loop = EventLoop::new()?;
    let address = event_loop.udp(example.listen, received)?;
    event_loop.drain_on_signals([Signal::TERM, Signal::INT], Duration::ZERO)?;

    example.begin(Some(address), demo);
    let mut peers = Peers {
        by_id: HashMap::new(),
        began: (Instant::now(), event_loop.context().now()),
        created: 0,
        refreshed: 0,
        expired: 0,
        early: 0,
        lateness: Histogram::default(),
    };
    event_loop.run(&mut peers)?;

    if example.is_demo() {
        report(&peers, event_loop.metrics(), &example.timeline);
    }
    Ok(example.verdict())
}

fn report(peers: &Peers, metrics: &Metrics, timeline: &Timeline) {
    let Peers {
        created,
        refreshed,
        expired,
        early,
        ..
    } = *peers;
    let says = format!("{created} created, {refreshed} refreshed, {expired} expired");
    timeline.check(created >= PEERS.into() && expired == created, says);
    timeline.check(early == 0, format_args!("{early} before their deadline"));
    for (most, count) in peers.lateness.buckets() {
        timeline.note(format_args!("at most {most:3} ms late: {count}"));
    }
    let (set, moved) = (metrics.timer_sets, created + refreshed);
    timeline.note(format_args!(
        "{moved} deadlines chosen, the timerfd set {set} times"
    ));
    timeline.note(format_args!(
        "{} turns, {} events",
        metrics.turns, metrics.events
    ));
}

fn demo(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;

    let keep = |id: u32| format!("{id} {}", 500 + id % 1000);
    let all: Vec<_> = (0..PEERS).map(keep).collect();
    send_all(&socket, &all)?;
    timeline.note(format_args!("{PEERS} peers, kept for 500 to 1499 ms each"));
    let half: Vec<_> = (0..PEERS).step_by(2).map(keep).collect();
    send_all(&socket, &half)?;
    timeline.note("every other one asked for as much again");
    loop {
        thread::sleep(Duration::from_millis(200));
        let left = ask(&socket)?;
        timeline.note(format_args!("{left} left"));
        if left == 0 {
            return terminate();
        }
    }
}

/// Sends all datagrams, a window of them at a time.
fn send_all(socket: &UdpSocket, datagrams: &[String]) -> io::Result<()> {
    for window in datagrams.chunks(WINDOW) {
        for datagram in window {
            socket.send(datagram.as_bytes())?;
        }
        for _ in window {
            socket.recv(&mut [0; 16])?;
        }
    }
    Ok(())
}

/// How many peers there are.
fn ask(socket: &UdpSocket) -> io::Result<u32> {
    socket.send(b"?")?;
    let mut answer = [0; 16];
    let len = socket.recv(&mut answer)?;
    let number = std::str::from_utf8(&answer[..len]).ok();
    let number = number.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| io::Error::other("the answer is not a number"))
}
