//! How operations end, over both drivers: cancelled by the hundred, in a queue that is too small, with
//! their handles, their sources, their loop. Each completes once, and all memory comes back.

mod proactor_support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use proactor_support::{Actor, completion, listener, on_each, pair, run_until_quiet, start};
use trine::proactor::{Completion, Memory, Outcome, Pattern, Proactor, ProactorOptions, Socket};
use trine::reactor::{ErrorKind, OperationId};
use trine::{Context, Event, EventLoop, Next};

/// What became of each operation.
#[derive(Default)]
struct Ledger {
    ended: BTreeMap<OperationId, &'static str>,
    /// Marks of the buffers that came back.
    buffers: Vec<u8>,
}

impl Ledger {
    fn note(&mut self, id: OperationId, what: &'static str) {
        assert_eq!(self.ended.insert(id, what), None, "{id:?} ended before");
    }

    fn count(&self, what: &str) -> usize {
        self.ended.values().filter(|ended| **ended == what).count()
    }
}

/// Cancels as many receives as there are sockets: some before the kernel has them, some after, some
/// while the bytes come.
struct Storm {
    proactor: Proactor,
    near: Vec<Socket>,
    far: Vec<TcpStream>,
    ids: Vec<OperationId>,
    turns: u32,
}

impl Storm {
    fn begin(&mut self, cx: &mut Context<'_, Ledger>) {
        for (number, socket) in self.near.iter().enumerate() {
            let mut buffer = BytesMut::zeroed(16);
            buffer[15] = number as u8;
            let id = self.proactor.receive(cx, socket, buffer).unwrap();
            self.ids.push(id);
            if number % 3 == 0 {
                assert!(self.proactor.cancel(cx, id));
            }
        }
    }

    fn cancel(&mut self, cx: &mut Context<'_, Ledger>) {
        for (number, id) in self.ids.iter().enumerate() {
            if number % 3 == 1 {
                self.far[number].write_all(b"word").unwrap();
                self.proactor.cancel(cx, *id); // which is faster?
            }
            if number % 3 == 2 {
                assert!(self.proactor.cancel(cx, *id));
            }
        }
    }

    fn note(&self, done: Completion, ledger: &mut Ledger) -> Next {
        assert!(!done.more);
        let (what, buffer) = match done.outcome {
            Outcome::Cancelled(Memory::Room(buffer)) => ("cancelled", buffer),
            Outcome::Received(filled) => ("received", filled.into_buffer()),
            other => panic!("{other:?}"),
        };
        ledger.note(done.operation, what);
        assert_eq!(buffer.len(), 16);
        ledger.buffers.push(buffer[15]); // what the kernel did not touch
        match ledger.ended.len() == self.near.len() {
            true => Next::Close,
            false => Next::Wait,
        }
    }
}

fn storm(options: ProactorOptions, sockets: usize) {
    let (mut events, proactor) = start::<Ledger>(options);
    let (near, far): (Vec<_>, Vec<_>) = (0..sockets).map(|_| pair()).unzip();
    let mut attach = |near| proactor.attach(&mut events.context(), near).unwrap();
    let mut storm = Storm {
        proactor,
        near: near.into_iter().map(&mut attach).collect(),
        far,
        ids: Vec::new(),
        turns: 0,
    };
    let actor = Actor(
        move |event, ledger: &mut Ledger, cx: &mut Context<'_, Ledger>| {
            if let Some(done) = completion(proactor, event, cx) {
                return storm.note(done, ledger);
            }
            storm.turns += 1;
            match storm.turns {
                1 => storm.begin(cx),
                2 => {} // the kernel has them now
                3 => storm.cancel(cx),
                _ => return Next::Wait,
            }
            Next::Again
        },
    );
    events.insert(actor).unwrap();
    let mut ledger = Ledger::default();
    run_until_quiet(&mut events, proactor, &mut ledger);
    assert_eq!(ledger.ended.len(), sockets);
    let cancelled = ledger.count("cancelled");
    assert!(cancelled >= sockets / 3 * 2, "{cancelled}");
    let mut expected: Vec<u8> = (0..sockets).map(|number| number as u8).collect();
    expected.sort_unstable();
    ledger.buffers.sort_unstable();
    assert_eq!(ledger.buffers, expected, "each buffer came back once");
}

