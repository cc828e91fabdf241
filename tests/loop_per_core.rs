//! Several loops that share nothing but their end.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use trine::concurrency::{Core, LoopPerCore, Pinning};
use trine::reactor::{Context, ErrorKind, Link, Registry, StreamListener};
use trine::{Event, EventLoop, EventSource, Next, Result, Sources};

const GRACE: Duration = Duration::from_secs(5);

/// Does not end by itself.
struct Stuck;

impl EventSource<()> for Stuck {
    fn register(&mut self, _: &mut Registry<'_>) -> io::Result<()> {
        Ok(())
    }

    fn handle(&mut self, _: Event, (): &mut (), _: &mut Context<'_, ()>) -> Next {
        Next::Wait
    }
}

/// Runs `loops` loops that stay until they are told to end, and calls `begun` on each.
fn run(
    loops: usize,
    begun: impl Fn(&Core, &mut Context<'_, ()>) + Clone + Send + Sync + 'static,
) -> Result<()> {
    LoopPerCore::new().loops(loops).run(move |core, events| {
        let (core, begun) = (core.clone(), begun.clone());
        events.call_after(Duration::ZERO, move |(), cx| begun(&core, cx))?;
        Ok(())
    })
}

#[test]
fn each_loop_has_a_thread_a_number_and_a_state_of_its_own() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let all = Arc::clone(&seen);
    let ended = LoopPerCore::new().loops(3).run(move |core, events| {
        let (seen, core) = (Arc::clone(&seen), core.clone());
        let ten_times = core.number() * 10;
        events.call_after(Duration::ZERO, move |state: &mut usize, _| {
            let thread = thread::current().name().unwrap_or_default().to_owned();
            let mut seen = seen.lock().unwrap();
            seen.insert((core.number(), *state, thread));
            if seen.len() == 3 {
                core.fellows().drain(GRACE);
            }
        })?;
        Ok(ten_times)
    });
    ended.unwrap();
    let expected = (0..3).map(|number| (number, number * 10, format!("trine-loop-{number}")));
    assert_eq!(*all.lock().unwrap(), expected.collect());
}

#[test]
fn a_drain_of_one_loop_is_that_of_all_with_what_is_left_of_its_time() {
    let began = Instant::now();
    let ended = LoopPerCore::new().loops(3).run(|core, events| {
        events.insert(Stuck)?;
        let number = core.number();
        events.call_after(Duration::from_millis(50), move |_, cx| {
            if number == 1 {
                cx.drain(Duration::from_millis(300));
            }
        })?;
        Ok(())
    });
    assert_eq!(
        ended.map_err(|error| error.kind()),
        Err(ErrorKind::DrainForced)
    );
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(350), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn one_loop_that_stops_stops_all() {
    run(3, |core, cx| {
        if core.number() == 2 {
            cx.stop();
        }
    })
    .unwrap();
}

#[test]
fn a_drain_that_is_forced_on_one_loop_is_forced_on_all() {
    let began = Instant::now();
    let ended = LoopPerCore::new().loops(2).run(|core, events| {
        events.insert(Stuck)?;
        let number = core.number();
        events.call_after(Duration::from_millis(50), move |_, cx| {
            if number == 0 {
                cx.drain(Duration::from_secs(3_600));
            }
        })?;
        events.every(Duration::from_millis(100), move |_, _, cx| {
            if number == 0 && cx.is_draining() {
                cx.force();
            }
        })?;
        Ok(())
    });
    assert_eq!(
        ended.map_err(|error| error.kind()),
        Err(ErrorKind::DrainForced)
    );
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn when_one_cannot_be_set_up_none_runs_and_the_error_is_told() {
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    let ended = LoopPerCore::new().loops(4).run(move |core, events| {
        let ran = Arc::clone(&ran);
        events.call_after(Duration::ZERO, move |(), _| {
            ran.fetch_add(1, Ordering::SeqCst);
        })?;
        match core.number() {
            2 => Err(StreamListener::bind_tcp("192.0.2.1:1").unwrap_err()),
            _ => Ok(()),
        }
    });
    assert!(ended.unwrap_err().to_string().contains("192.0.2.1:1"));
    assert_eq!(counted.load(Ordering::SeqCst), 0);
}

#[test]
fn when_setting_one_up_panics_none_runs_and_it_is_an_error() {
    let ended = LoopPerCore::new().loops(3).run(|core, events| {
        events.every(Duration::from_secs(1), |(), _, _| {})?;
        assert_ne!(core.number(), 1, "on purpose");
        Ok(())
    });
    assert_eq!(
        ended.map_err(|error| error.kind()),
        Err(ErrorKind::Panicked)
    );
}

#[test]
fn what_is_told_before_a_loop_runs_is_heard_when_it_does() {
    let ended = LoopPerCore::new().loops(2).run(|core, events| {
        events.every(Duration::from_secs(1), |(), _, _| {})?;
        core.fellows().drain(GRACE);
        Ok(())
    });
    ended.unwrap();
}

#[test]
fn loops_are_pinned_each_to_a_processor_of_those_allowed() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&seen);
    let pinned = LoopPerCore::new().loops(3).pinning(Pinning::Each);
    let ended = pinned.run(move |core, events: &mut EventLoop<()>| {
        let allowed = rustix::process::sched_getaffinity(None).unwrap();
        let one = (0..rustix::process::CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        seen.lock()
            .unwrap()
            .push((core.number(), one.collect::<Vec<_>>()));
        let fellows = core.fellows().clone();
        events.call_after(Duration::ZERO, move |(), _| fellows.stop())?;
        Ok(())
    });
    ended.unwrap();
    let seen = all.lock().unwrap();
    assert!(seen.iter().all(|(_, cpus)| cpus.len() == 1), "{seen:?}");
    let distinct: BTreeSet<_> = seen.iter().map(|(_, cpus)| cpus[0]).collect();
    let processors = thread::available_parallelism().unwrap().get();
    assert_eq!(distinct.len(), processors.min(3), "{seen:?}");
}

/// Connects and gives the first octets that come.
fn greeted(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"?").unwrap();
    let mut octets = [0; 16];
    let len = stream.read(&mut octets).unwrap();
    String::from_utf8_lossy(&octets[..len]).into_owned()
}

