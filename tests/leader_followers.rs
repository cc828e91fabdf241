//! Threads that take turns at waiting for events: no event is lost, none is told twice at a time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use trine::concurrency::{Handler, LeaderFollowers, TeamContext, TeamOptions};
use trine::reactor::{ErrorKind, InboxSender, Mail, Removed};
use trine::time::{Span, Tick};
use trine::{Event, EventLoop, Next, Result, Sources};

/// What each thread has of its own: its number.
type Local = usize;

/// A team on a loop of a thread of its own.
struct Team {
    team: LeaderFollowers<Local>,
    control: InboxSender<Duration>,
    thread: JoinHandle<Result<()>>,
}

fn team(threads: usize) -> Team {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        let mut events = EventLoop::<()>::new()?;
        let options = TeamOptions {
            threads,
            handlers_max: 1_000,
        };
        let team = LeaderFollowers::attach(&mut events, options, |number| number)?;
        let control = events.inbox(4, |(), mail, cx| {
            if let Mail::Message(grace) = mail {
                cx.drain(grace);
            }
        })?;
        sender.send((team, control)).unwrap();
        events.run(&mut ())
    });
    let (team, control) = receiver.recv().unwrap();
    Team {
        team,
        control,
        thread,
    }
}

impl Team {
    fn drain(self, grace: Duration) -> Result<()> {
        self.control.try_send(grace).unwrap();
        self.thread.join().unwrap()
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (client, server) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    (client, server)
}

/// Sends back what it gets, and says what it saw.
struct Echo<D> {
    stream: D,
    busy: AtomicBool,
    seen: mpsc::Sender<Seen>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    Served { by: Local },
    Drain,
    Removed(Removed),
}

impl<D> Echo<D> {
    fn new(stream: D) -> (Echo<D>, mpsc::Receiver<Seen>) {
        let (seen, receiver) = mpsc::channel();
        let busy = AtomicBool::new(false);
        (Echo { stream, busy, seen }, receiver)
    }
}

impl<D: Read + Write + AsFd + Send + 'static> Handler<Local> for Echo<D> {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }

    fn handle(&mut self, event: Event, local: &mut Local, _: &TeamContext<'_>) -> Next {
        assert!(
            !self.busy.swap(true, Ordering::SeqCst),
            "two threads at a time"
        );
        let _ = self.seen.send(Seen::Served { by: *local });
        if let Event::Drain = event {
            let _ = self.seen.send(Seen::Drain);
            return Next::Close;
        }
        let mut buffer = [0; 4096];
        let next = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break Next::Close,
                Ok(len) => self.stream.write_all(&buffer[..len]).unwrap(),
                Err(_) => break Next::Wait,
            }
        };
        self.busy.store(false, Ordering::SeqCst);
        next
    }

    fn removed(self: Box<Self>, why: Removed, _: &mut Local, _: &TeamContext<'_>) {
        let _ = self.seen.send(Seen::Removed(why));
    }
}

fn round_trip(client: &mut (impl Read + Write), bytes: &[u8]) {
    client.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    client.read_exact(&mut back).unwrap();
    assert_eq!(back, bytes);
}

#[test]
fn many_connections_are_served_by_all_threads_and_each_by_one_at_a_time() {
    let team = team(4);
    let mut all = Vec::new();
    for _ in 0..64 {
        let (client, server) = pair();
        let (echo, seen) = Echo::new(server);
        assert!(team.team.insert(echo).is_ok());
        all.push((client, seen));
    }
    let clients: Vec<_> = all
        .into_iter()
        .map(|(mut client, seen)| {
            thread::spawn(move || {
                for round in 0..200_u32 {
                    round_trip(&mut client, &round.to_be_bytes());
                }
                drop(client);
                let by: Vec<_> = seen.iter().collect();
                assert_eq!(by.last(), Some(&Seen::Removed(Removed::Closed)));
                by
            })
        })
        .collect();
    let mut threads = [0; 4];
    for client in clients {
        for seen in client.join().unwrap() {
            if let Seen::Served { by } = seen {
                threads[by] += 1;
            }
        }
    }
    assert!(threads.iter().all(|served| *served > 0), "{threads:?}");
    let end = Instant::now() + Duration::from_secs(10);
    while team.team.metrics().live > 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(1)); // the last call comes before it is counted out
    }
    assert_eq!(team.team.metrics().live, 0);
    assert_eq!(team.team.metrics().panics, 0);
    team.drain(Duration::from_secs(5)).unwrap();
}