#[test]
fn a_storm_of_cancels_ends_each_operation_once_and_gives_back_each_buffer() {
    on_each(|options| storm(options, 300));
}

#[test]
fn the_same_in_a_queue_that_is_much_too_small() {
    on_each(|mut options| {
        options.ring_entries = 2;
        options.buffers = 1;
        storm(options, 300);
    });
}

#[test]
fn completions_that_the_queue_has_no_room_for_come_nevertheless() {
    const SOCKETS: usize = 200;
    on_each(|mut options| {
        options.ring_entries = 1; // and room for two completions
        options.buffers = 2; // of which none may be left when bytes come
        let (mut events, proactor) = start::<usize>(options);
        let mut far = Vec::new();
        for number in 0..SOCKETS {
            let (near, mut other) = pair();
            let socket = proactor.attach(&mut events.context(), near).unwrap();
            let actor = Actor(move |event, got: &mut usize, cx: &mut Context<'_, usize>| {
                match completion(proactor, event, cx).map(|completion| completion.outcome) {
                    Some(Outcome::Received(filled)) => {
                        assert_eq!(filled[..], [number as u8]);
                        proactor.recycle(cx, filled);
                        *got += 1;
                        return Next::Close;
                    }
                    Some(other) => panic!("{other:?}"),
                    None => drop(proactor.receive_many(cx, &socket).unwrap()),
                }
                Next::Wait
            });
            events.insert(actor).unwrap();
            other.write_all(&[number as u8]).unwrap();
            far.push(other);
        }
        let mut got = 0;
        run_until_quiet(&mut events, proactor, &mut got);
        assert_eq!(got, SOCKETS);
        let metrics = proactor.metrics(&mut events.context()).unwrap();
        if proactor.pattern(&mut events.context()).unwrap() == Pattern::IoUring {
            assert!(
                metrics.overflows > 0,
                "the queue was never too small: {metrics:?}"
            );
        }
    });
}

#[test]
fn a_dropped_handle_cancels_what_is_under_way_and_closes_then() {
    on_each(|options| {
        let (mut events, proactor) = start::<Ledger>(options);
        let (near, mut far) = pair();
        let mut socket = Some(proactor.attach(&mut events.context(), near).unwrap());
        let mut turns = 0;
        let actor = Actor(
            move |event, ledger: &mut Ledger, cx: &mut Context<'_, Ledger>| {
                if let Some(completion) = completion(proactor, event, cx) {
                    let Outcome::Cancelled(Memory::Room(buffer)) = completion.outcome else {
                        panic!("{completion:?}");
                    };
                    ledger.buffers.push(buffer[0]);
                    return Next::Close;
                }
                turns += 1;
                match turns {
                    1 => {
                        let mut buffer = BytesMut::zeroed(4096);
                        buffer[0] = 42;
                        proactor
                            .receive(cx, socket.as_ref().unwrap(), buffer)
                            .unwrap();
                        Next::Again
                    }
                    2 => Next::Again,
                    _ => {
                        socket = None;
                        Next::Wait
                    }
                }
            },
        );
        events.insert(actor).unwrap();
        let mut ledger = Ledger::default();
        run_until_quiet(&mut events, proactor, &mut ledger);
        assert_eq!(ledger.buffers, [42]);
        assert_eq!(far.read(&mut [0; 9]).unwrap(), 0, "closed");
    });
}