#[test]
fn the_kernel_spreads_the_connections_of_one_address_over_the_loops() {
    let listeners = StreamListener::bind_tcp_for(2, "127.0.0.1:0").unwrap();
    let addresses: Vec<_> = listeners
        .iter()
        .map(|it| it.local_address().unwrap())
        .collect();
    assert_eq!(addresses[0], addresses[1]);
    let listeners = Mutex::new(listeners);
    let (fellows, told) = mpsc::channel();
    let server = thread::spawn(move || {
        LoopPerCore::new().loops(2).run(move |core, events| {
            let listener = listeners.lock().unwrap().pop().unwrap();
            let name = core.number().to_string();
            events.streams(
                listener,
                Default::default(),
                move |(): &mut (), link: &mut Link<'_, '_, ()>, _: &[u8]| {
                    link.write(name.as_bytes());
                },
            )?;
            fellows.send(core.fellows().clone()).unwrap();
            Ok(())
        })
    });
    let fellows = told.recv().unwrap();
    let mut by = [0; 2];
    for _ in 0..100 {
        by[greeted(addresses[0]).parse::<usize>().unwrap()] += 1;
    }
    assert!(by.iter().all(|served| *served > 10), "{by:?}");
    fellows.drain(GRACE);
    server.join().unwrap().unwrap();
}

#[test]
fn an_address_that_somebody_serves_is_in_use_for_several_sockets_too() {
    let alone = StreamListener::bind_tcp("127.0.0.1:0").unwrap();
    let address = alone.local_address().unwrap();
    let refused = StreamListener::bind_tcp_for(2, address).unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
    let several = StreamListener::bind_tcp_for(2, "127.0.0.1:0").unwrap();
    let address = several[0].local_address().unwrap();
    assert!(StreamListener::bind_tcp(address).is_err());
    assert!(StreamListener::bind_tcp_for(2, address).is_err());
}

#[test]
fn a_drain_that_is_forced_before_a_loop_has_heard_of_it_is_a_drain_that_is_forced() {
    let ended = LoopPerCore::new().loops(2).run(|core, events| {
        events.insert(Stuck)?;
        if core.number() == 0 {
            core.fellows().drain(Duration::from_secs(3_600));
            core.fellows().force();
        }
        Ok(())
    });
    assert_eq!(
        ended.map_err(|error| error.kind()),
        Err(ErrorKind::DrainForced)
    );
}
