//! The machine fails the server: descriptors, signals, clock, time, memory.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;

use super::bars::{gate, gate_share, scale};
use super::bystander::ask;
use super::crowd::{Habit, crowd};
use super::drill::{Drill, command};
use super::floods::connect;
use super::support::client::get;
use super::support::program::Folder;

fn idle() -> Habit {
    Habit {
        first: get("/hello"),
        drip: None,
        reads: true,
    }
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn without_descriptors_the_server_is_still_and_serves_when_some_are_free() {
    let wrapper = ["prlimit", "--nofile=64:64"];
    let flags = ["--max-connections", "1000", "--head-timeout", "20000"];
    let mut drill = Drill::of("no descriptors", &mut command(&wrapper, &flags));
    drill.pause_bystander();
    // Each has begun a request: idle ones would give up their places.
    let begin = |_| {
        let mut client = connect(drill.address());
        client.write_all(b"GET /hello HTTP/1.1\r\n").unwrap();
        client
    };
    let clients: Vec<_> = (0..150).map(begin).collect();
    thread::sleep(Duration::from_millis(500));
    let (before, began) = (drill.vitals(), Instant::now());
    thread::sleep(Duration::from_secs(2));
    let during = drill.vitals();
    let share = (during.busy - before.busy).as_secs_f64() / began.elapsed().as_secs_f64();
    drill.say(&format!(
        "{} of 64 descriptors, 150 clients: {:.2} % of a processor (bar 5)",
        during.descriptors,
        share * 100.0
    ));
    assert!(during.descriptors >= 56, "{during:?}");
    assert!(share <= gate_share(0.05));
    drop(clients);
    let began = Instant::now();
    while ask(drill.address()).is_err() {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    drill.say(&format!(
        "served {:.0?} after they left (bar 1 s)",
        began.elapsed()
    ));
    drill.resume_bystander();
    thread::sleep(Duration::from_secs(1));
    drill.end();
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn no_descriptor_is_closed_twice() {
    let folder = Folder::new("drill-closes");
    let log = folder.path("log");
    let wrapper = ["strace", "-D", "-f", "-q", "-e", "trace=close", "-o", &log];
    let drill = Drill::of("closes", &mut command(&wrapper, &[]));
    for number in 0..500 {
        let mut stream = connect(drill.address());
        stream
            .write_all(&get("/bytes/65536")[..20 + number % 20])
            .unwrap();
        if number % 2 == 0 {
            socket2::Socket::from(stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
    }
    drill.end();
    thread::sleep(Duration::from_millis(300)); // the tracer writes its last line
    let log = fs::read_to_string(log).unwrap();
    let (closed, twice) = (log.matches("close(").count(), log.matches("EBADF").count());
    println!("closes: {closed} descriptors closed, {twice} of them not open (bar 0)");
    assert!(closed > 500 && twice == 0);
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn five_thousand_clients_that_come_while_the_server_is_stopped_are_served_after() {
    let mut drill = Drill::begin("stopped, 5000 clients", &["--max-connections", "9000"]);
    drill.pause_bystander();
    let address = drill.address();
    drill.signal(Signal::Stop);
    let threads: Vec<_> = (0..50)
        .map(|_| {
            thread::spawn(move || {
                let mut streams: Vec<_> = (0..100).map(|_| connect(address)).collect();
                for stream in &mut streams {
                    stream.write_all(&get("/hello")).unwrap();
                }
                streams
                    .iter_mut()
                    .filter_map(|stream| is_answered(stream).then_some(()))
                    .count()
            })
        })
        .collect();
    thread::sleep(Duration::from_secs(2));
    drill.signal(Signal::Cont);
    let began = Instant::now();
    let answered: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    drill.say(&format!(
        "{answered} of 5000 answered, {:.2?} after it went on",
        began.elapsed()
    ));
    assert_eq!(answered, 5000);
    drill.resume_bystander();
    thread::sleep(Duration::from_secs(1));
    drill.end();
}

fn is_answered(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).is_ok() && answer == *b"HTTP/1.1 200"
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn deadlines_that_came_while_the_server_was_stopped_are_met_at_once_and_none_before() {
    let mut drill = Drill::begin("stopped for long", &[]);
    drill.pause_bystander();
    let (address, count) = (drill.address(), 500);
    let clients =
        thread::spawn(move || crowd(address, &idle(), count, 2000, Duration::from_secs(60)));
    thread::sleep(Duration::from_secs(1)); // all are there and answered
    drill.signal(Signal::Stop);
    thread::sleep(Duration::from_secs(if scale() > 1 { 10 } else { 4 }));
    drill.signal(Signal::Cont);
    let began = Instant::now();
    let cuts = clients.join().unwrap();
    let took = began.elapsed();
    drill.say(&format!(
        "{} of {count} idle ones cut, the last {took:.1?} after it went on (bar 100 ms)",
        cuts.after.len()
    ));
    assert_eq!((cuts.left, cuts.after.len()), (0, count));
    assert!(cuts.first() >= Duration::from_secs(3));
    assert!(took <= gate(Duration::from_millis(100)) + drill.starved());
    drill.resume_bystander();
    thread::sleep(Duration::from_secs(1));
    drill.end();
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn a_storm_of_signals_that_interrupt_every_wait_is_not_noticed() {
    let drill = Drill::begin("stopped and going on", &[]);
    let (began, mut sent) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(2) {
        drill.signal(Signal::Stop);
        drill.signal(Signal::Cont);
        sent += 1;
        thread::sleep(Duration::from_micros(200));
    }
    drill.say(&format!("interrupted {sent} times in 2 s"));
    drill.end();
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn ten_thousand_signals_a_second_are_merged_and_harm_nobody() {
    let folder = Folder::new("drill-signals");
    let (log, old) = (folder.path("log"), folder.path("old"));
    let drill = Drill::begin("signals", &["--access-log", &log]);
    let (before, began, mut sent) = (drill.vitals(), Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(2) {
        let due = (began.elapsed().as_secs_f64() * 10_000.0) as u64;
        for _ in sent..due {
            drill.signal(Signal::Hup); // the log is opened anew
        }
        sent = due;
        thread::sleep(Duration::from_micros(500));
    }
    let share = (drill.vitals().busy - before.busy).as_secs_f64() / began.elapsed().as_secs_f64();
    fs::rename(&log, old).unwrap();
    let asked = Instant::now();
    drill.signal(Signal::Hup);
    while fs::metadata(&log).is_err() && asked.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(1));
    }
    let seen = asked.elapsed();
    drill.say(&format!(
        "{sent} in 2 s: {:.1} % of a processor (bar 20); the last one's effect after {seen:.1?} (bar 50 ms)",
        share * 100.0
    ));
    assert!(share <= gate_share(0.2));
    assert!(seen <= gate(Duration::from_millis(50)) + drill.starved());
    drill.end();
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn a_wall_clock_that_jumps_moves_no_deadline_and_the_date_follows() {
    if Command::new("cc")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("wall clock: skipped: there is no C compiler (cc)");
        return;
    }
    let folder = Folder::new("drill-clock");
    let (library, offset) = (folder.path("clock.so"), folder.path("offset"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drills/wall_clock.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o", &library, source])
        .status();
    assert!(built.unwrap().success());
    fs::write(&offset, 0_i64.to_ne_bytes()).unwrap();
    let mut command = command(&[], &[]);
    command
        .env("LD_PRELOAD", &library)
        .env("WALL_CLOCK_OFFSET", &offset);
    let drill = Drill::of("wall clock", &mut command);
    let address = drill.address();
    let hours = 3600;
    for seconds in [hours, -hours, 10 * 365 * 24 * hours, -10 * 365 * 24 * hours] {
        let clients =
            thread::spawn(move || crowd(address, &idle(), 50, 500, Duration::from_secs(30)));
        thread::sleep(Duration::from_secs(1));
        fs::write(&offset, i64::to_ne_bytes(seconds)).unwrap();
        thread::sleep(Duration::from_millis(1100)); // the bar for the Date
        let off = date_off(address, seconds);
        let cuts = clients.join().unwrap();
        drill.say(&format!(
            "set by {seconds} s: 50 idle ones cut after {:.3?} to {:.3?} (bar 3.0 to 3.2 s), Date off by {off} s (bar 1)",
            cuts.first(),
            cuts.last()
        ));
        assert_eq!((cuts.left, cuts.after.len()), (0, 50));
        assert!(cuts.first() >= Duration::from_secs(3));
        assert!(
            cuts.last()
                <= Duration::from_secs(3) + gate(Duration::from_millis(200)) + drill.starved()
        );
        assert!(off <= 1);
    }
    drill.end();
}

/// How far the Date of an answer is from the wall clock that was set by `seconds`.
fn date_off(address: std::net::SocketAddr, seconds: i64) -> u64 {
    let mut stream = connect(address);
    stream.write_all(&get("/hello")).unwrap();
    let mut answer = [0; 1024];
    let len = stream.read(&mut answer).unwrap();
    let head = String::from_utf8_lossy(&answer[..len]).into_owned();
    let date = head.lines().find_map(|line| line.strip_prefix("Date: "));
    let date = httpdate::parse_http_date(date.unwrap()).unwrap();
    let since = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let expected = since(SystemTime::now())
        .checked_add_signed(seconds)
        .unwrap();
    since(date).abs_diff(expected)
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn in_64_mib_a_flood_of_clients_that_do_not_read_is_refused_and_survived() {
    let group = format!("/sys/fs/cgroup/memory/trine-drill-{}", std::process::id());
    let limit = fs::create_dir(&group)
        .and_then(|()| fs::write(format!("{group}/memory.limit_in_bytes"), "67108864"));
    let enter = format!("echo $$ > {group}/cgroup.procs && exec \"$@\"");
    let wrapper = match &limit {
        Ok(()) => vec!["sh", "-c", &enter, "sh"],
        Err(error) => {
            println!(
                "memory: no cgroup of version 1 to write to ({error}): an address space of 256 MiB instead"
            );
            vec!["prlimit", "--as=268435456"]
        }
    };
    let mut drill = Drill::of(
        "memory",
        &mut command(&wrapper, &["--max-connections", "200"]),
    );
    drill.pause_bystander(); // its place is taken too
    let habit = Habit {
        first: get("/bytes/8388608"),
        drip: None,
        reads: false,
    };
    let count = 1000 * scale();
    let cuts = crowd(drill.address(), &habit, count, 2000, Duration::from_secs(6));
    drill.say(&format!(
        "{} of {count} reset by the server, the rest told 503",
        cuts.after.len()
    ));
    drill.resume_bystander();
    thread::sleep(Duration::from_secs(1));
    let report = drill.end();
    assert!(report.peak < 64 << 20, "{report:?}", report = report.peak);
    if limit.is_ok() {
        let _ = fs::remove_dir(&group); // a leftover harms nobody
    }
}
