//! The tables of requests over real sockets, against `httpbin --anything`: whole, octet by octet and
//! split at random; each behind a good request and before another one.

mod http_cases;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use http_cases::{ACCEPTED, BAD_BODIES, CHUNKED, REFUSED};
use support::PATIENCE;
use trine::http::{Framing, ParseError};

/// The example, as `cargo test` builds it beside the folder of this test.
struct Httpbin {
    child: Child,
    address: SocketAddr,
}

impl Httpbin {
    /// With the limits of the tables, as far as there are flags for them.
    fn start() -> Httpbin {
        Httpbin::with(&["--anything"])
    }

    fn with(arguments: &[&str]) -> Httpbin {
        let own = std::env::current_exe().unwrap();
        let folder = own.parent().unwrap().parent().unwrap();
        let path: PathBuf = folder.join("examples").join("httpbin");
        let limits = "--head-limit 300 --target-limit 40 --field-limit 5 --body-limit 1000";
        let mut child = Command::new(path)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .args(limits.split(' '))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let address = line.split("listening on ").nth(1).unwrap();
        let address = address.split(',').next().unwrap().parse().unwrap();
        Httpbin { child, address }
    }

    /// Sends `octets` in pieces that end at `ends`, then no more; everything that comes back.
    fn exchange(&self, octets: &[u8], ends: &[usize]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut from = 0;
        for &end in ends.iter().chain([&octets.len()]) {
            if stream.write_all(&octets[from..end]).is_err() {
                break; // it was refused before all of it came
            }
            from = end;
        }
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer); // a reset behind the answer is an end as well
        String::from_utf8(answer).unwrap()
    }
}

impl Drop for Httpbin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ways to cut: not at all, at every octet, and at random.
fn cuts(len: usize, random: &mut fastrand::Rng) -> [Vec<usize>; 4] {
    let mut at_random = || {
        let mut ends: Vec<usize> = (0..random.usize(1..6))
            .map(|_| random.usize(0..=len))
            .collect();
        ends.sort_unstable();
        ends
    };
    let (first, second) = (at_random(), at_random());
    [Vec::new(), (1..len).collect(), first, second]
}

/// The statuses of all answers, in order.
fn statuses(answers: &str) -> Vec<u16> {
    let heads = answers.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head[..3].parse().unwrap()).collect()
}

const BEFORE: &str = "GET /before HTTP/1.1\r\nHost: a\r\n\r\n";
const AFTER: &str = "GET /after HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn what_is_right_is_taken_however_it_is_cut_and_what_follows_as_well() {
    let (server, mut random) = (Httpbin::start(), fastrand::Rng::with_seed(3));
    for row in ACCEPTED
        .iter()
        .filter(|row| !row.head.starts_with("CONNECT"))
    {
        let body: Vec<u8> = match row.framing {
            Framing::None => Vec::new(),
            Framing::Length(length) if length > 1000 => continue, // refused with 413, as below
            Framing::Length(length) => vec![b'x'; length as usize],
            Framing::Chunked => b"3\r\nabc\r\n0\r\n\r\n".to_vec(),
        };
        let message = [
            BEFORE.as_bytes(),
            row.head.as_bytes(),
            &body,
            AFTER.as_bytes(),
        ]
        .concat();
        for ends in cuts(message.len(), &mut random) {
            let answers = server.exchange(&message, &ends);
            let wanted = match row.persistent {
                true => vec![200; 3],
                false => vec![200; 2],
            };
            let mut said = statuses(&answers);
            said.retain(|status| *status != 100);
            assert_eq!(said, wanted, "{}: {answers}", row.why);
            assert_eq!(answers.contains("\"target\":\"/after\""), row.persistent);
        }
    }
}

#[test]
fn chunked_content_arrives_as_it_was_meant_however_it_is_cut() {
    let (server, mut random) = (Httpbin::start(), fastrand::Rng::with_seed(4));
    for (body, content) in CHUNKED {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let message = [&head[..], body, AFTER.as_bytes()].concat();
        for ends in cuts(message.len(), &mut random) {
            let answers = server.exchange(&message, &ends);
            assert_eq!(statuses(&answers), [200, 200], "{answers}");
            let length = format!("\"body_len\":{},", content.len());
            assert!(answers.contains(&length), "{answers}");
        }
    }
}

