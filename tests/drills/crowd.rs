//! Thousands of clients on one thread: each says something, drips on, and notes when it is cut.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

/// In bytes; the kernel doubles it.
const WINDOW: usize = 32 << 10;

/// What a client does.
#[derive(Clone, Debug)]
pub struct Habit {
    /// Said at once.
    pub first: Vec<u8>,
    /// Said again and again, so far apart.
    pub drip: Option<(&'static [u8], Duration)>,
    /// Whether it takes what the server says.
    pub reads: bool,
}

/// How a connection ended, as its client saw it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum End {
    /// In order.
    Closed,
    /// By a reset.
    Reset,
}

struct Member {
    stream: Option<TcpStream>,
    /// Before the client asked to connect: no deadline of the server began earlier.
    dialled: Instant,
    habit: Habit,
    next_drip: Option<Instant>,
    said: Vec<u8>,
}

/// Clients under way.
pub struct Crowd {
    address: SocketAddr,
    poll: Poll,
    members: Vec<Member>,
    cuts: Cuts,
}

/// What became of a crowd.
#[derive(Default, Debug)]
pub struct Cuts {
    /// From before the connect to the end, in order of size.
    pub after: Vec<Duration>,
    /// How many ended with which first words, and how.
    pub ends: BTreeMap<(String, End), usize>,
    /// Those the server did not end.
    pub left: usize,
    /// The most that were connected at once.
    pub most: usize,
}

impl Cuts {
    pub fn first(&self) -> Duration {
        self.after.first().copied().unwrap_or_default()
    }

    pub fn last(&self) -> Duration {
        self.after.last().copied().unwrap_or_default()
    }
}

/// `count` clients of `habit` come, `rate` a second, and stay until the server cuts them, or for
/// `patience` after the last has come.
pub fn crowd(
    address: SocketAddr,
    habit: &Habit,
    count: usize,
    rate: usize,
    patience: Duration,
) -> Cuts {
    let mut crowd = Crowd {
        address,
        poll: Poll::new().unwrap(),
        members: Vec::with_capacity(count),
        cuts: Cuts::default(),
    };
    let (began, mut all_there) = (Instant::now(), Instant::now());
    let mut events = Events::with_capacity(4096);
    while crowd.members.len() < count || (crowd.here() > 0 && all_there.elapsed() < patience) {
        let due = (began.elapsed().as_secs_f64() * rate as f64) as usize;
        while crowd.members.len() < due.min(count) {
            crowd.join(habit);
            all_there = Instant::now();
        }
        crowd.cuts.most = crowd.cuts.most.max(crowd.here());
        let _ = crowd.poll.poll(&mut events, Some(Duration::from_millis(2))); // or interrupted
        for event in &events {
            crowd.hear(event.token().0, is_broken(event));
        }
        crowd.drip();
    }
    crowd.cuts.left = crowd.here();
    crowd.cuts.after.sort();
    crowd.cuts
}

impl Crowd {
    fn join(&mut self, habit: &Habit) {
        let dialled = Instant::now();
        let mut stream = dial(self.address, habit.reads);
        let _ = stream.write_all(&habit.first); // a refusal is seen when it ends
        stream.set_nonblocking(true).unwrap();
        let mut stream = TcpStream::from_std(stream);
        let token = Token(self.members.len());
        let interest = Interest::READABLE;
        self.poll
            .registry()
            .register(&mut stream, token, interest)
            .unwrap();
        self.members.push(Member {
            stream: Some(stream),
            dialled,
            next_drip: habit.drip.map(|(_, apart)| dialled + apart),
            habit: habit.clone(),
            said: Vec::new(),
        });
    }

    /// How many are connected still.
    fn here(&self) -> usize {
        self.members.len() - self.cuts.after.len()
    }

    fn hear(&mut self, index: usize, broken: bool) {
        let member = &mut self.members[index];
        let Some(stream) = member.stream.as_mut() else {
            return;
        };
        let end = match (member.habit.reads, broken) {
            (true, _) => read(stream, &mut member.said),
            (false, true) => Some(End::Reset),
            (false, false) => None,
        };
        if let Some(end) = end {
            let words = member.said.split(|octet| *octet == b'\r').next().unwrap();
            let words = String::from_utf8_lossy(words).into_owned();
            *self.cuts.ends.entry((words, end)).or_default() += 1;
            self.cuts.after.push(member.dialled.elapsed());
            member.stream = None;
        }
    }

    fn drip(&mut self) {
        let now = Instant::now();
        for member in &mut self.members {
            let (Some(due), Some(stream)) = (member.next_drip, member.stream.as_mut()) else {
                continue;
            };
            if let Some((words, apart)) = member.habit.drip.filter(|_| due <= now) {
                let _ = stream.write(words); // an end is heard by the next event
                member.next_drip = Some(due + apart);
            }
        }
    }
}

/// Who does not read has a small window besides, so that the kernel's memory for thousands of them
/// is not what gives way.
fn dial(address: SocketAddr, reads: bool) -> std::net::TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    if !reads {
        socket.set_recv_buffer_size(WINDOW).unwrap();
    }
    socket.connect(&address.into()).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    socket
        .set_write_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    socket.into()
}

fn is_broken(event: &Event) -> bool {
    event.is_error() || event.is_write_closed()
}

/// Reads all there is; how the connection ended, if it did.
fn read(stream: &mut TcpStream, said: &mut Vec<u8>) -> Option<End> {
    let mut buffer = [0; 16 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Some(End::Closed),
            Ok(len) if said.len() < 64 => said.extend_from_slice(&buffer[..len]),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Some(End::Reset),
        }
    }
}
