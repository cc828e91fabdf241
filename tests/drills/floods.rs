//! Clients that want too much at once, leave in the middle, or say what is far too long.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::bars::{gate_share, scale};
use super::bystander::ask;
use super::crowd::{End, Habit, crowd};
use super::drill::Drill;
use super::support::client::get;

const PATIENCE: Duration = Duration::from_secs(20);

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Closes by a reset.
fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// A request whose answer says which one it was, and always is as long.
fn numbered(number: usize) -> Vec<u8> {
    get(&format!("/response-header?v={number:06}"))
}

fn number_of(answer: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(answer).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("X-Value: "))?;
    line.parse().ok()
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn a_hundred_thousand_pipelined_requests_are_answered_in_order_and_starve_nobody() {
    let drill = Drill::begin("pipelined requests", &["--max-requests", "200000"]);
    let address = drill.address();
    let began = Instant::now();
    let mut rounds = 0;
    while began.elapsed() < Duration::from_secs(2 * scale() as u64) {
        let start = |_| thread::spawn(move || pipeline(address, DEPTH));
        let clients: Vec<_> = (0..4).map(start).collect();
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        rounds += 1;
    }
    let took = began.elapsed() / rounds;
    drill.say(&format!(
        "4 connections, {DEPTH} requests on each, in order, in {took:.2?}, {rounds} times"
    ));
    drill.end();
}

const DEPTH: usize = 100_000;

/// Writes `count` requests without waiting, while another thread reads the answers.
fn pipeline(address: SocketAddr, count: usize) {
    let mut writer = connect(address);
    let mut reader = writer.try_clone().unwrap();
    let reading = thread::spawn(move || {
        let mut answer = vec![0; answer_len(&mut reader)];
        for number in 1..count {
            reader.read_exact(&mut answer).unwrap();
            assert_eq!(number_of(&answer), Some(number));
        }
    });
    let requests: Vec<u8> = (0..count).flat_map(numbered).collect();
    writer.write_all(&requests).unwrap();
    reading.join().unwrap();
}

