//! Connections that move, alive, from the server of one loop to that of another.

mod support;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use support::client::{Client, End, get};
use support::{PATIENCE, eventually, site};
use trine::connection::CloseReason;
use trine::http::Request;
use trine::proactor::{Pattern, ProactorOptions};
use trine::reactor::{Context, ErrorKind, InboxSender, Mail};
use trine::server::{MovingConnection, ServerHandle, ServerMetrics};
use trine::service::{Answered, Reply, Service};
use trine::slab::Token;
use trine::{EventLoop, Server, Sources};

type Refusal = (ErrorKind, String);

/// What a loop is asked for.
enum Order {
    Count(Sender<ServerMetrics>),
    /// Take out all connections that can move; why the others cannot.
    TakeAll(Sender<(Vec<MovingConnection>, Vec<Refusal>)>),
    Insert(MovingConnection, Sender<Result<Token, MovingConnection>>),
    Timeline(u64, Sender<Option<String>>),
    Drain,
    Stop,
}

/// A loop with a server.
struct Loop {
    address: std::net::SocketAddr,
    orders: InboxSender<Order>,
    thread: thread::JoinHandle<trine::Result<()>>,
}

fn obey<V: Service<()>>(order: Order, handle: ServerHandle<(), V>, cx: &mut Context<'_, ()>) {
    match order {
        Order::Count(reply) => {
            let _ = reply.send(handle.metrics(cx).unwrap());
        }
        Order::TakeAll(reply) => {
            let (mut taken, mut refused) = (Vec::new(), Vec::new());
            for token in handle.connections(cx) {
                match handle.take_connection(cx, token) {
                    Ok(moving) => taken.push(moving),
                    Err(error) => refused.push((error.kind(), error.to_string())),
                }
            }
            let _ = reply.send((taken, refused));
        }
        Order::Insert(moving, reply) => {
            let _ = reply.send(handle.insert_connection(cx, moving));
        }
        Order::Timeline(number, reply) => {
            let timeline = handle.explain(cx, number);
            let _ = reply.send(timeline.map(|timeline| timeline.to_string()));
        }
        Order::Drain => cx.drain(Duration::from_secs(5)),
        Order::Stop => cx.stop(),
    }
}

impl Loop {
    fn start(configure: impl FnOnce(Server) -> Server) -> Loop {
        let server = configure(Server::bind("127.0.0.1:0").unwrap());
        let address = server.local_address().unwrap();
        let (give, take) = channel();
        let thread = thread::spawn(move || {
            let mut event_loop = EventLoop::new()?;
            // Says which loop it is.
            let service = move |request: &Request<'_>, reply: Reply<'_>, (): &mut ()| -> Answered {
                match request.path() {
                    "/where" => reply.text(address.to_string()),
                    _ => site(request, reply, &mut ()),
                }
            };
            let handle = server.attach(&mut event_loop, service)?;
            let orders = event_loop.inbox(16, move |(), mail, cx| match mail {
                Mail::Message(order) => obey(order, handle, cx),
                Mail::Closed => cx.stop(),
            })?;
            give.send(orders).unwrap();
            event_loop.run(&mut ())
        });
        Loop {
            address,
            orders: take.recv_timeout(PATIENCE).unwrap(),
            thread,
        }
    }

    fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> T {
        let (give, take) = channel();
        self.orders.try_send(order(give)).unwrap();
        take.recv_timeout(PATIENCE).unwrap()
    }

    fn counted(&self) -> ServerMetrics {
        self.ask(Order::Count)
    }

    /// The one connection that there is, which can move.
    fn take(&self) -> MovingConnection {
        eventually("a connection that can move", || {
            self.counted().connections == 1
        });
        let (mut taken, refused) = self.ask(Order::TakeAll);
        assert_eq!((taken.len(), refused), (1, Vec::new()));
        taken.remove(0)
    }

    fn insert(&self, moving: MovingConnection) -> Result<Token, MovingConnection> {
        self.ask(|reply| Order::Insert(moving, reply))
    }

