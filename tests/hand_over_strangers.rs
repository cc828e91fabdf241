//! Who else may be at the other end of a hand-over: other programs, other versions, and processes that
//! give or say what they should not. Each is an error that says why, and leaves the server serving.

mod support;

use std::io::IoSlice;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, send, sendmsg,
};
use socket2::{Domain, SockAddr, Socket, Type};
use support::client::Client;
use support::program::Folder;
use support::{Running, eventually, run};
use trine::hand_over::HandOver;
use trine::http::Request;
use trine::reactor::ErrorKind;
use trine::service::respond;
use trine::{Response, Server};

const ASK: &str = "trine-hand-over 1 ask";

/// A socket that keeps the bounds of messages, with patience.
fn socket() -> Socket {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    let limit = Some(Duration::from_secs(10));
    socket.set_read_timeout(limit).unwrap();
    socket
}

/// A stranger in the place of the process before: sends `answer` with `passed`, whatever it is asked.
fn stranger(path: &Path, answer: &[u8], passed: Vec<OwnedFd>) -> JoinHandle<()> {
    let listening = socket();
    listening.bind(&SockAddr::unix(path).unwrap()).unwrap();
    listening.listen(1).unwrap();
    let answer = answer.to_vec();
    thread::spawn(move || {
        let (accepted, _) = listening.accept().unwrap();
        let asked = recv(&accepted, &mut [0; 100], RecvFlags::empty()).unwrap();
        assert_eq!(asked, ASK.len());
        let passed: Vec<BorrowedFd<'_>> = passed.iter().map(AsFd::as_fd).collect();
        let mut space = vec![0; rustix::cmsg_space!(ScmRights(passed.len()))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(passed.is_empty() || control.push(SendAncillaryMessage::ScmRights(&passed)));
        let slices = [IoSlice::new(&answer)];
        sendmsg(&accepted, &slices, &mut control, SendFlags::NOSIGNAL).unwrap();
    })
}

/// A socket that listens as an offer does.
fn offer(folder: &Folder) -> OwnedFd {
    let offer = socket();
    let path = folder.path("other");
    let _ = std::fs::remove_file(&path); // of the row before
    offer.bind(&SockAddr::unix(path).unwrap()).unwrap();
    offer.listen(1).unwrap();
    offer.into()
}

fn listening() -> (OwnedFd, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener.into(), address)
}

#[test]
fn whoever_is_no_process_before_is_an_error_that_says_why() {
    let folder = Folder::new("hand-over-strangers");
    let sockets = |names: &str| format!("trine-hand-over 1 sockets{names}").into_bytes();
    let rows: [(&[u8], Vec<OwnedFd>, &str); 7] = [
        (b"hello", vec![], "it speaks another protocol"),
        (
            b"trine-hand-over 2 sockets",
            vec![],
            "it speaks version 2, this program 1",
        ),
        (
            b"trine-hand-over 1 go",
            vec![],
            "does not keep to the protocol",
        ),
        (b"trine-hand-over 1 refused\0just so", vec![], "just so"),
        (&sockets(""), vec![], "it named 1 descriptors, and 0 came"),
        (
            &sockets("\0tcp 127.0.0.1:1"),
            vec![offer(&folder)],
            "it named 2 descriptors, and 1 came",
        ),
        (
            &sockets(""),
            vec![listening().0],
            "not the socket of the hand-over",
        ),
    ];
    for (number, (answer, passed, why)) in rows.into_iter().enumerate() {
        let path = folder.path(&number.to_string());
        let stranger = stranger(Path::new(&path), answer, passed);
        let error = HandOver::at(&path).unwrap_err().to_string();
        assert!(error.starts_with("cannot take over from /"), "{error}");
        assert!(error.contains(why), "{error}");
        stranger.join().unwrap();
    }
}

/// The kernel tells of what was left unread first, and of what was said afterwards.
#[test]
fn the_last_word_of_a_process_that_did_not_listen_is_heard() {
    let folder = Folder::new("hand-over-deaf");
    let path = folder.path("socket");
    let listening = socket();
    listening.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    listening.listen(1).unwrap();
    let stranger = thread::spawn(move || {
        let (accepted, _) = listening.accept().unwrap();
        let asked = recv(&accepted, &mut [0; 100], RecvFlags::PEEK).unwrap(); // and it stays unread
        assert_eq!(asked, ASK.len());
        says(&accepted, b"trine-hand-over 1 refused\0busy");
    });
    let error = HandOver::at(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandOver);
    assert!(error.to_string().contains("busy"), "{error}");
    stranger.join().unwrap();
}

/// The names are those that were asked for, and the sockets are others.
#[test]
fn a_socket_that_is_not_what_was_asked_for_is_refused() {
    let folder = Folder::new("hand-over-mistaken");
    let (right, address) = listening();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(address).unwrap();
    let unix = UnixListener::bind(folder.path("unix")).unwrap();
    let rows: [(OwnedFd, &str); 6] = [
        (right, ""),
        (listening().0, "is another socket"),
        (unix.into(), "is another socket"),
        (datagrams.into(), "not of streams"),
        (connected.into(), "does not listen"),
        (
            std::fs::File::open("/dev/null").unwrap().into(),
            "no socket",
        ),
    ];
    for (number, (passed, why)) in rows.into_iter().enumerate() {
        let path = folder.path(&number.to_string());
        let names = format!("trine-hand-over 1 sockets\0tcp {address}");
        let passed = vec![offer(&folder), passed];
        let stranger = stranger(Path::new(&path), names.as_bytes(), passed);
        let mut hand_over = HandOver::at(&path).unwrap();
        assert!(hand_over.is_successor());
        match (hand_over.bind_tcp(address), why) {
            (Ok(listener), "") => assert_eq!(listener.local_address(), Some(address)),
            (Err(error), why) => assert!(error.to_string().contains(why), "{error}"),
            (Ok(_), why) => panic!("taken, though it {why}"),
        }
        stranger.join().unwrap();
    }
}

