//! What a head costs the allocator once the table of fields has grown: nothing.
//!
//! This file has one test, because the counters are those of the process. Its runner has a thread
//! of its own that may allocate at any moment, so the count is taken several times and the least
//! of them is the truth.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use trine::http::{Limits, Method, Progress, RequestParser, ResponseParser};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC:\td\r\nE: f\r\nG: h\r\n\r\n";
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nA: b\r\nC:\td\r\nE: f\r\nG: h\r\nContent-Length: 5\r\n\r\n";

/// Where a message is cut that comes in pieces of `step` octets.
fn ends(message: &[u8], step: usize) -> impl Iterator<Item = usize> + use<> {
    let len = message.len();
    (step..len).step_by(step).chain([len])
}

#[test]
fn a_head_allocates_nothing_once_the_table_of_fields_has_grown() {
    let limits = Limits::default();
    let (mut requests, mut responses) =
        (RequestParser::default(), ResponseParser::new(Method::Get));
    let mut take_both = || {
        for step in [1, 7, 1000] {
            requests.reset();
            responses.reset(Method::Get);
            let mut last = [Ok(Progress::Partial); 2];
            for end in ends(REQUEST, step) {
                last[0] = requests.feed(&REQUEST[..end], &limits);
            }
            for end in ends(RESPONSE, step) {
                last[1] = responses.feed(&RESPONSE[..end], &limits);
            }
            assert_eq!(last, [Ok(Progress::Complete); 2]);
        }
    };
    take_both();
    let counts = [(); 5].map(|()| {
        let region = Region::new(ALLOCATOR);
        take_both();
        region.change().allocations
    });
    assert_eq!(counts.iter().min(), Some(&0), "{counts:?}");
}