    /// Asks `client`, which is here, where it is.
    fn has(&self, client: &mut Client) {
        assert_eq!(client.get("/where").text(), self.address.to_string());
    }

    fn stop(self) -> ServerMetrics {
        let counted = self.counted();
        self.orders.try_send(Order::Stop).unwrap();
        self.thread.join().unwrap().unwrap();
        counted
    }
}

fn pair(configure: impl Fn(Server) -> Server) -> (Loop, Loop) {
    (Loop::start(&configure), Loop::start(&configure))
}

#[test]
fn an_idle_connection_goes_on_at_another_loop() {
    let (a, b) = pair(|server| server);
    let mut client = Client::connect(a.address);
    a.has(&mut client);
    b.insert(a.take()).unwrap();
    for _ in 0..3 {
        b.has(&mut client);
    }
    a.insert(b.take()).unwrap();
    a.has(&mut client);
    let (a, b) = (a.stop(), b.stop());
    assert_eq!(
        (a.accepted, a.given_away, a.taken_over, a.connections),
        (1, 1, 1, 1)
    );
    assert_eq!(
        (b.accepted, b.given_away, b.taken_over, b.connections),
        (0, 1, 1, 0)
    );
    assert_eq!((a.requests, b.requests), (2, 3));
}

#[test]
fn a_message_is_taken_along_however_far_it_has_come() {
    let (a, b) = pair(|server| server);
    let message = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                    5\r\nhello\r\n8\r\n, moving\r\n0\r\n\r\n";
    for cut in 1..message.len() {
        let mut client = Client::connect(a.address);
        client.send(&message[..cut]);
        thread::sleep(Duration::from_millis(1)); // often it has arrived
        let moving = a.take();
        client.send(&message[cut..]); // between the loops
        b.insert(moving).unwrap();
        assert_eq!(client.answer().text(), "hello, moving", "cut at {cut}");
        b.has(&mut client);
        drop(client);
        eventually("it has left", || b.counted().connections == 0);
    }
    // What it held is counted where it ended.
    assert_eq!((a.stop().memory, b.stop().memory), (0, 0));
}

#[test]
fn what_it_holds_counts_where_it_is() {
    let (a, b) = pair(|server| server);
    let mut client = Client::connect(a.address);
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n");
    client.send([b'x'; 300_000]);
    eventually("much of it is there", || a.counted().memory > 250_000);
    b.insert(a.take()).unwrap();
    assert_eq!(a.counted().memory, 0);
    assert!(b.counted().memory > 250_000);
    client.send([b'x'; 100_000]);
    assert_eq!(client.answer().body.len(), 400_000);
    drop(client);
    eventually("nothing is held", || b.counted().memory == 0);
    a.stop();
    b.stop();
}

#[test]
fn the_deadline_runs_on() {
    let limit = Duration::from_secs(2);
    let (a, b) = pair(|server| server.head_timeout(limit));
    let began = Instant::now();
    let mut client = Client::connect(a.address);
    client.send("GET / HT");
    thread::sleep(limit / 2);
    b.insert(a.take()).unwrap();
    assert_eq!(client.answer().status, 408);
    let took = began.elapsed();
    assert!(took >= limit, "{took:?}");
    assert!(took < limit + limit / 2, "it did not begin anew: {took:?}");
    drop(client);
    eventually("the end", || {
        b.counted().closed(CloseReason::HeadTimeout) == 1
    });
    a.stop();
    b.stop();
}

#[test]
fn the_requests_that_are_left_go_along() {
    let (a, b) = pair(|server| server.requests_per_connection_max(3));
    let mut client = Client::connect(a.address);
    a.has(&mut client);
    a.has(&mut client);
    b.insert(a.take()).unwrap();
    assert!(client.get("/").says("Connection: close"));
    client.ends(End::Closed);
    a.stop();
    b.stop();
}