#[test]
fn a_path_that_is_something_else_is_left_as_it_is() {
    let folder = Folder::new("hand-over-paths");
    let file = folder.path("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(HandOver::at(&file).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    let other = folder.path("other-protocol");
    let _listening = UnixListener::bind(&other).unwrap();
    assert_eq!(HandOver::at(&other).unwrap_err().kind(), ErrorKind::Io);
    assert!(Path::new(&other).exists());
    assert!(HandOver::at(folder.path("no/such/folder")).is_err());
    assert!(HandOver::at("/".repeat(200)).is_err());
}

/// A server that offers its sockets at `path`.
fn offering(path: &str) -> Running {
    let mut hand_over = HandOver::at(path)
        .unwrap()
        .patience(Duration::from_millis(300));
    let server = Server::over(hand_over.bind_tcp("127.0.0.1:0").unwrap());
    let answer = respond(|_: &Request<'_>| Response::text("here"));
    run(server.hand_over(hand_over), answer)
}

fn connect(path: &str) -> Socket {
    let socket = socket();
    socket.connect(&SockAddr::unix(path).unwrap()).unwrap();
    socket
}

fn says(socket: &Socket, bytes: &[u8]) {
    send(socket, bytes, SendFlags::NOSIGNAL).unwrap();
}

/// What it says next; empty at its end. What was left unread when it closed is told first.
fn hears(socket: &Socket) -> String {
    let mut bytes = [0; 1_000];
    let heard = recv(socket, &mut bytes, RecvFlags::empty());
    let heard = heard.or_else(|_| recv(socket, &mut bytes, RecvFlags::empty()));
    String::from_utf8_lossy(&bytes[..heard.unwrap()]).into_owned()
}

#[test]
fn a_successor_that_does_not_keep_to_the_protocol_changes_nothing() {
    let folder = Folder::new("hand-over-rude");
    let path = folder.path("socket");
    let running = offering(&path);
    let address = running.address();
    let rows: [(&[&[u8]], &str); 6] = [
        (&[b"hello"], "does not keep to the protocol"),
        (&[b"trine-hand-over 9 ask"], "another version"),
        (
            &[b"trine-hand-over 1 ready"],
            "does not keep to the protocol",
        ),
        (
            &[ASK.as_bytes(), ASK.as_bytes()],
            "does not keep to the protocol",
        ),
        (
            &[ASK.as_bytes(), b"trine-hand-over 1 go"],
            "does not keep to the protocol",
        ),
        (&[ASK.as_bytes()], "not ready in time"), // and says nothing
    ];
    for (messages, why) in rows {
        let successor = connect(&path);
        for message in messages {
            says(&successor, message);
        }
        if messages[0] == ASK.as_bytes() {
            let given = hears(&successor);
            assert!(
                given.starts_with("trine-hand-over 1 sockets\0tcp 127.0.0.1:0"),
                "{given}"
            );
        }
        let refused = hears(&successor);
        assert!(
            refused.starts_with("trine-hand-over 1 refused\0"),
            "{refused}"
        );
        assert!(refused.contains(why), "{refused}");
        assert_eq!(hears(&successor), "");
        assert_eq!(Client::connect(address).get("/").text(), "here");
    }
    // One that floods the queue and goes, and one that stays silent, are not in anybody's way for long.
    for _ in 0..10 {
        drop(connect(&path));
    }
    let _silent = connect(&path);
    let patient = HandOver::at(&path).unwrap();
    assert!(patient.is_successor());
    drop(patient);
    assert_eq!(Client::connect(address).get("/").text(), "here");
}

/// Nor is its turn kept from the next one.
#[test]
fn a_successor_that_goes_leaves_nothing_behind_on_the_loop() {
    let folder = Folder::new("hand-over-goes");
    let path = folder.path("socket");
    let running = offering(&path);
    for round in 0..60 {
        let successor = HandOver::at(&path).unwrap();
        drop(successor);
        let sources = running.counters().sources;
        eventually("the end of the successor", || {
            running.counters().sources <= 4
        });
        assert!(sources <= 5, "round {round}: {sources}");
    }
    drop(running);
    assert!(!Path::new(&path).exists());
}

/// The second descriptors, kept to be passed on, must not keep a socket open that nobody accepts on.
#[test]
fn a_draining_server_that_offered_its_sockets_refuses_who_comes_and_offers_nothing() {
    let folder = Folder::new("hand-over-drains");
    let path = folder.path("socket");
    let hand_over = HandOver::at(&path).unwrap();
    let mut hand_over = hand_over.patience(Duration::from_millis(300));
    let listener = hand_over.bind_tcp("127.0.0.1:0").unwrap();
    let running = run(Server::over(listener).hand_over(hand_over), support::site);
    let address = running.address();
    let mut slow = running.client();
    slow.send(support::client::get("/later/1500"));
    eventually("a request", || running.counters().server.requests == 1);
    running.drain(Duration::from_secs(10));
    eventually("nobody listens", || TcpStream::connect(address).is_err());
    assert!(!Path::new(&path).exists());
    assert_eq!(slow.answer().text(), "late");
    drop(slow);
    running.ended().unwrap();
}
