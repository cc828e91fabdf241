//! A server on a team of threads at its limits: who has to go, who is refused, and what does not come in.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use support::client::{Client, get};
use support::team::start;
use support::{PATIENCE, eventually, run_with, site};
use trine::concurrency::TeamOptions;
use trine::http::Request;
use trine::reactor::Mail;
use trine::server::{Ladder, Live};
use trine::service::Reply;
use trine::time::Span;
use trine::{CloseReason, EventLoop, Server, Sources};

const OPTIONS: TeamOptions = TeamOptions {
    threads: 2,
    handlers_max: 1_000,
};

/// Holds a loop: says that it does, until it is let go.
type Hold = (Sender<()>, Receiver<()>);

#[test]
fn who_was_served_since_the_loop_looked_at_its_clock_is_not_taken_for_idle() {
    let ladder = Ladder {
        idle_min: Span::from_secs(60),
        ..Ladder::default()
    };
    let server = Server::bind("127.0.0.1:0").unwrap().connections_max(2);
    let server = server
        .overload(ladder)
        .idle_timeout(Duration::from_secs(600));
    let (give, take) = channel();
    let server = run_with(server, move |server, event_loop| {
        for _ in 0..2 {
            let holds = event_loop.inbox(1, |(), mail: Mail<Hold>, _| {
                if let Mail::Message((held, go)) = mail {
                    held.send(()).unwrap();
                    let _ = go.recv_timeout(PATIENCE);
                }
            })?;
            give.send(holds).unwrap();
        }
        server.attach_team(event_loop, OPTIONS, || site, || ())
    });
    let holds: Vec<_> = (0..2)
        .map(|_| take.recv_timeout(PATIENCE).unwrap())
        .collect();
    let mut clients = [server.client(), server.client()];
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    server.reload(|live: &mut Live| live.config.deadlines.idle = Span::from_secs(120));
    let (held, is_held) = channel();
    let [(let_first_go, first), (let_second_go, second)] = [channel(), channel()];
    // While one turn lasts, the next gets the newcomer and, before it, somebody who holds it up.
    assert!(holds[0].try_send((held.clone(), first)).is_ok());
    is_held.recv_timeout(PATIENCE).unwrap();
    assert!(holds[1].try_send((held, second)).is_ok());
    let mut newcomer = server.client();
    let_first_go.send(()).unwrap();
    is_held.recv_timeout(PATIENCE).unwrap();
    thread::sleep(Duration::from_millis(20)); // the present is later than what the loop has read
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    let_second_go.send(()).unwrap();
    assert_eq!(newcomer.answer().status, 503);
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(server.counters().server.closed(CloseReason::Evicted), 0);
}

#[test]
fn a_client_beyond_the_limit_is_refused_while_the_service_keeps_every_thread() {
    let (enter, entered) = channel();
    let (release, released) = channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let small = |server: Server| {
        server.connections_max(4).overload(Ladder {
            idle_min: Span::from_millis(1),
            ..Ladder::default()
        })
    };
    let server = start(2, small, move || {
        let (enter, released) = (enter.clone(), Arc::clone(&released));
        move |request: &Request<'_>, reply: Reply<'_>, (): &mut ()| {
            if request.path() == "/wait" {
                enter.send(()).unwrap();
                // One waits for the other, and that one for longer than the client beyond the limit does.
                let _ = released.lock().unwrap().recv_timeout(PATIENCE * 3);
            }
            reply.text("ok")
        }
    });
    let mut idle: Vec<Client> = (0..2).map(|_| server.client()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/").status, 200);
    }
    let mut waiting: Vec<Client> = (0..2).map(|_| server.client()).collect();
    for client in &mut waiting {
        client.send(get("/wait"));
        entered.recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(server.client().answer().status, 503);
    drop(release);
    for client in &mut waiting {
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn a_connection_of_another_server_does_not_move_into_the_books_of_a_team() {
    let bind = || Server::bind("127.0.0.1:0").unwrap();
    let mut event_loop = EventLoop::<()>::new().unwrap();
    let plain = bind();
    let mut client = Client::connect(plain.local_address().unwrap());
    let plain = plain.attach(&mut event_loop, site).unwrap();
    let team = bind().attach_team(&mut event_loop, OPTIONS, || site, || ());
    let team = team.unwrap();
    client.send(get("/"));
    let mut cx = loop {
        let _ = event_loop.turn(&mut ()).unwrap();
        let mut cx = event_loop.context();
        if plain.metrics(&mut cx).unwrap().requests == 1 {
            break cx;
        }
    };
    assert_eq!(client.answer().status, 200);
    let connection = plain.connections(&mut cx)[0];
    let moving = plain.take_connection(&mut cx, connection).unwrap();
    let moving = team.insert_connection(&mut cx, moving).unwrap_err();
    assert!(plain.insert_connection(&mut cx, moving).is_ok());
    client.send(get("/path"));
    while plain.metrics(&mut event_loop.context()).unwrap().requests < 2 {
        let _ = event_loop.turn(&mut ()).unwrap();
    }
    assert_eq!(client.answer().text(), "/path");
}

#[test]
fn what_the_loop_keeps_unused_after_refusals_is_not_held_against_the_threads() {
    let small = |server: Server| {
        let server = server.memory_max(1 << 20).overload(Ladder::off());
        server.connections_max(1)
    };
    let server = start(2, small, || site);
    let mut client = server.client();
    assert_eq!(client.get("/").status, 200);
    let mut beyond: Vec<Client> = (0..40).map(|_| server.client()).collect();
    for client in &mut beyond {
        assert_eq!(client.answer().status, 503);
    }
    drop(beyond);
    eventually("they are gone", || {
        server.counters().server.connections == 1
    });
    let body = vec![b'x'; 900_000];
    client.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n");
    client.send(&body);
    assert_eq!(client.answer().status, 200);
}
