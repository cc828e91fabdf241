//! A client over a raw socket: writes what it is told, reads one answer at a time.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::PATIENCE;

/// A GET for `path` that keeps the connection.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").into_bytes()
}

pub struct Client<T = TcpStream> {
    stream: T,
    held: Vec<u8>,
    reads: usize,
}

/// One answer as it came.
#[derive(PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Whether the head has this line.
    pub fn says(&self, line: &str) -> bool {
        self.head.lines().any(|present| present == line)
    }

    fn length(&self) -> usize {
        let lines = self.head.lines();
        let mut values = lines.filter_map(|line| line.strip_prefix("Content-Length: "));
        values.next().map_or(0, |value| value.parse().unwrap())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} octets of content", self.head, self.body.len())
    }
}

/// How the server ended the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Closed,
    Reset,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client::over(stream)
    }

    /// The same connection once more, for a thread that sends while another reads.
    pub fn second(&self) -> Client {
        Client::over(self.stream.try_clone().unwrap())
    }

    /// Sends FIN and goes on reading. No effect when the server has reset the connection already.
    pub fn finish(&self) {
        match self.stream.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == std::io::ErrorKind::NotConnected => {}
            result => result.unwrap(),
        }
    }

    /// Closes by a reset.
    pub fn reset(self) {
        let linger = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&self.stream, linger).unwrap();
    }

    /// Whether nothing has come, and no end, for `time`.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        assert!(self.held.is_empty());
        self.stream.set_read_timeout(Some(time)).unwrap();
        let silent = matches!(
            self.stream.peek(&mut [0]),
            Err(error) if error.kind() == ErrorKind::WouldBlock
        );
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        silent
    }
}

impl<T: Read + Write> Client<T> {
    pub fn over(stream: T) -> Client<T> {
        Client {
            stream,
            held: Vec::new(),
            reads: 0,
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends what the server may not want any more.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send(get(path));
        self.answer()
    }

    /// The next answer.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.length();
        answer.body = self.octets(length);
        answer
    }

    /// The next answer, or nothing when the server has closed or reset before its first octet.
    #[track_caller]
    pub fn answer_or_end(&mut self) -> Option<Answer> {
        if self.held.is_empty() && !matches!(self.read(), Ok(1..)) {
            return None;
        }
        Some(self.answer())
    }

    /// The next answer, which has no content whatever it announces: the one to HEAD.
    #[track_caller]
    pub fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill(self.held.len() + 1);
        };
        let head: Vec<u8> = self.held.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3]
            .parse()
            .unwrap();
        Answer {
            status,
            head,
            body: Vec::new(),
        }
    }

    /// Reads to the end: what came, and how it ended.
    #[track_caller]
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            match self.read() {
                Ok(0) => return (std::mem::take(&mut self.held), End::Closed),
                Ok(_) => {}
                Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return (std::mem::take(&mut self.held), End::Reset);
                }
                Err(kind) => panic!("the server neither spoke nor closed: {kind:?}"),
            }
        }
    }

    /// Expects nothing more but the end.
    #[track_caller]
    pub fn ends(&mut self, end: End) {
        let (rest, how) = self.rest();
        assert_eq!((String::from_utf8_lossy(&rest).as_ref(), how), ("", end));
    }

    /// Takes up to `len` octets of content; how many there were.
    #[track_caller]
    pub fn take(&mut self, len: usize) -> usize {
        self.fill(len);
        self.held.drain(..len);
        len
    }

    /// The next line, without its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let end = loop {
            if let Some(at) = self.held.windows(2).position(|two| two == b"\r\n") {
                break at;
            }
            self.fill(self.held.len() + 1);
        };
        let line: Vec<u8> = self.held.drain(..end + 2).take(end).collect();
        String::from_utf8(line).unwrap()
    }

    /// The next octets.
    #[track_caller]
    pub fn octets(&mut self, len: usize) -> Vec<u8> {
        self.fill(len);
        let rest = self.held.split_off(len);
        std::mem::replace(&mut self.held, rest)
    }

    /// How many reads it took so far: at least as many as the server's writes that did not arrive
    /// together.
    pub fn reads(&self) -> usize {
        self.reads
    }

    #[track_caller]
    fn fill(&mut self, length: usize) {
        while self.held.len() < length {
            match self.read() {
                Ok(0) => panic!("closed after {:?}", String::from_utf8_lossy(&self.held)),
                Ok(_) => {}
                Err(kind) => panic!("{kind:?} after {:?}", String::from_utf8_lossy(&self.held)),
            }
        }
    }

    fn read(&mut self) -> Result<usize, ErrorKind> {
        let mut buffer = [0; 64 * 1024];
        let len = loop {
            match self.stream.read(&mut buffer) {
                // A read with a timeout is not restarted by the kernel when the process was stopped.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(|error| error.kind())?,
            }
        };
        self.reads += 1;
        self.held.extend_from_slice(&buffer[..len]);
        Ok(len)
    }
}