#[test]
fn a_source_that_is_gone_takes_its_operations_along_and_nothing_else() {
    on_each(|options| {
        let (mut events, proactor) = start::<()>(options);
        let mut far = Vec::new();
        for end in 0..3 {
            let (near, other) = pair();
            far.push(other);
            let socket = proactor.attach(&mut events.context(), near).unwrap();
            let mut turns = 0;
            let actor = Actor(move |_, (): &mut (), cx: &mut Context<'_, ()>| {
                turns += 1;
                match (turns, end) {
                    (1, 0) => drop(proactor.receive_many(cx, &socket).unwrap()),
                    (1, _) => drop(proactor.receive(cx, &socket, BytesMut::zeroed(99)).unwrap()),
                    (2, _) => {}
                    (_, 0 | 1) => return Next::Close,
                    _ => drop(cx.remove(cx.token())),
                }
                Next::Again
            });
            events.insert(actor).unwrap();
        }
        run_until_quiet(&mut events, proactor, &mut ());
        for mut far in far {
            assert_eq!(far.read(&mut [0; 9]).unwrap(), 0, "closed");
        }
        let metrics = proactor.metrics(&mut events.context()).unwrap();
        assert_eq!((metrics.started, metrics.cancelled), (3, 3));
    });
}

#[test]
fn a_loop_that_is_dropped_leaves_no_operation_behind() {
    on_each(|options| {
        for turns in 0..4 {
            let (mut events, proactor) = start::<()>(options);
            let mut far = Vec::new();
            for _ in 0..50 {
                let (near, other) = pair();
                far.push(other);
                let socket = proactor.attach(&mut events.context(), near).unwrap();
                let actor = Actor(move |event, (): &mut (), cx: &mut Context<'_, ()>| {
                    if let Event::Resumed = event {
                        let room = BytesMut::zeroed(512);
                        proactor.receive(cx, &socket, room).unwrap();
                        proactor.send(cx, &socket, vec![1; 9]).unwrap();
                    }
                    Next::Wait
                });
                events.insert(actor).unwrap();
            }
            for _ in 0..turns {
                let _ = events.turn_now(&mut ()).unwrap();
            }
            drop(events);
            for mut far in far {
                let mut rest = Vec::new();
                let _ = far.read_to_end(&mut rest); // to the end, or a reset: not a timeout
                assert!(rest.len() <= 9);
            }
        }
    });
}

#[test]
fn a_client_that_nobody_takes_is_closed() {
    on_each(|options| {
        let (mut events, proactor) = start::<()>(options);
        let (listener, address) = listener();
        let listening = proactor.listen(&mut events.context(), listener).unwrap();
        let mut told = 0;
        let actor = Actor(move |event, (): &mut (), cx: &mut Context<'_, ()>| {
            match event {
                Event::Resumed => drop(proactor.accept_many(cx, &listening).unwrap()),
                Event::Completed(_) => told += 1, // and not taken
                _ => {}
            }
            match told {
                2 => Next::Close,
                _ => Next::Wait,
            }
        });
        events.insert(actor).unwrap();
        let mut clients: Vec<_> = (0..2)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        run_until_quiet(&mut events, proactor, &mut ());
        for client in &mut clients {
            client
                .set_read_timeout(Some(Duration::from_secs(9)))
                .unwrap();
            assert_eq!(client.read(&mut [0; 9]).unwrap_or(0), 0);
        }
        let metrics = proactor.metrics(&mut events.context()).unwrap();
        assert!(
            metrics.untaken >= 1 && metrics.descriptors == 0,
            "{metrics:?}"
        );
    });
}

/// A listener that accepts until the end, and says how that came.
fn accept_all(events: &mut EventLoop<Ledger>, proactor: Proactor) -> SocketAddr {
    let (listener, address) = listener();
    let listening = proactor.listen(&mut events.context(), listener).unwrap();
    let actor = Actor(
        move |event, ledger: &mut Ledger, cx: &mut Context<'_, Ledger>| {
            if let Event::Resumed = event {
                proactor.accept_many(cx, &listening).unwrap();
            }
            if let Some(completion) = completion(proactor, event, cx)
                && !completion.more
            {
                assert!(matches!(
                    completion.outcome,
                    Outcome::Cancelled(Memory::None)
                ));
                ledger.note(completion.operation, "cancelled");
                let refused = proactor.accept(cx, &listening).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Draining);
                let refused = proactor
                    .connect(cx, ([127, 0, 0, 1], 9).into())
                    .unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Draining);
                return Next::Close;
            }
            Next::Wait
        },
    );
    events.insert(actor).unwrap();
    address
}