#[test]
fn connections_that_come_and_go_do_not_meet_one_anothers_events() {
    let team = team(3);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let clients: Vec<_> = (0..4)
        .map(|number: u8| {
            thread::spawn(move || {
                for round in 0..150_u8 {
                    let mut client = TcpStream::connect(address).unwrap();
                    round_trip(&mut client, &[number, round]);
                }
            })
        })
        .collect();
    for _ in 0..600 {
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        let (echo, _) = Echo::new(server);
        assert!(team.team.insert(echo).is_ok());
    }
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    team.drain(Duration::from_secs(5)).unwrap();
}

/// Reads once a call, slowly.
struct Slow {
    stream: UnixStream,
    got: Arc<Mutex<Vec<u8>>>,
}

impl Handler<Local> for Slow {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }

    fn handle(&mut self, _: Event, _: &mut Local, _: &TeamContext<'_>) -> Next {
        let mut buffer = [0; 100];
        while let Ok(len @ 1..) = self.stream.read(&mut buffer) {
            self.got.lock().unwrap().extend_from_slice(&buffer[..len]);
        }
        thread::sleep(Duration::from_millis(50)); // what comes now is not read
        Next::Wait
    }
}

#[test]
fn an_edge_that_comes_while_a_thread_has_the_handler_is_served_by_that_thread() {
    let team = team(2);
    let (mut client, server) = pair();
    let got = Arc::default();
    let slow = Slow {
        stream: server,
        got: Arc::clone(&got),
    };
    assert!(team.team.insert(slow).is_ok());
    for octet in 0..20 {
        client.write_all(&[octet]).unwrap();
        thread::sleep(Duration::from_millis(7));
    }
    let end = Instant::now() + Duration::from_secs(10);
    while got.lock().unwrap().len() < 20 && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(*got.lock().unwrap(), (0..20).collect::<Vec<_>>());
    assert!(team.team.metrics().missed > 0);
    drop(client);
    assert!(
        team.drain(Duration::from_millis(50)).is_err(),
        "it never closes"
    );
}

/// Waits for `after`, again and again.
struct Clockwork {
    stream: UnixStream,
    after: Span,
    until: Tick,
    rang: mpsc::Sender<(Tick, Tick)>,
}

impl Handler<Local> for Clockwork {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }

    fn handle(&mut self, event: Event, _: &mut Local, cx: &TeamContext<'_>) -> Next {
        match event {
            Event::Drain => return Next::Close,
            Event::Deadline => {
                let _ = self.rang.send((self.until, cx.now()));
                self.until = cx.now().after(self.after);
            }
            Event::Resumed => self.until = cx.now().after(self.after),
            _ => {}
        }
        Next::Until(self.until)
    }
}

#[test]
fn deadlines_come_not_early_and_each_on_its_own_while_all_threads_wait() {
    let team = team(2);
    let clockwork = |millis| {
        let (client, stream) = pair();
        let (rang, receiver) = mpsc::channel();
        let after = Span::from_millis(millis);
        let until = Tick::NEVER;
        let clock = Clockwork {
            stream,
            after,
            until,
            rang,
        };
        assert!(team.team.insert(clock).is_ok());
        (client, receiver)
    };
    let far = clockwork(3_600_000);
    thread::sleep(Duration::from_millis(30)); // the leader sleeps until then
    let near: Vec<_> = [20, 35, 50].map(clockwork).into();
    for (_, rang) in &near {
        for _ in 0..5 {
            let (until, at) = rang.recv_timeout(Duration::from_secs(10)).unwrap();
            assert!(at >= until, "{at:?} for {until:?}");
        }
    }
    assert!(far.1.try_recv().is_err());
    team.drain(Duration::from_secs(5)).unwrap();
}