/// One answer with the right status, which says close, and then silence: what follows is never
/// taken for a request, and what came before was answered.
fn assert_refused(server: &Httpbin, message: &[u8], status: u16, random: &mut fastrand::Rng) {
    let message = [BEFORE.as_bytes(), message, AFTER.as_bytes()].concat();
    for ends in cuts(message.len(), random) {
        let answers = server.exchange(&message, &ends);
        let shown = message.escape_ascii();
        assert_eq!(statuses(&answers), [200, status], "{shown}: {answers}");
        let last = answers.rsplit("HTTP/1.1 ").next().unwrap();
        assert!(
            last.contains("\r\nConnection: close\r\n"),
            "{shown}: {last}"
        );
    }
}

#[test]
fn what_is_wrong_is_refused_once_and_followed_by_silence() {
    let (server, mut random) = (Httpbin::start(), fastrand::Rng::with_seed(5));
    let has_no_flag = |error: ParseError| matches!(error, ParseError::EmptyLines { .. });
    for row in REFUSED.iter().filter(|row| !has_no_flag(row.error)) {
        assert_refused(&server, row.head, row.status, &mut random);
    }
}

#[test]
fn what_is_wrong_in_a_body_is_refused_once_and_followed_by_silence() {
    let (server, mut random) = (Httpbin::start(), fastrand::Rng::with_seed(6));
    let has_no_flag = |error: ParseError| {
        matches!(
            error,
            ParseError::ChunkOverheadTooLong { .. } | ParseError::TrailersTooLong { .. }
        )
    };
    for row in BAD_BODIES.iter().filter(|row| !has_no_flag(row.error)) {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_refused(&server, &[head, row.body].concat(), row.status, &mut random);
    }
}

#[test]
fn a_tunnel_is_refused_with_501() {
    let server = Httpbin::start();
    let message = "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n";
    let answers = server.exchange([message, AFTER].concat().as_bytes(), &[]);
    assert_eq!(statuses(&answers), [501], "{answers}");
}

#[test]
fn a_body_in_pieces_is_held_to_the_same_rules() {
    let (server, mut random) = (Httpbin::with(&[]), fastrand::Rng::with_seed(7));
    let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let hello = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    let has_no_flag = |error: ParseError| {
        matches!(
            error,
            ParseError::ChunkOverheadTooLong { .. } | ParseError::TrailersTooLong { .. }
        )
    };
    for (body, content) in CHUNKED {
        let message = [&head[..], body, hello].concat();
        for ends in cuts(message.len(), &mut random) {
            let answers = server.exchange(&message, &ends);
            assert_eq!(statuses(&answers), [200, 200], "{answers}");
            assert!(answers.ends_with("\r\n\r\nhello"), "{answers}");
            let content = String::from_utf8(content.to_vec()).unwrap();
            assert!(echoed(&answers) == content, "{answers}");
        }
    }
    // The answer has begun: it breaks off, and nothing behind is taken for a request.
    for row in BAD_BODIES.iter().filter(|row| !has_no_flag(row.error)) {
        let message = [&head[..], row.body, hello].concat();
        for ends in cuts(message.len(), &mut random) {
            let answers = server.exchange(&message, &ends);
            let shown = message.escape_ascii();
            assert_eq!(statuses(&answers), [200], "{shown}: {answers}");
            assert!(!answers.contains("\r\n0\r\n\r\n"), "{shown}: {answers}");
            assert!(!answers.contains("hello\r\n\r\n"), "{shown}: {answers}");
        }
    }
}

/// The content of the first answer, which is in chunks.
fn echoed(answers: &str) -> String {
    let (_, mut rest) = answers.split_once("\r\n\r\n").unwrap();
    let mut content = String::new();
    loop {
        let (size, behind) = rest.split_once("\r\n").unwrap();
        let len = usize::from_str_radix(size, 16).unwrap();
        content.push_str(&behind[..len]);
        rest = &behind[len + 2..];
        if len == 0 {
            return content;
        }
    }
}