/// Reads the first answer, number 0.
fn answer_len(reader: &mut TcpStream) -> usize {
    let mut answer = Vec::new();
    let mut octet = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        reader.read_exact(&mut octet).unwrap();
        answer.push(octet[0]);
    }
    assert_eq!(number_of(&answer), Some(0));
    let head = String::from_utf8(answer).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.unwrap().parse().unwrap();
    reader.read_exact(&mut vec![0; length]).unwrap();
    head.len() + length
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn pipelined_requests_whose_answers_nobody_reads_stop_the_parser() {
    let drill = Drill::begin("pipelined, unread", &["--max-requests", "200000"]);
    let count = 60 * scale();
    let habit = Habit {
        first: get("/bytes/65536").repeat(2000),
        drip: None,
        reads: false,
    };
    let cuts = crowd(drill.address(), &habit, count, count, PATIENCE);
    assert_eq!((cuts.left, cuts.after.len()), (0, count));
    let key = (String::new(), End::Reset);
    assert_eq!(cuts.ends.get(&key), Some(&count));
    drill.say(&format!(
        "{count} cut after {:.3?} to {:.3?}",
        cuts.first(),
        cuts.last()
    ));
    let report = drill.end();
    let each = (report.peak - report.base.resident) / count;
    println!(
        "pipelined, unread: {} KiB of memory each at the peak (bar 256)",
        each >> 10
    );
    assert!(each <= 256 << 10);
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn clients_that_half_close_are_answered_and_nothing_spins() {
    let drill = Drill::begin("half-closed", &[]);
    let ask_and_shut = |request: &[u8]| {
        let mut stream = connect(drill.address());
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream
    };
    let whole = |mut stream: TcpStream| {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    };
    let early = b"POST /anything HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc";
    let broken: Vec<_> = (0..50).map(|_| ask_and_shut(early)).collect();
    for stream in broken {
        let answer = whole(stream);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    let waiting: Vec<_> = (0..50).map(|_| ask_and_shut(&get("/delay/1500"))).collect();
    let (before, began) = (drill.vitals(), Instant::now());
    let answers: Vec<_> = waiting.into_iter().map(whole).collect();
    let share = (drill.vitals().busy - before.busy).as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(answers.iter().all(|answer| answer.ends_with("later")));
    drill.say(&format!(
        "50 of 50 answered; {:.2} % of a processor (bar 2, bystander included)",
        share * 100.0
    ));
    assert!(share <= gate_share(0.02));
    drill.end();
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn resets_at_any_moment_are_reaped_at_once() {
    let drill = Drill::begin("resets", &[]);
    let request = get("/bytes/100000");
    let count = 20_000 * scale();
    for number in 0..count {
        let mut stream = connect(drill.address());
        let cut = number % (request.len() + 1);
        stream.write_all(&request[..cut]).unwrap();
        if number % 3 == 0 && cut == request.len() {
            stream.read_exact(&mut [0; 100]).unwrap();
        }
        reset(stream);
    }
    let began = Instant::now();
    let base = drill.base().descriptors;
    while drill.vitals().descriptors > base + 2 && began.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(10));
    }
    let took = began.elapsed();
    drill.say(&format!(
        "{count} resets; descriptors back after {took:.2?} (bar 1 s)"
    ));
    assert!(took < Duration::from_secs(10));
    drill.end();
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn connections_that_come_and_go_get_nobody_elses_answer() {
    let drill = Drill::begin("churn", &[]);
    let (address, each) = (drill.address(), 10_000 * scale());
    let clients: Vec<_> = (0..4)
        .map(|client| thread::spawn(move || churn(address, client * each, each)))
        .collect();
    let answered: usize = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .sum();
    drill.say(&format!(
        "{} connections, {answered} answers, none to another",
        4 * each
    ));
    drill.end();
}

/// Of ten connections four are reset with their answer under way. Gives how many were answered.
pub fn churn(address: SocketAddr, first: usize, count: usize) -> usize {
    let mut answered = 0;
    for number in first..first + count {
        let mut stream = connect(address);
        stream.write_all(&numbered(number % 1_000_000)).unwrap();
        if number % 10 < 4 {
            reset(stream);
            continue;
        }
        let mut answer = [0; 1024];
        let mut len = 0;
        while number_of(&answer[..len]).is_none() {
            len += stream.read(&mut answer[len..]).unwrap();
        }
        assert_eq!(number_of(&answer[..len]), Some(number % 1_000_000));
        answered += 1;
        reset(stream); // no port waits for its end
    }
    answered
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn a_flood_beyond_the_limit_holds_no_more_than_the_limit_and_ends() {
    let mut drill = Drill::begin("flood", &["--max-connections", "200"]);
    drill.pause_bystander(); // its place is taken too
    let base = drill.base().descriptors;
    let mut clients: Vec<_> = (0..600).map(|_| connect(drill.address())).collect();
    thread::sleep(Duration::from_millis(300));
    let held = drill.vitals().descriptors - base;
    let refused = clients
        .iter_mut()
        .filter_map(|client| is_refused(client).then_some(()))
        .count();
    drill.say(&format!(
        "600 clients: {held} descriptors held (limit 200, 64 more are told 503), {refused} refused"
    ));
    assert!((200..=200 + 64).contains(&held), "{held}");
    assert!(refused > 0);
    drop(clients);
    let began = Instant::now();
    while ask(drill.address()).is_err() {
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(10));
    }
    drill.say(&format!(
        "served {:.0?} after the flood ended",
        began.elapsed()
    ));
    drill.resume_bystander();
    thread::sleep(Duration::from_secs(1));
    drill.end();
}

/// Whether 503 has come.
fn is_refused(client: &mut TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).is_ok() && answer == *b"HTTP/1.1 503"
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn what_is_far_too_long_is_refused_without_memory() {
    let drill = Drill::begin("too long", &[]);
    let field = |field: &str| format!("GET /hello HTTP/1.1\r\nHost: a.test\r\n{field}");
    let post = |field: &str| format!("POST /anything HTTP/1.1\r\nHost: a.test\r\n{field}\r\n\r\n");
    let chunked = post("Transfer-Encoding: chunked");
    let cases = [
        ("target", "GET /".to_owned(), "a", "414"),
        ("field value", field("a: "), "b", "431"),
        ("field name", field(""), "a", "431"),
        ("number of fields", field(""), "a: b\r\n", "431"),
        ("empty lines", String::new(), "\r\n", "400"),
        (
            "body by length",
            post("Content-Length: 8388608"),
            "a",
            "413",
        ),
        ("body in chunks", chunked.clone(), "10000\r\n", "413"),
        ("chunk extensions", chunked.clone() + "1;", "a", "4"),
        ("tiny chunks", chunked.clone(), "1\r\na\r\n", "413"),
        ("zeros of a size", chunked.clone(), "0", "4"),
        ("trailers", chunked + "0\r\n", "a: b\r\n", "431"),
    ];
    for (name, first, repeated, status) in cases {
        let repeated = match name {
            "body in chunks" => format!("10000\r\n{}\r\n", "a".repeat(0x10000)),
            _ => repeated.to_owned(),
        };
        let (sent, answer) = pour(drill.address(), &first, &repeated, 8 << 20);
        drill.say(&format!(
            "{name}: {answer} after {} KiB were given to the kernel",
            sent >> 10
        ));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{name}: {answer}"
        );
    }
    let report = drill.end();
    let grown = (report.peak - report.base.resident) >> 10;
    println!(
        "too long: memory grew by {grown} KiB at the peak (bar 1024 for each, body limit 1024)"
    );
    assert!(grown <= 3 * 1024);
}

/// Says `first` and then `repeated` without an end, up to `most` octets; what was taken, and the answer.
fn pour(address: SocketAddr, first: &str, repeated: &str, most: usize) -> (usize, String) {
    let mut stream = connect(address);
    stream.write_all(first.as_bytes()).unwrap();
    let mut heard = stream.try_clone().unwrap();
    let hearing = thread::spawn(move || {
        let mut line = [0; 64];
        let len = heard.read(&mut line)?;
        let line = String::from_utf8_lossy(&line[..len]).into_owned();
        io::Result::Ok(line.lines().next().unwrap_or("").to_owned())
    });
    let block = repeated.repeat((4096 / repeated.len()).max(1));
    let mut sent = 0;
    while sent < most && !hearing.is_finished() {
        match stream.write(block.as_bytes()) {
            Ok(len) => sent += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    (sent, hearing.join().unwrap().unwrap())
}
