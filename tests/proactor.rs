//! The proactor, one suite over both drivers: echo by operations, ends of streams, refusals, files,
//! times, a thousand connections.

mod proactor_support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proactor_support::{
    Actor, completion, listener, on_each, pair, run_until, run_until_quiet, start,
};
use trine::proactor::{Memory, Outcome, Proactor, Socket, Sync};
use trine::reactor::ErrorKind;
use trine::{Context, Event, EventLoop, Next, Sources};

/// Echoes what a client sends, in pieces of whatever size, and closes when the client does.
fn echo<S: 'static>(proactor: Proactor, socket: Socket) -> impl trine::EventSource<S> {
    Actor(move |event, _: &mut S, cx: &mut Context<'_, S>| {
        if let Event::Resumed = event {
            proactor.receive_chosen(cx, &socket).unwrap();
        }
        match completion(proactor, event, cx).map(|completion| completion.outcome) {
            Some(Outcome::Received(filled)) if filled.is_empty() => {
                proactor.recycle(cx, filled);
                return Next::Close;
            }
            Some(Outcome::Received(filled)) => {
                proactor.send(cx, &socket, filled).unwrap();
            }
            Some(Outcome::Sent(passed)) if !passed.rest.is_empty() => {
                proactor.send(cx, &socket, passed.rest).unwrap();
            }
            Some(Outcome::Sent(passed)) => {
                proactor.recycle(cx, passed.rest);
                proactor.receive_chosen(cx, &socket).unwrap();
            }
            Some(Outcome::Failed(..) | Outcome::Cancelled(_)) => return Next::Close,
            _ => {}
        }
        Next::Wait
    })
}

/// Accepts clients for `echo`.
fn serve<S: 'static>(events: &mut EventLoop<S>, proactor: Proactor) -> SocketAddr {
    let (listener, address) = listener();
    let listening = proactor.listen(&mut events.context(), listener).unwrap();
    let acceptor = Actor(move |event, _: &mut S, cx: &mut Context<'_, S>| {
        if let Event::Resumed = event {
            proactor.accept_many(cx, &listening).unwrap();
        }
        if let Some(completion) = completion(proactor, event, cx) {
            assert!(completion.more, "{completion:?}");
            if let Outcome::Accepted(socket, _) = completion.outcome {
                cx.insert(echo(proactor, socket)).unwrap();
            }
        }
        Next::Wait
    });
    events.insert(acceptor).unwrap();
    address
}

#[test]
fn an_echo_server_and_its_client_work_by_operations() {
    on_each(|options| {
        let (mut events, proactor) = start::<Vec<u8>>(options);
        let address = serve(&mut events, proactor);
        let mut socket = None;
        let client = Actor(
            move |event, seen: &mut Vec<u8>, cx: &mut Context<'_, Vec<u8>>| {
                if let Event::Resumed = event {
                    proactor.connect(cx, address).unwrap();
                }
                match completion(proactor, event, cx).map(|completion| completion.outcome) {
                    Some(Outcome::Connected(connected)) => {
                        proactor.send(cx, &connected, &b"good day"[..]).unwrap();
                        proactor
                            .receive(cx, &connected, BytesMut::zeroed(3))
                            .unwrap();
                        socket = Some(connected);
                    }
                    Some(Outcome::Received(filled)) => {
                        assert!(!filled.is_empty());
                        seen.extend_from_slice(&filled);
                        let buffer = filled.into_buffer();
                        assert_eq!(buffer.len(), 3, "the buffer comes back whole");
                        let socket = socket.as_ref().unwrap();
                        proactor.receive(cx, socket, buffer).unwrap();
                    }
                    Some(Outcome::Sent(passed)) => assert_eq!(passed.count, 8),
                    None => {}
                    other => panic!("{other:?}"),
                }
                Next::Wait
            },
        );
        events.insert(client).unwrap();
        let mut seen = Vec::new();
        run_until(&mut events, &mut seen, |seen| seen.len() >= 8);
        assert_eq!(seen, b"good day");
    });
}

#[test]
fn the_answer_reaches_a_client_that_has_said_its_last_word() {
    on_each(|options| {
        let (mut events, proactor) = start::<()>(options);
        let address = serve(&mut events, proactor);
        let client = thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let sent = vec![7; 300_000];
            let mut writing = stream.try_clone().unwrap();
            let writer = thread::spawn(move || {
                writing.write_all(&sent).unwrap();
                writing.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let mut seen = Vec::new();
            stream.read_to_end(&mut seen).unwrap();
            writer.join().unwrap();
            seen.len()
        });
        run_until(&mut events, &mut (), |()| client.is_finished());
        assert_eq!(client.join().unwrap(), 300_000);
    });
}

