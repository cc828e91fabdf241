//! What a connection costs: little, and only while it has something to do.

mod trace;

use trace::{DEFER, HELLO, Trace};
use trine::connection::{Connection, Pools};

const POOLED: usize = 16 * 1024;

#[test]
fn a_connection_is_at_most_48_bytes() {
    let size = size_of::<Connection>();
    assert!(size <= 48, "{size} bytes");
}

#[test]
fn an_idle_or_waiting_connection_holds_no_buffer() {
    let mut trace = Trace::new();
    assert_eq!(trace.connection.memory(), 0);
    trace.reads(HELLO).is("idle");
    assert_eq!(trace.connection.memory(), 0);
    trace.reads(DEFER).is("waiting");
    assert_eq!(trace.connection.memory(), 0);
    assert_eq!(trace.pools.spare(), (1, 1));
}

#[test]
fn a_partial_request_holds_a_buffer_of_its_own_size() {
    let mut trace = Trace::new();
    trace.reads("GET /hello HTTP/1.1\r\nHost: a\r\n");
    assert!(trace.connection.memory() <= 256);
    assert_eq!(trace.pools.spare().0, 1, "the large one went back");
    trace.reads("\r\n").answers(&["200 hello"]);
    assert_eq!(trace.connection.memory(), 0);
}

#[test]
fn a_few_pipelined_bytes_hold_no_large_buffer_while_an_answer_is_awaited() {
    let mut trace = Trace::new();
    trace.reads([DEFER, "GET"].concat()).is("waiting");
    assert!(trace.connection.memory() <= 256);
    trace
        .sends("later")
        .reads(" /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    trace.answers(&["200 later", "200 hello"]);
}

#[test]
fn a_trickle_of_n_bytes_holds_at_most_a_few_times_n() {
    let mut trace = Trace::new();
    trace.reads("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let mut held = 60;
    for _ in 0..20_000 {
        trace.reads("x");
        held += 1;
        assert!(trace.connection.memory() <= (4 * held).max(512));
    }
}

#[test]
fn a_large_body_does_not_stay_in_memory() {
    let mut trace = Trace::new();
    trace.reads("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    trace.reads(vec![b'x'; 999_999]);
    assert!(trace.connection.memory() <= 2 * 1024 * 1024);
    trace.reads("x").answers(&["200 hello"]);
    assert_eq!(trace.connection.memory(), 0);
    trace.reads([HELLO, "GET"].concat());
    assert!(trace.connection.memory() <= POOLED);
}

#[test]
fn pools_keep_a_bounded_number_of_buffers() {
    let mut pools = Pools::new(1024, 2);
    assert_eq!(pools.spare(), (0, 0));
    let mut traces: Vec<Trace> = (0..4).map(|_| Trace::new()).collect();
    let config = trace::Trace::new().config;
    let mut connections: Vec<Connection> = traces
        .drain(..)
        .map(|_| Connection::new(trine::time::Tick(0), &config))
        .collect();
    for connection in &mut connections {
        let _ = connection.input_space(&mut pools);
    }
    for connection in &mut connections {
        connection.handle_blocked(&mut pools);
    }
    assert_eq!(pools.spare(), (2, 0));
}

#[test]
fn a_large_answer_is_not_copied_before_the_client_takes_it() {
    let mut trace = Trace::new();
    trace
        .takes(0)
        .reads(trace::get("/big?8388608"))
        .is("streaming");
    assert!(trace.connection.memory() <= 160 * 1024);
    trace.takes(100_000);
    assert!(trace.connection.memory() <= 160 * 1024);
    trace
        .takes(usize::MAX)
        .answers(&["200 (8388608 bytes)"])
        .is("idle");
    // The same for one that was promised, and behind another request.
    trace.reads(
        [
            "GET /defer HTTP/1.1\r\nHost: a\r\n\r\n",
            &trace::get("/next"),
        ]
        .concat(),
    );
    trace.takes(0).sends(LARGE).is("streaming");
    assert!(trace.connection.memory() <= 160 * 1024);
    trace
        .takes(usize::MAX)
        .answers(&["200 (1000000 bytes)", "200 next"]);
}

const LARGE: &str = match std::str::from_utf8(&[b'x'; 1_000_000]) {
    Ok(text) => text,
    Err(_) => "",
};