/// Panics when it is asked to.
struct Frail(UnixStream);

impl Handler<Local> for Frail {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn handle(&mut self, event: Event, _: &mut Local, _: &TeamContext<'_>) -> Next {
        assert!(
            !matches!(event, Event::Ready(ready) if ready.is_readable()),
            "asked to"
        );
        Next::Wait
    }
}

#[test]
fn a_handler_that_panics_ends_alone_and_every_thread_goes_on() {
    let team = team(2);
    let mut frail = Vec::new();
    for _ in 0..20 {
        let (client, server) = pair();
        assert!(team.team.insert(Frail(server)).is_ok());
        frail.push(client);
    }
    for client in &mut frail {
        client.write_all(b"!").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0, "it is closed");
    }
    assert_eq!(team.team.metrics().panics, 20);
    let (mut client, server) = pair();
    let (echo, _seen) = Echo::new(server);
    assert!(team.team.insert(echo).is_ok());
    round_trip(&mut client, b"still here");
    team.drain(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_drain_of_the_loop_is_told_to_every_handler_and_the_loop_waits_for_them() {
    let team = team(3);
    let mut all = Vec::new();
    for _ in 0..50 {
        let (client, server) = pair();
        let (echo, seen) = Echo::new(server);
        assert!(team.team.insert(echo).is_ok());
        all.push((client, seen));
    }
    team.drain(Duration::from_secs(5)).unwrap();
    for (_client, seen) in all {
        let seen: Vec<_> = seen.iter().collect();
        assert!(seen.contains(&Seen::Drain));
        assert_eq!(seen.last(), Some(&Seen::Removed(Removed::Closed)));
    }
}

#[test]
fn a_drain_that_takes_too_long_removes_all_and_says_so() {
    let team = team(2);
    let (client, server) = pair();
    let slow = Slow {
        stream: server,
        got: Arc::default(),
    };
    assert!(team.team.insert(slow).is_ok());
    let ended = team.drain(Duration::from_millis(100));
    assert_eq!(
        ended.map_err(|error| error.kind()),
        Err(ErrorKind::DrainForced)
    );
    assert_eq!((&client).read(&mut [0]).unwrap(), 0, "it is closed");
}

/// Is woken from elsewhere, and has nothing that could be watched.
struct Sleeper {
    woken: Arc<AtomicUsize>,
    wakers: mpsc::Sender<trine::reactor::Waker>,
}

impl Handler<Local> for Sleeper {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn handle(&mut self, event: Event, _: &mut Local, cx: &TeamContext<'_>) -> Next {
        match event {
            Event::Resumed => self.wakers.send(cx.waker()).unwrap(),
            Event::Woken => {
                self.woken.fetch_add(1, Ordering::SeqCst);
            }
            Event::Drain => return Next::Close,
            _ => {}
        }
        Next::Wait
    }
}

#[test]
fn a_handler_is_woken_from_any_thread_and_no_wake_up_is_lost() {
    let team = team(2);
    let (wakers, receiver) = mpsc::channel();
    let woken = Arc::new(AtomicUsize::new(0));
    let sleeper = Sleeper {
        woken: Arc::clone(&woken),
        wakers,
    };
    assert!(team.team.insert(sleeper).is_ok());
    let waker = receiver.recv().unwrap();
    for round in 1..=2_000 {
        waker.wake();
        let end = Instant::now() + Duration::from_secs(10);
        while woken.load(Ordering::SeqCst) < round {
            assert!(Instant::now() < end, "wake-up {round} was lost");
            thread::yield_now();
        }
    }
    team.drain(Duration::from_secs(5)).unwrap();
}

/// Has nothing that could be watched: notes when it has slept.
struct Dreamer(mpsc::Sender<Event>);

impl Handler<Local> for Dreamer {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn handle(&mut self, event: Event, _: &mut Local, cx: &TeamContext<'_>) -> Next {
        self.0.send(event).unwrap();
        match event {
            Event::Resumed => Next::Until(cx.now().after(Span::from_millis(20))),
            Event::Drain => Next::Close,
            _ => Next::Wait,
        }
    }
}

#[test]
fn a_handler_without_a_descriptor_has_its_deadline_and_hears_of_the_drain() {
    let team = team(2);
    let (sender, told) = mpsc::channel();
    assert!(team.team.insert(Dreamer(sender)).is_ok());
    let next = || told.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(matches!(next(), Event::Resumed));
    assert!(matches!(next(), Event::Deadline));
    let metrics = team.team.clone();
    team.drain(Duration::from_secs(5)).unwrap();
    assert!(matches!(next(), Event::Drain));
    assert!(told.recv().is_err(), "it is gone");
    assert_eq!(metrics.metrics().live, 0);
}

#[test]
fn a_team_without_room_gives_the_handler_back() {
    let mut events = EventLoop::<()>::new().unwrap();
    let options = TeamOptions {
        threads: 1,
        handlers_max: 1,
    };
    let team = LeaderFollowers::attach(&mut events, options, |number| number).unwrap();
    let (_first, server) = pair();
    assert!(team.insert(Frail(server)).is_ok());
    let (mut second, server) = pair();
    let Err((handler, error)) = team.insert(Frail(server)) else {
        panic!("there was room");
    };
    assert!(error.to_string().contains("seat"), "{error}");
    drop(handler);
    assert_eq!(second.read(&mut [0]).unwrap(), 0);
    drop(events); // ends the threads
}

/// Notes what it is told.
struct Noter {
    stream: UnixStream,
    told: mpsc::Sender<Event>,
}

impl Handler<Local> for Noter {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }

    fn handle(&mut self, event: Event, _: &mut Local, _: &TeamContext<'_>) -> Next {
        let _ = self.told.send(event);
        match event {
            Event::Drain => Next::Close,
            _ => Next::Wait,
        }
    }
}

