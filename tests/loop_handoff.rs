//! Sources that move from one loop to another, and sources that leave bytes unread.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use trine::reactor::{Context, Event, EventSource, Mail, Next, Registry};
use trine::slab::Token;
use trine::time::{Span, Tick};
use trine::{EventLoop, Sources};

/// Held by each test: one of them depends on which descriptor numbers are free.
static ALONE: Mutex<()> = Mutex::new(());

/// Collects what it reads until a deadline, then says what it has.
struct Collector {
    stream: UnixStream,
    bytes: Vec<u8>,
    until: Tick,
    done: mpsc::Sender<(Vec<u8>, bool)>,
}

impl Collector {
    fn read(&mut self) {
        let mut buffer = [0; 64];
        while let Ok(len @ 1..) = self.stream.read(&mut buffer) {
            self.bytes.extend_from_slice(&buffer[..len]);
        }
    }
}

impl<S: 'static> EventSource<S> for Collector {
    fn register(&mut self, registry: &mut Registry<'_>) -> std::io::Result<()> {
        registry.descriptor(&self.stream)
    }

    fn handle(&mut self, event: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        self.read();
        if matches!(event, Event::Deadline) {
            let in_time = cx.now() >= self.until;
            self.done.send((self.bytes.clone(), in_time)).unwrap();
            cx.stop();
            return Next::Close;
        }
        Next::Until(self.until)
    }
}

#[test]
fn a_source_handed_to_another_loop_takes_its_bytes_and_its_deadline_along() {
    let _alone = ALONE.lock().unwrap();
    let (mut client, stream) = UnixStream::pair().unwrap();
    stream.set_nonblocking(true).unwrap();
    let (done, outcome) = mpsc::channel();

    let (inbox_to_main, inbox) = mpsc::channel();
    let second = thread::spawn(move || {
        let mut event_loop = EventLoop::<()>::new().unwrap();
        let sender = event_loop
            .inbox(1, |(), mail: Mail<Box<Collector>>, cx| {
                if let Mail::Message(collector) = mail {
                    cx.insert(*collector).unwrap();
                }
            })
            .unwrap();
        inbox_to_main.send(sender).unwrap();
        event_loop.run(&mut ()).unwrap();
    });

    let mut first = EventLoop::<()>::new().unwrap();
    // A loop without sources would not look for events.
    let far = Duration::from_secs(3_600);
    first.call_after(far, |(), _| {}).unwrap();
    let until = first.context().now().after(Span::from_millis(150));
    let collector = Collector {
        stream,
        bytes: Vec::new(),
        until,
        done,
    };
    let token = first.insert(collector).unwrap();
    client.write_all(b"to the first, ").unwrap();
    let _ = first.turn_now(&mut ()).unwrap();
    // Bytes arrive before the move and are read, or not, after it: none are lost.
    client.write_all(b"in between, ").unwrap();
    let before = first.metrics().events;
    let moved = first.context().take::<Collector>(token).unwrap();
    assert_eq!(moved.bytes, b"to the first, ");
    inbox.recv().unwrap().try_send(moved).unwrap();
    client.write_all(b"to the second").unwrap();
    let _ = first.turn_now(&mut ()).unwrap();
    let metrics = first.metrics();
    assert_eq!(metrics.events, before, "the old loop still called it");
    assert_eq!(metrics.stale_events, 0, "it is still registered there");

    let (bytes, in_time) = outcome.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(bytes, b"to the first, in between, to the second");
    assert!(in_time);
    second.join().unwrap();
}

/// Takes another source when its own descriptor is ready.
struct Taker {
    stream: UnixStream,
    victim: Option<Token>,
}

impl EventSource<Option<Box<Collector>>> for Taker {
    fn register(&mut self, registry: &mut Registry<'_>) -> std::io::Result<()> {
        registry.descriptor(&self.stream)
    }