#[test]
fn a_peer_hears_the_end_before_it_has_said_its_last_word() {
    on_each(|options| {
        let (mut events, proactor) = start::<Vec<u8>>(options);
        let (near, mut far) = pair();
        let socket = proactor.attach(&mut events.context(), near).unwrap();
        let actor = Actor(
            move |event, seen: &mut Vec<u8>, cx: &mut Context<'_, Vec<u8>>| {
                match event {
                    Event::Resumed => drop(proactor.send(cx, &socket, &b"ask"[..]).unwrap()),
                    event => match completion(proactor, event, cx).unwrap().outcome {
                        Outcome::Sent(_) => {
                            proactor.shutdown_write(cx, &socket).unwrap();
                            proactor.receive_many(cx, &socket).unwrap();
                        }
                        Outcome::Received(filled) if filled.is_empty() => cx.stop(),
                        Outcome::Received(filled) => seen.extend_from_slice(&filled),
                        other => panic!("{other:?}"),
                    },
                }
                Next::Wait
            },
        );
        events.insert(actor).unwrap();
        let peer = thread::spawn(move || {
            let mut asked = String::new();
            far.read_to_string(&mut asked).unwrap(); // to our end
            far.write_all(b"answer").unwrap();
            asked
        });
        let mut seen = Vec::new();
        events.run(&mut seen).unwrap();
        assert_eq!(
            (peer.join().unwrap().as_str(), &seen[..]),
            ("ask", &b"answer"[..])
        );
    });
}

#[test]
fn a_thousand_connections_are_echoed_at_once() {
    const CLIENTS: usize = 1000;
    on_each(|options| {
        let (mut events, proactor) = start::<usize>(options);
        let address = serve(&mut events, proactor);
        for number in 0..CLIENTS {
            let mut socket = None;
            let mut rounds = 0;
            let word = Bytes::from(format!("client {number:04}"));
            let client = Actor(
                move |event, done: &mut usize, cx: &mut Context<'_, usize>| {
                    if let Event::Resumed = event {
                        proactor.connect(cx, address).unwrap();
                    }
                    match completion(proactor, event, cx).map(|completion| completion.outcome) {
                        Some(Outcome::Connected(connected)) => {
                            proactor.receive_many(cx, &connected).unwrap();
                            proactor.send(cx, &connected, word.clone()).unwrap();
                            socket = Some(connected);
                        }
                        Some(Outcome::Received(filled)) => {
                            assert_eq!(filled[..], word[..]);
                            proactor.recycle(cx, filled);
                            rounds += 1;
                            if rounds == 3 {
                                *done += 1;
                                return Next::Close;
                            }
                            let socket = socket.as_ref().unwrap();
                            proactor.send(cx, socket, word.clone()).unwrap();
                        }
                        Some(Outcome::Sent(_)) | None => {}
                        other => panic!("{other:?}"),
                    }
                    Next::Wait
                },
            );
            events.insert(client).unwrap();
        }
        let mut done = 0;
        run_until(&mut events, &mut done, |done| *done == CLIENTS);
        // All is given back: the listener and its accept are left.
        let left = |events: &mut EventLoop<usize>| {
            let metrics = proactor.metrics(&mut events.context()).unwrap();
            (metrics.descriptors, metrics.started - metrics.ended)
        };
        let until = Instant::now() + Duration::from_secs(10);
        while left(&mut events) != (1, 1) && Instant::now() < until {
            let _ = events.turn_now(&mut done).unwrap();
        }
        assert_eq!(left(&mut events), (1, 1));
    });
}

#[test]
fn a_refused_connect_says_so_and_leaves_no_descriptor() {
    on_each(|options| {
        let (mut events, proactor) = start::<()>(options);
        let (gone, address) = listener();
        drop(gone);
        let actor = Actor(move |event, (): &mut (), cx: &mut Context<'_, ()>| {
            match event {
                Event::Resumed => drop(proactor.connect(cx, address).unwrap()),
                event => match completion(proactor, event, cx).unwrap().outcome {
                    Outcome::Failed(error, Memory::None) => {
                        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
                        return Next::Close;
                    }
                    other => panic!("{other:?}"),
                },
            }
            Next::Wait
        });
        events.insert(actor).unwrap();
        run_until_quiet(&mut events, proactor, &mut ());
        assert_eq!(proactor.metrics(&mut events.context()).unwrap().failed, 1);
    });
}