#[test]
fn the_first_event_of_a_handler_is_its_turn_without_news_even_in_a_drain() {
    for round in 0..100 {
        let team = team(2);
        let (mut client, stream) = pair();
        client.write_all(b"already there").unwrap();
        let (told, events) = mpsc::channel();
        if round % 2 == 1 {
            team.control.try_send(Duration::from_secs(5)).unwrap();
        }
        // A team that has ended takes nobody.
        if team.team.insert(Noter { stream, told }).is_ok() {
            let first = events.recv_timeout(Duration::from_secs(10)).unwrap();
            assert!(
                matches!(first, Event::Resumed),
                "{first:?} in round {round}"
            );
        }
        let _ = team.control.try_send(Duration::from_secs(5));
        team.thread.join().unwrap().unwrap();
    }
}

#[test]
fn a_team_that_has_ended_gives_handlers_back() {
    let team = team(2);
    let late = team.team.clone();
    team.drain(Duration::from_secs(5)).unwrap();
    let (_client, server) = pair();
    let Err((_, error)) = late.insert(Frail(server)) else {
        panic!("nobody will serve it");
    };
    assert!(error.to_string().contains("ended"), "{error}");
}

/// Answers by the time it was told, after it has taken its own.
struct Dawdler {
    stream: UnixStream,
    until: Option<(Instant, Tick)>,
    rang: mpsc::Sender<Duration>,
}

impl Handler<Local> for Dawdler {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }

    fn handle(&mut self, event: Event, _: &mut Local, cx: &TeamContext<'_>) -> Next {
        match event {
            Event::Drain => return Next::Close,
            Event::Resumed => {
                thread::sleep(Duration::from_millis(300)); // an edge comes meanwhile
                return Next::Wait;
            }
            Event::Deadline => {
                if let Some((asked, _)) = self.until {
                    let _ = self.rang.send(asked.elapsed());
                }
                return Next::Wait;
            }
            _ if self.until.is_none() => {
                let until = cx.now().after(Span::from_millis(200));
                self.until = Some((Instant::now(), until));
            }
            _ => {}
        }
        self.until
            .map_or(Next::Wait, |(_, until)| Next::Until(until))
    }
}

