//! Every arrow in the diagram of states is taken, and no other.

mod trace;

use std::collections::BTreeSet;

use trace::{DEFER, HELLO, Trace, get};
use trine::connection::CloseReason;

const POST: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
const EARLY: &str = "POST /pieces/early HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
const PIECES: &str = "POST /pieces/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
const EXPECT: &str =
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
const LAST: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

type Life = fn(&mut Trace) -> &mut Trace;

/// One life for each way through the states; what ends a life is beside it.
const LIVES: &[(Life, CloseReason)] = &[
    (|it| it.at(10_000).expires(), CloseReason::NeverSpoke),
    (
        |it| it.reads(HELLO).at(75_000).expires(),
        CloseReason::IdleTimeout,
    ),
    (
        |it| it.reads(POST).reads("ab").reads(POST).ends_sending(),
        CloseReason::Truncated,
    ),
    (
        |it| it.reads(HELLO).reads("GE").ends_sending(),
        CloseReason::Truncated,
    ),
    (
        |it| it.reads([HELLO, "GE"].concat()).ends_sending(),
        CloseReason::Truncated,
    ),
    (|it| it.reads("GE").resets(), CloseReason::PeerReset),
    (|it| it.reads(POST).aborts(), CloseReason::Forced),
    (
        |it| it.reads(HELLO).reads([EXPECT, "ab"].concat()).reads(LAST),
        CloseReason::CloseRequested,
    ),
    (
        |it| it.reads(EXPECT).reads("ab").ends_sending(),
        CloseReason::PeerClosed,
    ),
    (
        |it| {
            it.reads(HELLO)
                .reads(EXPECT)
                .reads("ab")
                .drains()
                .at(75)
                .expires()
                .ends_sending()
        },
        CloseReason::DrainedIdle,
    ),
    (
        |it| it.reads(DEFER).sends("now").reads(DEFER).aborts(),
        CloseReason::Forced,
    ),
    (
        |it| {
            it.reads(get("/after?5"))
                .at(5)
                .expires()
                .reads(get("/after?5"))
                .resets()
        },
        CloseReason::PeerReset,
    ),
    (
        |it| {
            it.reads(get("/after?5"))
                .drains()
                .at(5)
                .expires()
                .ends_sending()
        },
        CloseReason::Drained,
    ),
    (
        |it| it.reads(DEFER).sends_after(5, "soon").resets(),
        CloseReason::PeerReset,
    ),
    (
        |it| it.reads(DEFER).drains().sends("now").at(2_000).expires(),
        CloseReason::Drained,
    ),
    (
        |it| it.reads(DEFER).at(30_000).expires().ends_sending(),
        CloseReason::HandlerTimeout,
    ),
    (
        |it| it.reads("GE").at(10_000).expires().ends_sending(),
        CloseReason::HeadTimeout,
    ),
    (
        |it| it.reads(POST).at(5_000).expires().ends_sending(),
        CloseReason::BodyTooSlow,
    ),
    (
        |it| it.reads("NO\r\n").ends_sending(),
        CloseReason::BadRequest,
    ),
    (
        |it| it.reads(HELLO).reads("NO\r\n").ends_sending(),
        CloseReason::BadRequest,
    ),
    (
        |it| {
            it.reads(get("/pieces/declared/0"))
                .reads(PIECES)
                .reads("ab")
                .reads(EARLY)
                .reads("ab")
                .reads(PIECES)
                .resets()
        },
        CloseReason::PeerReset,
    ),
    (
        |it| it.reads(get("/pieces/silent/")).ends_sending(),
        CloseReason::Unanswered,
    ),
    (
        |it| it.takes(0).reads(HELLO).at(60_000).expires(),
        CloseReason::WriteTimeout,
    ),
];

/// The table beside the diagram of states.
fn drawn() -> BTreeSet<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/connection/state.rs");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| {
        let row = line.strip_prefix("/// | ")?.strip_suffix(" |")?;
        row.split_once(" | ")
    });
    let arrows = rows.flat_map(|(from, to)| {
        let arrow = move |to: &str| (from.to_owned(), to.to_owned());
        to.split(", ").map(arrow)
    });
    arrows.filter(|(from, _)| from != "from").collect()
}

#[test]
fn every_arrow_of_the_diagram_is_taken_and_no_other() {
    let mut taken = BTreeSet::new();
    for (number, (live, reason)) in LIVES.iter().enumerate() {
        let mut trace = Trace::new();
        live(&mut trace);
        assert_eq!(trace.ended, Some(*reason), "life {number}");
        taken.append(&mut trace.arrows);
    }
    taken.retain(|(from, to)| from != to);
    let owned = |(from, to): (&str, &str)| (from.to_owned(), to.to_owned());
    let taken: BTreeSet<_> = taken.into_iter().map(owned).collect();
    let drawn = drawn();
    assert!(drawn.len() > 30, "the table is not where it was");
    let missing: Vec<_> = drawn.difference(&taken).collect();
    let extra: Vec<_> = taken.difference(&drawn).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing {missing:?}, extra {extra:?}"
    );
}
