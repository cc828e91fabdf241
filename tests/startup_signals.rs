//! Signals that come before the loop runs are not lost, and do not kill.

mod support;

use std::net::TcpListener;
use std::time::Duration;

use signal_hook::low_level::raise;
use support::client::{Client, get};
use support::site;
use trine::{EventLoop, Server, Signal, Sources};

const GRACE: Duration = Duration::from_secs(5);

/// Wanted first, as `Server::serve` does; the rest of the start-up takes its time. The default
/// disposition would end this test.
#[test]
fn sigterm_during_start_up_drains_in_the_first_turn() {
    let mut events = EventLoop::new().unwrap();
    events
        .drain_on_signals([Signal::TERM, Signal::INT], GRACE)
        .unwrap();
    raise(Signal::TERM.number()).unwrap();
    let mut server = Server::bind("127.0.0.1:0").unwrap();
    server.config_mut().deadlines.linger = trine::time::Span::from_millis(100);
    let address = server.local_address().unwrap();
    // One who has connected already is answered all the same.
    let mut early = Client::connect(address);
    early.send(get("/"));
    let handle = server.attach(&mut events, site).unwrap();
    events.run(&mut ()).unwrap();
    let answer = early.answer();
    assert_eq!(answer.text(), "Hello, World!");
    assert!(answer.says("Connection: close"));
    let metrics = handle.metrics(&mut events.context()).unwrap();
    assert_eq!(metrics.drain().finished, 1);
    drop(TcpListener::bind(address).expect("nobody listens there any more"));
}
