//! Looking at a server's answers with care, before and after it is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::constants::{CONTENT, REQUEST};
use crate::workload::{Lives, Workload};

const PATIENCE: Duration = Duration::from_secs(3);
/// An answer's head has no more octets.
const HEAD_MAX: usize = 8 * 1024;

/// Makes sure that the server at `address` does what `workload` needs: status 200, the right content,
/// a Date; one answer for each of pipelined requests; the connection kept, or closed when it was asked
/// to. How many octets an answer has.
///
/// # Errors
///
/// What is wrong with it.
pub fn verify(address: SocketAddr, workload: &Workload) -> Result<usize, String> {
    let look = || -> io::Result<Result<usize, String>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        match workload.lives {
            Lives::Stays => stays(&mut stream, workload.depth),
            Lives::Once => once(&mut stream, workload.request()),
        }
    };
    look().map_err(|error| error.to_string())?
}

/// Two batches on one connection.
fn stays(stream: &mut TcpStream, depth: usize) -> io::Result<Result<usize, String>> {
    let mut octets = None;
    for _ in 0..2 {
        stream.write_all(&REQUEST.repeat(depth))?;
        for _ in 0..depth {
            let answer = read_answer(stream)?;
            if let Err(problem) = judge(&answer) {
                return Ok(Err(problem));
            }
            if *octets.get_or_insert(answer.len()) != answer.len() {
                return Ok(Err("its answers differ in length".into()));
            }
        }
    }
    Ok(octets.ok_or_else(|| "it was asked nothing".into()))
}

fn once(stream: &mut TcpStream, request: &[u8]) -> io::Result<Result<usize, String>> {
    stream.write_all(request)?;
    let answer = read_answer(stream)?;
    if let Err(problem) = judge(&answer) {
        return Ok(Err(problem));
    }
    match stream.read(&mut [0]) {
        Ok(0) => Ok(Ok(answer.len())),
        Ok(_) => Ok(Err("it said more than it was asked".into())),
        Err(_) => Ok(Err("it ignores Connection: close".into())),
    }
}

/// One answer, whole, and no octet more.
fn read_answer(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut octet = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= HEAD_MAX {
            return Err(io::Error::other("the head of its answer has no end"));
        }
        stream.read_exact(&mut octet)?;
        answer.push(octet[0]);
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let length = field(&text, "content-length").and_then(|value| value.parse().ok());
    let length: usize =
        length.ok_or_else(|| io::Error::other("its answer has no Content-Length"))?;
    if length > HEAD_MAX {
        return Err(io::Error::other("the content of its answer is too long"));
    }
    let begin = answer.len();
    answer.resize(begin + length, 0);
    stream.read_exact(&mut answer[begin..])?;
    Ok(answer)
}

fn judge(answer: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let status = text.lines().next().unwrap_or("");
    if !status.starts_with("HTTP/1.1 200 ") {
        return Err(format!("it answers {status}"));
    }
    if !answer.ends_with(&[b"\r\n\r\n", CONTENT].concat()) {
        return Err("the content of its answer is not hello".into());
    }
    if field(&text, "date").is_none() {
        return Err("its answer has no Date".into());
    }
    match field(&text, "content-type") {
        Some(kind) if kind.starts_with("text/plain") => Ok(()),
        kind => Err(format!("its answer is of type {kind:?}")),
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
    Some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constants::ANSWER;

    #[test]
    fn an_answer_that_differs_where_it_matters_is_not_right() {
        assert_eq!(judge(ANSWER), Ok(()));
        let text = String::from_utf8(ANSWER.to_vec()).unwrap();
        for (right, wrong) in [
            ("200 OK", "503 Busy"),
            ("\r\n\r\nhello", "\r\n\r\nhullo"),
            ("Date", "Data"),
            ("text/plain", "text/html"),
        ] {
            let answer = text.replace(right, wrong);
            assert!(judge(answer.as_bytes()).is_err(), "{answer}");
        }
    }

    #[test]
    fn one_answer_is_read_and_no_more() {
        let mut two = &ANSWER.repeat(2)[..];
        assert_eq!(read_answer(&mut two).unwrap(), ANSWER);
        assert_eq!(two, ANSWER);
        assert!(read_answer(&mut &ANSWER[..ANSWER.len() - 1]).is_err());
        assert!(read_answer(&mut &b"HTTP/1.1 200 OK\r\n\r\n"[..]).is_err());
    }
}
