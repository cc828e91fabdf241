//! The client, the same for all servers: one thread, one loop, connections of which some have a round trip
//! under way. Whoever has been idle longest is next, so every connection has its turn.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use trine::reactor::Stream;
use trine::{EventLoop, Next, Sources};

/// Bytes of a message, there and back.
const MESSAGE: usize = 64;
/// A server that says nothing for so long has lost somebody.
const PATIENCE: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 64;

pub struct Client {
    events: EventLoop<Load>,
    load: Load,
}

/// The connections, and what has been measured.
struct Load {
    links: Vec<Link>,
    /// Those without a round trip under way; idle longest first.
    idle: VecDeque<usize>,
    under_way: usize,
    under_way_max: usize,
    until: Instant,
    took: Vec<Duration>,
    failed: Option<Error>,
}

struct Link {
    stream: Rc<Stream>,
    sent_at: Instant,
    received: usize,
}

impl Client {
    /// Connects, `AT_ONCE` at a time.
    pub fn connect(
        address: SocketAddr,
        connections: usize,
        under_way_max: usize,
    ) -> Result<Client> {
        let mut client = Client {
            events: EventLoop::new()?,
            load: Load {
                links: Vec::new(),
                idle: VecDeque::new(),
                under_way: 0,
                under_way_max,
                until: Instant::now(),
                took: Vec::new(),
                failed: None,
            },
        };
        while client.load.links.len() < connections {
            let wanted = (client.load.links.len() + AT_ONCE).min(connections);
            for _ in client.load.links.len()..wanted {
                client
                    .events
                    .connect(address, PATIENCE, |load, stream, cx| {
                        let joined = stream.and_then(|stream| {
                            let (stream, number) = (Rc::new(stream), load.join_as());
                            load.links.push(Link::new(Rc::clone(&stream)));
                            cx.descriptor(stream, move |load: &mut Load, stream, _, _| {
                                load.receive(number, stream);
                                Next::Wait
                            })
                        });
                        load.keep(joined.map(drop).map_err(Error::from));
                    })?;
            }
            client.turn_while(|load| load.links.len() < wanted)?;
        }
        client.load.idle.extend(0..connections);
        Ok(client)
    }

    /// Makes round trips for `time` and waits for those under way. How long each took.
    pub fn run(&mut self, time: Duration) -> Result<Vec<Duration>> {
        self.load.until = Instant::now() + time;
        self.load.send();
        self.turn_while(|load| load.under_way > 0)?;
        Ok(std::mem::take(&mut self.load.took))
    }

    fn turn_while(&mut self, goes_on: impl Fn(&Load) -> bool) -> Result<()> {
        let late = || Error::new(ErrorKind::TimedOut, "the server has lost somebody");
        let limit =
            self.events
                .call_after(PATIENCE + self.load.left(), move |load: &mut Load, _| {
                    load.keep(Err(late()));
                })?;
        while goes_on(&self.load) && self.load.failed.is_none() {
            let _ = self.events.turn(&mut self.load)?;
        }
        self.events.context().remove(limit);
        match self.load.failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Link {
    fn new(stream: Rc<Stream>) -> Link {
        Link {
            stream,
            sent_at: Instant::now(),
            received: 0,
        }
    }
}

impl Load {
    fn join_as(&self) -> usize {
        self.links.len()
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn keep(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.failed.get_or_insert(error);
        }
    }

    /// Begins as many round trips as may be under way.
    fn send(&mut self) {
        while self.under_way < self.under_way_max
            && let Some(number) = self.idle.pop_front()
        {
            let link = &mut self.links[number];
            (link.sent_at, link.received) = (Instant::now(), 0);
            self.under_way += 1;
            match link.stream.write(&message(number)) {
                Ok(MESSAGE) => {}
                Ok(_) => self.keep(Err(Error::other("no room for 64 bytes"))),
                Err(error) => self.keep(Err(error)),
            }
        }
    }

    /// A connection has something, or is new.
    fn receive(&mut self, number: usize, stream: &Stream) {
        let mut bytes = [0; MESSAGE];
        let link = &mut self.links[number];
        let received = match stream.read(&mut bytes[link.received..]) {
            Ok(0) => Err(Error::new(
                ErrorKind::UnexpectedEof,
                "the server closed a connection",
            )),
            Ok(len) => Ok(len),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => Err(error),
        };
        match received {
            Ok(len) if bytes[link.received..][..len] != message(number)[link.received..][..len] => {
                self.keep(Err(Error::other("what came back is not what was sent")));
            }
            Ok(len) => {
                link.received += len;
                if link.received == MESSAGE {
                    self.arrived(number);
                }
            }
            Err(error) => self.keep(Err(error)),
        }
    }

    fn arrived(&mut self, number: usize) {
        let now = Instant::now();
        self.took.push(now - self.links[number].sent_at);
        self.idle.push_back(number);
        self.under_way -= 1;
        if now < self.until {
            self.send();
        }
    }
}

/// What the connection `number` says: not what another does.
fn message(number: usize) -> [u8; MESSAGE] {
    let mut message = [b'.'; MESSAGE];
    message[..8].copy_from_slice(&(number as u64).to_le_bytes());
    message
}