#[test]
fn a_draining_loop_ends_accepting_and_lets_what_is_under_way_go_on() {
    on_each(|options| {
        let (mut events, proactor) = start::<Ledger>(options);
        accept_all(&mut events, proactor);
        let (near, mut far) = pair();
        let socket = proactor.attach(&mut events.context(), near).unwrap();
        let actor = Actor(
            move |event, ledger: &mut Ledger, cx: &mut Context<'_, Ledger>| {
                match event {
                    Event::Resumed => drop(proactor.receive_chosen(cx, &socket).unwrap()),
                    Event::Drain => far.write_all(b"last words").unwrap(),
                    event => match completion(proactor, event, cx).unwrap() {
                        done if matches!(done.outcome, Outcome::Received(_)) => {
                            ledger.note(done.operation, "received");
                            proactor.send(cx, &socket, &b"farewell"[..]).unwrap();
                        }
                        done => {
                            assert!(matches!(done.outcome, Outcome::Sent(_)), "{done:?}");
                            ledger.note(done.operation, "sent");
                            return Next::Close;
                        }
                    },
                }
                Next::Wait
            },
        );
        events.insert(actor).unwrap();
        let mut ledger = Ledger::default();
        for _ in 0..3 {
            let _ = events.turn_now(&mut ledger).unwrap();
        }
        events.context().drain(Duration::from_secs(10));
        events.run(&mut ledger).unwrap();
        let ends: Vec<_> = ["cancelled", "received", "sent"]
            .map(|what| ledger.count(what))
            .into();
        assert_eq!(ends, [1, 1, 1]);
    });
}

#[test]
fn a_closing_proactor_begins_nothing_and_cancels_what_is_late() {
    const GRACE: Duration = Duration::from_millis(60);
    on_each(|options| {
        let (mut events, proactor) = start::<Ledger>(options);
        accept_all(&mut events, proactor);
        let (near, mut far) = pair();
        let socket = proactor.attach(&mut events.context(), near).unwrap();
        let mut closed = None;
        let actor = Actor(
            move |event, ledger: &mut Ledger, cx: &mut Context<'_, Ledger>| {
                if let Event::Resumed = event {
                    proactor.receive(cx, &socket, BytesMut::zeroed(16)).unwrap();
                    proactor.timeout(cx, Duration::from_millis(10)).unwrap();
                    proactor.timeout(cx, Duration::from_secs(100)).unwrap();
                    proactor.close(cx, GRACE).unwrap();
                    closed = Some(Instant::now());
                    let refused = proactor.timeout(cx, Duration::ZERO).unwrap_err();
                    assert_eq!(refused.kind(), ErrorKind::Draining);
                    far.write_all(b"in time").unwrap();
                    return Next::Wait;
                }
                let done = completion(proactor, event, cx).unwrap();
                match done.outcome {
                    Outcome::Received(_) => ledger.note(done.operation, "received"),
                    Outcome::TimedOut => ledger.note(done.operation, "timed out"),
                    Outcome::Cancelled(_) => {
                        assert!(closed.unwrap().elapsed() >= GRACE, "it had until then");
                        ledger.note(done.operation, "late");
                        return Next::Close;
                    }
                    other => panic!("{other:?}"),
                }
                Next::Wait
            },
        );
        events.insert(actor).unwrap();
        let mut ledger = Ledger::default();
        run_until_quiet(&mut events, proactor, &mut ledger);
        let all = ["received", "timed out", "late", "cancelled"];
        assert_eq!(all.map(|what| ledger.count(what)), [1, 1, 1, 1]);
    });
}
