//! The service fails, or cannot keep up.

use std::process::Stdio;
use std::time::Duration;

use super::bars::{gate, scale};
use super::crowd::{Cuts, End, Habit, crowd};
use super::drill::{Drill, command};

fn asks(path: &str) -> Habit {
    Habit {
        first: format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
            .into_bytes(),
        drip: None,
        reads: true,
    }
}

fn told(cuts: &Cuts, line: &str) -> usize {
    let key = (line.to_owned(), End::Closed);
    cuts.ends.get(&key).copied().unwrap_or(0)
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn a_thousand_panics_at_once_are_a_thousand_answers_and_harm_nobody() {
    for flags in [&[][..], &["--workers", "4", "--queue", "4096"]] {
        let mut command = command(&[], flags);
        // Each says that it panics; to say where is the cost of whoever asks for it.
        command.stderr(Stdio::null()).env("RUST_BACKTRACE", "0");
        let drill = Drill::of("panics", &mut command);
        let count = 1000 * scale();
        let cuts = crowd(
            drill.address(),
            &asks("/panic"),
            count,
            20_000,
            Duration::from_secs(10),
        );
        let answered = told(&cuts, "HTTP/1.1 500 Internal Server Error");
        drill.say(&format!(
            "{answered} of {count} answered 500, the last after {:.0?} {flags:?}",
            cuts.last()
        ));
        assert_eq!((cuts.left, answered), (0, count), "{:?}", cuts.ends);
        drill.end();
    }
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn work_beyond_the_queue_is_refused_at_once_and_what_was_let_in_is_done() {
    let mut drill = Drill::begin("queue", &["--workers", "2", "--queue", "64"]);
    drill.pause_bystander(); // it would be refused, too
    let count = 500;
    let cuts = crowd(
        drill.address(),
        &asks("/sleep/20"),
        count,
        20_000,
        Duration::from_secs(10),
    );
    let refused = told(&cuts, "HTTP/1.1 503 Service Unavailable");
    let done = told(&cuts, "HTTP/1.1 200 OK");
    let slowest = cuts.after[refused.saturating_sub(1)]; // refusals come first
    drill.say(&format!(
        "{done} done, {refused} refused, the last of those after {slowest:.1?} (bar 10 ms)"
    ));
    assert_eq!((cuts.left, done + refused), (0, count), "{:?}", cuts.ends);
    assert!(done >= 64, "{done} done");
    assert!(slowest <= gate(Duration::from_millis(10)) + drill.starved());
    drill.resume_bystander();
    drill.end();
}