#[test]
fn an_exchange_under_way_stays_and_it_is_said_why() {
    let (a, b) = pair(|server| server);
    let mut waiting = Client::connect(a.address);
    waiting.send(get("/later/400"));
    let mut taking = Client::connect(a.address);
    taking.send(get("/bytes/50000000"));
    eventually("both are under way", || a.counted().requests == 2);
    let (taken, refused) = a.ask(Order::TakeAll);
    assert!(taken.is_empty(), "{taken:?}");
    assert_eq!(refused.len(), 2);
    for (kind, said) in &refused {
        assert_eq!(*kind, ErrorKind::Invalid);
        assert!(said.contains("an exchange is under way"), "{said}");
    }
    assert_eq!(waiting.answer().text(), "late");
    assert_eq!(taking.answer().body.len(), 50_000_000);
    a.orders.try_send(Order::Drain).unwrap();
    eventually("the drain has begun", || a.ask(Order::TakeAll).0.is_empty());
    a.thread.join().unwrap().unwrap();
    b.stop();
}

#[test]
fn a_connection_by_operations_stays_and_it_is_said_why() {
    let a = Loop::start(|server| {
        server.proactor(ProactorOptions {
            pattern: Pattern::Emulated,
            ..ProactorOptions::default()
        })
    });
    let mut client = Client::connect(a.address);
    a.has(&mut client);
    let (taken, refused) = a.ask(Order::TakeAll);
    assert_eq!((taken.len(), refused.len()), (0, 1));
    assert!(
        refused[0].1.contains("operations of it are under way"),
        "{refused:?}"
    );
    a.has(&mut client);
    a.stop();
}

#[test]
fn a_server_that_is_full_gives_it_back() {
    let (a, b) = (
        Loop::start(|it| it),
        Loop::start(|it| it.connections_max(1)),
    );
    let mut there = Client::connect(b.address);
    b.has(&mut there);
    let mut client = Client::connect(a.address);
    a.has(&mut client);
    let back = b.insert(a.take()).unwrap_err();
    a.insert(back).unwrap();
    a.has(&mut client);
    assert_eq!(b.counted().taken_over, 0);
    drop(there);
    eventually("a place is free", || b.counted().connections == 0);
    b.insert(a.take()).unwrap();
    b.has(&mut client);
    a.stop();
    b.stop();
}

#[test]
fn what_is_told_and_recorded_of_it_goes_along() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (a, b) = pair(|server| {
        let told = Arc::clone(&told);
        server.flight_recorder(16).on_served(move |served| {
            told.lock()
                .unwrap()
                .push((served.peer().to_string(), served.status().is_some()));
        })
    });
    // So that neither its number nor its place is the same there.
    let mut there: Vec<_> = (0..2).map(|_| Client::connect(b.address)).collect();
    there.iter_mut().for_each(|it| b.has(it));
    let former: Vec<_> = (0..4).map(|_| Client::connect(a.address)).collect();
    eventually("they came", || a.counted().accepted == 4);
    drop(former);
    eventually("they left", || a.counted().connections == 0);
    told.lock().unwrap().clear();
    let mut client = Client::connect(a.address);
    a.has(&mut client);
    let request = get("/where");
    client.send(&request[..7]);
    b.insert(a.take()).unwrap();
    client.send(&request[7..]);
    assert_eq!(client.answer().text(), b.address.to_string());
    drop(client);
    eventually("the end", || b.counted().connections == 2);
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 2);
    assert!(told[0] == told[1] && told[0].1, "{told:?}");
    assert_eq!(a.ask(|reply| Order::Timeline(5, reply)), None);
    let life = b.ask(|reply| Order::Timeline(5, reply)).unwrap();
    let reads = life.split("read ").skip(1);
    let octets = reads.map(|it| it.split(' ').next().unwrap().parse::<usize>().unwrap());
    let all = octets.sum::<usize>();
    assert_eq!(all, 2 * request.len(), "what came to either loop: {life}");
    a.stop();
    b.stop();
}