    fn handle(
        &mut self,
        event: Event,
        taken: &mut Option<Box<Collector>>,
        cx: &mut Context<'_, Option<Box<Collector>>>,
    ) -> Next {
        let mut buffer = [0; 8];
        if matches!(event, Event::Ready(_))
            && self.stream.read(&mut buffer).is_ok()
            && let Some(victim) = self.victim.take()
        {
            *taken = cx.take::<Collector>(victim);
        }
        Next::Wait
    }
}

#[test]
fn an_event_that_is_on_its_way_to_a_source_when_it_is_taken_reaches_nobody_and_no_byte_is_lost() {
    let _alone = ALONE.lock().unwrap();
    let (mut order, taker) = UnixStream::pair().unwrap();
    let (mut client, stream) = UnixStream::pair().unwrap();
    taker.set_nonblocking(true).unwrap();
    stream.set_nonblocking(true).unwrap();
    let (done, outcome) = mpsc::channel();
    let mut first = EventLoop::<Option<Box<Collector>>>::new().unwrap();
    let until = first.context().now().after(Span::from_millis(100));
    let collector = Collector {
        stream,
        bytes: Vec::new(),
        until,
        done,
    };
    let victim = Some(first.insert(collector).unwrap());
    let stream = taker;
    first.insert(Taker { stream, victim }).unwrap();
    let mut taken = None;
    for _ in 0..2 {
        let _ = first.turn_now(&mut taken).unwrap();
    }
    order.write_all(b"take").unwrap(); // reported first,
    client.write_all(b"in the same batch").unwrap(); // and this behind it
    let _ = first.turn_now(&mut taken).unwrap();
    assert_eq!(first.metrics().stale_events, 1);
    let taken = taken.unwrap();
    assert!(taken.bytes.is_empty(), "it was called");

    let mut second = EventLoop::<()>::new().unwrap();
    second.insert(*taken).unwrap();
    second.run(&mut ()).unwrap();
    let (bytes, in_time) = outcome.recv_timeout(Duration::ZERO).unwrap();
    assert_eq!((&*bytes, in_time), (&b"in the same batch"[..], true));
}

#[test]
fn a_token_of_another_type_or_of_a_taken_source_takes_nothing() {
    let _alone = ALONE.lock().unwrap();
    let mut event_loop = EventLoop::<()>::new().unwrap();
    let token = event_loop
        .call_after(Duration::from_secs(9), |(), _| {})
        .unwrap();
    assert!(event_loop.context().take::<Collector>(token).is_none());
    assert!(event_loop.context().contains(token));
    assert!(event_loop.context().remove(token));
    assert!(!event_loop.context().remove(token));
}

/// Reads one byte of what is there and forgets about the rest.
struct Forgetful(UnixStream);

impl EventSource<()> for Forgetful {
    fn register(&mut self, registry: &mut Registry<'_>) -> std::io::Result<()> {
        registry.descriptor(&self.0)
    }