#[test]
fn a_handler_that_is_called_again_after_a_long_call_is_told_the_present() {
    let team = team(1);
    let (mut client, stream) = pair();
    let (rang, receiver) = mpsc::channel();
    let until = None;
    assert!(
        team.team
            .insert(Dawdler {
                stream,
                until,
                rang
            })
            .is_ok()
    );
    thread::sleep(Duration::from_millis(100));
    client.write_all(b"!").unwrap();
    let lasted = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(lasted >= Duration::from_millis(199), "{lasted:?}");
    team.drain(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_thread_that_cannot_make_what_is_its_own_is_an_error() {
    let mut events = EventLoop::<()>::new().unwrap();
    let options = TeamOptions {
        threads: 3,
        handlers_max: 1,
    };
    let attached = LeaderFollowers::attach(&mut events, options, |number| {
        assert_ne!(number, 1, "on purpose");
        number
    });
    let error = attached.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
}

/// Gives its socket away.
struct GivesAway(Option<UnixStream>);

impl Handler<Local> for GivesAway {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_ref().unwrap().as_fd())
    }

    fn handle(&mut self, _: Event, _: &mut Local, _: &TeamContext<'_>) -> Next {
        self.0 = None;
        Next::Close
    }
}

#[test]
fn a_handler_that_has_given_its_descriptor_away_leaves_like_any_other() {
    let team = team(1);
    let (_client, server) = pair();
    assert!(team.team.insert(GivesAway(Some(server))).is_ok());
    let (mut client, server) = pair();
    let (echo, _seen) = Echo::new(server);
    assert!(team.team.insert(echo).is_ok());
    round_trip(&mut client, b"still here");
    let end = Instant::now() + Duration::from_secs(10);
    while team.team.metrics().live > 1 && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(team.team.metrics().live, 1);
    team.drain(Duration::from_secs(5)).unwrap();
}

/// Has always work left.
struct Busy(UnixStream);

impl Handler<Local> for Busy {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn handle(&mut self, event: Event, _: &mut Local, _: &TeamContext<'_>) -> Next {
        match event {
            Event::Drain => Next::Close,
            _ => Next::Again,
        }
    }
}

#[test]
fn handlers_that_always_have_work_left_keep_no_other_from_its_turn() {
    let team = team(1);
    let mut senders = Vec::new();
    for _ in 0..5 {
        let (client, server) = pair();
        assert!(team.team.insert(Busy(server)).is_ok());
        senders.push(client);
    }
    let (mut client, server) = pair();
    let (echo, _seen) = Echo::new(server);
    assert!(team.team.insert(echo).is_ok());
    for round in 0..100_u32 {
        for sender in &mut senders {
            sender.write_all(b"!").unwrap(); // an edge, beside the turn that it waits for; not read
        }
        round_trip(&mut client, &round.to_be_bytes());
    }
    team.drain(Duration::from_secs(5)).unwrap();
}

/// Waits for ever in a call of its own.
struct Stuck(UnixStream);

impl Handler<Local> for Stuck {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn handle(&mut self, _: Event, _: &mut Local, _: &TeamContext<'_>) -> Next {
        loop {
            thread::park();
        }
    }
}

#[test]
fn the_end_does_not_wait_for_ever_for_a_handler_that_does() {
    let team = team(2);
    let (_client, server) = pair();
    assert!(team.team.insert(Stuck(server)).is_ok());
    let began = Instant::now();
    let ended = team.drain(Duration::from_millis(100));
    assert_eq!(
        ended.map_err(|error| error.kind()),
        Err(ErrorKind::DrainForced)
    );
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
}
