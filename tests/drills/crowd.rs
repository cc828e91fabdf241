//! Thousands of clients on one thread: each says something, drips on, and notes when it is cut.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

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
}

impl Cuts {
    pub fn first(&self) -> Duration {
        self.after.first().copied().unwrap_or_default()
    }

    pub fn last(&self) -> Duration {
        self.after.last().copied().unwrap_or_default()
    }
}

impl Crowd {
    /// Connects so many clients of each habit.
    pub fn gather(address: SocketAddr, habits: &[(usize, Habit)]) -> Crowd {
        let mut crowd = Crowd {
            poll: Poll::new().unwrap(),
            members: Vec::new(),
            cuts: Cuts::default(),
        };
        let most = habits.iter().map(|(count, _)| *count).max().unwrap_or(0);
        for round in 0..most {
            let those = habits.iter().filter(|(count, _)| round < *count);
            those.for_each(|(_, habit)| crowd.join(address, habit));
        }
        crowd
    }

    fn join(&mut self, address: SocketAddr, habit: &Habit) {
        let dialled = Instant::now();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
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
    pub fn len(&self) -> usize {
        self.members.len() - self.cuts.after.len()
    }

    /// Goes on until all are cut, for so long at most.
    pub fn until_cut(mut self, most: Duration) -> Cuts {
        let began = Instant::now();
        let mut events = Events::with_capacity(4096);
        while self.len() > 0 && began.elapsed() < most {
            let _ = self.poll.poll(&mut events, Some(Duration::from_millis(2))); // or interrupted
            let ready: Vec<_> = events
                .iter()
                .map(|event| (event.token().0, is_broken(event)))
                .collect();
            for (index, broken) in ready {
                self.hear(index, broken);
            }
            self.drip();
        }
        self.cuts.left = self.len();
        self.cuts.after.sort();
        self.cuts
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