    fn handle(&mut self, event: Event, (): &mut (), _: &mut Context<'_, ()>) -> Next {
        if matches!(event, Event::Ready(_)) {
            let _ = self.0.read(&mut [0; 1]);
        }
        Next::Wait
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_source_that_waits_with_bytes_unread_is_reported_once() {
    let _alone = ALONE.lock().unwrap();
    let (mut client, stream) = UnixStream::pair().unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut event_loop = EventLoop::<()>::new().unwrap();
    event_loop.insert(Forgetful(stream)).unwrap();
    for _ in 0..3 {
        client.write_all(b"abc").unwrap();
        let _ = event_loop.turn_now(&mut ()).unwrap();
        let _ = event_loop.turn_now(&mut ()).unwrap();
    }
    assert_eq!(event_loop.metrics().left_ready, 1);
}

/// Reads to the end of file and goes on waiting: it may have something to say still.
struct HalfClosed(UnixStream);

impl EventSource<()> for HalfClosed {
    fn register(&mut self, registry: &mut Registry<'_>) -> std::io::Result<()> {
        registry.descriptor(&self.0)
    }

    fn handle(&mut self, event: Event, (): &mut (), _: &mut Context<'_, ()>) -> Next {
        if matches!(event, Event::Ready(_)) {
            let mut buffer = [0; 8];
            while let Ok(1..) = self.0.read(&mut buffer) {}
        }
        Next::Wait
    }
}

#[test]
fn a_source_that_has_read_to_the_end_of_file_is_not_reported_for_bytes_unread() {
    let _alone = ALONE.lock().unwrap();
    let (mut client, stream) = UnixStream::pair().unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut event_loop = EventLoop::<()>::new().unwrap();
    event_loop.insert(HalfClosed(stream)).unwrap();
    client.write_all(b"the end").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    for _ in 0..2 {
        let _ = event_loop.turn_now(&mut ()).unwrap();
    }
    assert_eq!(event_loop.metrics().left_ready, 0);
}

/// Closes its descriptor early and lets a successor have the number.
struct Reconnecting(Option<UnixStream>, Option<UnixStream>);

/// Counts how often it is ready.
struct Successor(UnixStream);

impl EventSource<u32> for Successor {
    fn register(&mut self, registry: &mut Registry<'_>) -> std::io::Result<()> {
        registry.descriptor(&self.0)
    }

    fn handle(&mut self, event: Event, heard: &mut u32, _: &mut Context<'_, u32>) -> Next {
        let mut buffer = [0; 8];
        if matches!(event, Event::Ready(_)) && self.0.read(&mut buffer).is_ok() {
            *heard += 1;
        }
        Next::Wait
    }
}

impl EventSource<u32> for Reconnecting {
    fn register(&mut self, registry: &mut Registry<'_>) -> std::io::Result<()> {
        registry.descriptor(self.0.as_ref().unwrap())
    }

    fn handle(&mut self, event: Event, _: &mut u32, cx: &mut Context<'_, u32>) -> Next {
        if !matches!(event, Event::Ready(_)) {
            return Next::Wait;
        }
        let number = self.0.as_ref().unwrap().as_raw_fd();
        let elsewhere = self.1.take().unwrap();
        self.0 = None; // the lowest free number is now this one
        let successor = elsewhere.try_clone().unwrap();
        assert_eq!(successor.as_raw_fd(), number);
        cx.insert(Successor(successor)).unwrap();
        Next::Close
    }
}

#[test]
fn a_descriptor_closed_early_does_not_deregister_the_next_one_with_its_number() {
    // Nothing else in this process may take the number: the other tests of this file have their
    // descriptors already, or wait.
    let _alone = ALONE.lock().unwrap();
    let (mut first, one) = UnixStream::pair().unwrap();
    let (mut second, two) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    two.set_nonblocking(true).unwrap();
    let mut event_loop = EventLoop::<u32>::new().unwrap();
    event_loop
        .insert(Reconnecting(Some(one), Some(two)))
        .unwrap();
    first.write_all(b"go").unwrap();
    let mut heard = 0;
    for _ in 0..3 {
        let _ = event_loop.turn_now(&mut heard).unwrap();
    }
    second.write_all(b"hello").unwrap();
    for _ in 0..3 {
        let _ = event_loop.turn_now(&mut heard).unwrap();
    }
    assert_eq!(heard, 1, "the successor is deaf");
}

#[test]
fn a_shared_value_of_another_loop_is_not_found_under_its_key() {
    let _alone = ALONE.lock().unwrap();
    let mut one = EventLoop::<()>::new().unwrap();
    let mut other = EventLoop::<()>::new().unwrap();
    let key = one.context().share(1_u32);
    other.context().share(2_u32);
    assert_eq!(one.context().with(key, |value, _| *value), Some(1));
    assert_eq!(other.context().with(key, |value, _| *value), None);
}