#[test]
fn what_is_refused_comes_back_with_the_reason() {
    on_each(|mut options| {
        options.operations_max = 2;
        let (mut events, proactor) = start::<()>(options);
        let (mut elsewhere, other) = start::<()>(options);
        let (near, _far) = pair();
        let (foreign, _far) = pair();
        let foreign = other.attach(&mut elsewhere.context(), foreign).unwrap();
        let socket = proactor.attach(&mut events.context(), near).unwrap();
        // Outside of a source nobody would get the completion.
        let refused = proactor.receive(&mut events.context(), &socket, BytesMut::zeroed(9));
        assert_eq!(refused.unwrap_err().error.kind(), ErrorKind::Invalid);
        let actor = Actor(move |_, (): &mut (), cx: &mut Context<'_, ()>| {
            let refused = proactor.receive(cx, &socket, BytesMut::new()).unwrap_err();
            assert_eq!(refused.error.kind(), ErrorKind::Invalid);
            let refused = proactor
                .receive(cx, &foreign, BytesMut::zeroed(9))
                .unwrap_err();
            assert_eq!(
                (refused.error.kind(), refused.memory.len()),
                (ErrorKind::Invalid, 9)
            );
            assert!(
                other.timeout(cx, Duration::ZERO).is_err(),
                "a proactor of another loop"
            );
            proactor.receive_chosen(cx, &socket).unwrap();
            let refused = proactor
                .receive(cx, &socket, BytesMut::zeroed(9))
                .unwrap_err();
            assert_eq!(
                (refused.error.kind(), refused.memory.len()),
                (ErrorKind::Busy, 9)
            );
            assert!(refused.to_string().contains("under way"), "{refused}");
            proactor.timeout(cx, Duration::from_secs(9)).unwrap();
            let refused = proactor.send(cx, &socket, &b"word"[..]).unwrap_err();
            assert_eq!(refused.error.kind(), ErrorKind::Full);
            assert_eq!(refused.memory.remaining(), b"word");
            cx.stop();
            Next::Close
        });
        events.insert(actor).unwrap();
        events.run(&mut ()).unwrap();
    });
}

#[test]
fn a_file_is_written_synced_and_read_back() {
    on_each(|options| {
        let (mut events, proactor) = start::<()>(options);
        let path = std::env::temp_dir().join(format!("trine-proactor-{}", std::process::id()));
        let open = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path);
        let file = proactor.file(&mut events.context(), open.unwrap()).unwrap();
        let pipe = File::open("/dev/null").unwrap();
        let refused = proactor.file(&mut events.context(), pipe).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        let mut read = 0;
        let actor = Actor(move |event, (): &mut (), cx: &mut Context<'_, ()>| {
            if let Event::Resumed = event {
                let refused = proactor.write(cx, &file, vec![1], u64::MAX).unwrap_err();
                assert_eq!(refused.error.kind(), ErrorKind::Invalid);
                proactor.write(cx, &file, vec![5; 10_000], 3).unwrap();
                return Next::Wait;
            }
            match completion(proactor, event, cx).unwrap().outcome {
                Outcome::Written(passed) => {
                    assert_eq!((passed.count, passed.rest.is_empty()), (10_000, true));
                    proactor.sync(cx, &file, Sync::Data).unwrap();
                }
                Outcome::Synced => {
                    // Two at a time, and one behind the end.
                    for at in [0, 5_000, 20_000] {
                        proactor
                            .read(cx, &file, BytesMut::zeroed(8_000), at)
                            .unwrap();
                    }
                }
                Outcome::Read(filled) => {
                    read += filled.len();
                    match filled.len() {
                        8_000 => assert_eq!(filled[..4], [0, 0, 0, 5]),
                        5_003 => assert!(filled.iter().all(|octet| *octet == 5)),
                        len => assert_eq!(len, 0),
                    }
                    if read == 13_003 && proactor.metrics(cx).unwrap().ended == 5 {
                        return Next::Close;
                    }
                }
                other => panic!("{other:?}"),
            }
            Next::Wait
        });
        events.insert(actor).unwrap();
        run_until_quiet(&mut events, proactor, &mut ());
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_timeout_is_never_early_and_a_cancelled_one_is_over_at_once() {
    on_each(|options| {
        let (mut events, proactor) = start::<Vec<u64>>(options);
        let mut started = Vec::new();
        let mut cancelled = 0;
        let actor = Actor(
            move |event, late: &mut Vec<u64>, cx: &mut Context<'_, Vec<u64>>| {
                if let Event::Resumed = event {
                    for millis in [30, 10, 20, 10] {
                        let id = proactor.timeout(cx, Duration::from_millis(millis)).unwrap();
                        started.push((id, Instant::now(), millis));
                    }
                    let doomed = proactor.timeout(cx, Duration::from_secs(100)).unwrap();
                    assert!(proactor.cancel(cx, doomed));
                    assert!(!proactor.cancel(cx, doomed), "asked before");
                    return Next::Wait;
                }
                let completion = completion(proactor, event, cx).unwrap();
                match completion.outcome {
                    Outcome::Cancelled(Memory::None) => cancelled += 1,
                    Outcome::TimedOut => {
                        let at = started
                            .iter()
                            .position(|(id, ..)| *id == completion.operation);
                        let (_, since, millis) = started.remove(at.unwrap());
                        assert!(since.elapsed() >= Duration::from_millis(millis));
                        late.push(millis);
                    }
                    other => panic!("{other:?}"),
                }
                match started.is_empty() && cancelled == 1 {
                    true => Next::Close,
                    false => Next::Wait,
                }
            },
        );
        events.insert(actor).unwrap();
        let mut late = Vec::new();
        run_until_quiet(&mut events, proactor, &mut late);
        assert_eq!(late, [10, 10, 20, 30]);
    });
}

