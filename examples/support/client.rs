//! A small blocking HTTP client, for the demonstrations alone.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// No answer takes longer in a demonstration.
const PATIENCE: Duration = Duration::from_secs(4);

/// One connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    /// The status line and the fields, as they came.
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Whether a line of the head is `line`, in any case.
    pub fn says(&self, line: &str) -> bool {
        self.head
            .lines()
            .any(|said| said.eq_ignore_ascii_case(line))
    }

    /// The value of the field `name`, as we write it.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Client {
            stream: BufReader::new(stream),
        })
    }

    /// Sends `text` as it is.
    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())
    }

    /// Asks for `path` and waits for the answer.
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(&get(path))?;
        self.answer()
    }

    /// The next answer; an error of kind `UnexpectedEof` when the server has closed instead.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer {
            status: status.unwrap_or(0),
            body: String::from_utf8_lossy(&body).into_owned(),
            head,
        })
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Says that nothing more comes, and goes on reading.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.get_ref().shutdown(Shutdown::Write)
    }

    /// Leaves by a reset.
    pub fn reset(self) -> io::Result<()> {
        let linger = Some(Duration::ZERO);
        Ok(rustix::net::sockopt::set_socket_linger(
            self.stream(),
            linger,
        )?)
    }

    /// Everything until the server closes, which is an error if it resets.
    pub fn rest(&mut self) -> io::Result<String> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(String::from_utf8_lossy(&rest).into_owned())
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}

/// A GET request for `path`.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: demo\r\n\r\n")
}