#[test]
fn a_detached_stream_is_used_by_readiness_again() {
    on_each(|options| {
        let (mut events, proactor) = start::<()>(options);
        let (near, mut far) = pair();
        let socket = proactor.attach(&mut events.context(), near).unwrap();
        let actor = Actor(move |event, (): &mut (), cx: &mut Context<'_, ()>| {
            if let Event::Resumed = event {
                proactor.send(cx, &socket, &b"one"[..]).unwrap();
                return Next::Wait;
            }
            let Some(Outcome::Sent(_)) = completion(proactor, event, cx).map(|c| c.outcome) else {
                panic!("{event:?}");
            };
            cx.stop();
            Next::Close
        });
        events.insert(actor).unwrap();
        events.run(&mut ()).unwrap();
        let mut word = [0; 3];
        far.read_exact(&mut word).unwrap();
        let (near, mut far) = pair();
        let socket = proactor.attach(&mut events.context(), near).unwrap();
        let near = proactor.detach(&mut events.context(), socket).unwrap();
        let empty = near.read(&mut [0; 9]).unwrap_err();
        assert_eq!(empty.kind(), std::io::ErrorKind::WouldBlock);
        far.write_all(b"more").unwrap();
        let watched = events.descriptor(near, |(), near, _, cx| {
            let mut word = [0; 9];
            if near
                .read(&mut word)
                .is_ok_and(|len| word[..len] == *b"more")
            {
                cx.stop();
            }
            Next::Wait
        });
        watched.unwrap();
        events.run(&mut ()).unwrap();
    });
}

#[test]
fn the_loop_does_not_sleep_over_operations_that_follow_one_another_at_once() {
    const READS: usize = 50;
    on_each(|options| {
        let (mut events, proactor) = start::<usize>(options);
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        let file = proactor.file(&mut events.context(), file).unwrap();
        let actor = Actor(
            move |event, read: &mut usize, cx: &mut Context<'_, usize>| {
                if let Some(done) = completion(proactor, event, cx) {
                    assert!(matches!(done.outcome, Outcome::Read(_)), "{done:?}");
                    *read += 1;
                }
                match *read {
                    READS => cx.stop(),
                    _ => drop(proactor.read(cx, &file, BytesMut::zeroed(64), 0).unwrap()),
                }
                Next::Wait
            },
        );
        events.insert(actor).unwrap();
        // Nothing else would wake it but this, which comes when it is too late.
        let late = events.call_after(Duration::from_secs(5), |_, cx| cx.stop());
        late.unwrap();
        let mut read = 0;
        events.run(&mut read).unwrap();
        assert_eq!(read, READS);
    });
}
