//! The watchdog: a thread that says who keeps a loop, while it does.
//!
//! The [watch over slow callbacks](super::watch) speaks when a callback has returned. One that never
//! does (a lock that is not given back, a read from a device that hangs) it cannot report, nor what it
//! waits for. The watchdog can: it looks at the loop's [heartbeat](super::heartbeat) four times in the
//! time that a callback may take, and asks the kernel what the loop's thread is doing.
//!
//! ```text
//!              the same beat since `limit`       since twice as long, four times, ...
//!   Watching ─────────────────────────────> Stalled ──────────────┐
//!       ^                                     │ ^     reported    │
//!       └──────── another beat: reported ─────┘ └─────────────────┘
//! ```
//!
//! Invariant: the loop never waits for this thread, except for its end when the loop is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{convert::Infallible, io, mem};

use tracing::Dispatch;

use super::clock::monotonic_nanos;
use super::heartbeat::{Heartbeat, RESTING};
use super::stall::{Doing, Stall};
use crate::sync::Arc;
use crate::thread::start_thread;
use crate::unwind::discard;

/// Looks in the time that a callback may take: so a stall is noticed after 1 to 1.5 times the limit.
const LOOKS_PER_LIMIT: u32 = 4;
/// Even with a limit of nothing, the watchdog does not spin.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// The thread, for as long as the loop lives.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// Disconnected when the thread is to end; nothing is ever sent.
    leash: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
    /// A forked child has no such thread, and must not wait for it.
    process: u32,
}

impl Watchdog {
    /// Watches the loop behind `heartbeat` from now on.
    pub(super) fn start(
        heartbeat: Arc<Heartbeat>,
        limit: Duration,
        report: impl FnMut(&Stall) + Send + 'static,
    ) -> io::Result<Watchdog> {
        let (leash, ended) = channel();
        // What this thread logs to, that one does as well.
        let dispatch = tracing::dispatcher::get_default(Dispatch::clone);
        let watcher = Watcher {
            heartbeat,
            judge: Judge::new(limit),
            report,
        };
        let period = (limit / LOOKS_PER_LIMIT).max(PERIOD_MIN);
        let run = move || {
            tracing::dispatcher::with_default(&dispatch, || watcher.run(&ended, period));
        };
        Ok(Watchdog {
            leash: Some(leash),
            thread: Some(start_thread("trine-watchdog".to_owned(), run)?),
            process: std::process::id(),
        })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.leash.take());
        match self.thread.take() {
            Some(thread) if self.process == std::process::id() => {
                thread.join().unwrap_or_else(discard);
            }
            thread => mem::forget(thread),
        }
    }
}

/// What runs on the thread.
struct Watcher<R> {
    heartbeat: Arc<Heartbeat>,
    judge: Judge,
    report: R,
}

impl<R: FnMut(&Stall)> Watcher<R> {
    fn run(mut self, ended: &Receiver<Infallible>, period: Duration) {
        let mut present: Option<Stall> = None;
        while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
            let verdict = self.judge.look(self.heartbeat.beat(), monotonic_nanos());
            match verdict {
                Verdict::Well => {}
                Verdict::Stalled { lasted, first } => {
                    let (source, token) = self.heartbeat.who();
                    let stall = Stall {
                        source,
                        token,
                        lasted,
                        doing: Doing::of_thread(self.heartbeat.thread()),
                    };
                    if first {
                        self.heartbeat.count_stall();
                    }
                    self.say(&stall);
                    present = Some(stall);
                }
                Verdict::Over { lasted } => {
                    let doing = Doing::Returned;
                    let over = present.take().map(|stall| Stall {
                        lasted,
                        doing,
                        ..stall
                    });
                    over.iter().for_each(|stall| self.say(stall));
                }
            }
        }
    }

    /// Logs, and tells whoever asked to be told. If that panics, the watch goes on.
    fn say(&mut self, stall: &Stall) {
        let Stall {
            source,
            token,
            lasted,
            doing,
        } = stall;
        match doing {
            Doing::Returned => {
                tracing::warn!(target: "trine::loop", source, ?token, ?lasted, "the loop goes on");
            }
            _ => {
                tracing::warn!(target: "trine::loop", source, ?token, ?lasted, %doing, "the loop is stuck: everybody waits");
            }
        }
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (self.report)(stall))) {
            tracing::error!(target: "trine::loop", "panicked when it was told of a stall");
            discard(payload);
        }
    }
}

/// Tells from the beats alone whether the loop is stuck. Knows no clock.
#[derive(Debug)]
struct Judge {
    limit: Duration,
    /// The beat of the last look.
    beat: u64,
    /// When it was seen first, in nanoseconds.
    since: u64,
    /// How long it may go on before the next report.
    patience: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Nothing is to be said.
    Well,
    Stalled {
        lasted: Duration,
        first: bool,
    },
    Over {
        lasted: Duration,
    },
}

impl Judge {
    fn new(limit: Duration) -> Judge {
        Judge {
            limit,
            beat: RESTING,
            since: 0,
            patience: limit,
        }
    }

    fn look(&mut self, beat: u64, now: u64) -> Verdict {
        let lasted = Duration::from_nanos(now.saturating_sub(self.since));
        let is_reported = self.patience > self.limit;
        if beat != self.beat {
            (self.beat, self.since, self.patience) = (beat, now, self.limit);
            return match is_reported {
                true => Verdict::Over { lasted },
                false => Verdict::Well,
            };
        }
        if beat == RESTING || lasted < self.patience {
            return Verdict::Well;
        }
        self.patience = lasted.saturating_mul(2).max(self.limit + PERIOD_MIN);
        Verdict::Stalled {
            lasted,
            first: !is_reported,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);
    const MILLI: u64 = 1_000_000;

    /// What is said at each of the looks, one every 25 ms.
    fn said(beats: &[u64]) -> Vec<String> {
        let mut judge = Judge::new(LIMIT);
        let looks = (1_u64..).zip(beats);
        let verdicts = looks.map(|(n, beat)| (25 * n, judge.look(*beat, 25 * n * MILLI)));
        let worth_it = verdicts.filter(|(_, verdict)| *verdict != Verdict::Well);
        worth_it
            .map(|(at, verdict)| match verdict {
                Verdict::Well => String::new(),
                Verdict::Stalled { lasted, first } => format!("{at}: {lasted:?} {first}"),
                Verdict::Over { lasted } => format!("{at}: over after {lasted:?}"),
            })
            .collect()
    }

    #[test]
    fn a_beat_that_stays_is_reported_at_growing_intervals_and_at_its_end() {
        let beats = [vec![7; 40], vec![8; 2]].concat();
        assert_eq!(
            said(&beats),
            [
                "125: 100ms true",
                "225: 200ms false",
                "425: 400ms false",
                "825: 800ms false",
                "1025: over after 1s"
            ]
        );
    }

    #[test]
    fn a_loop_that_rests_or_goes_on_is_not_stalled() {
        assert_eq!(said(&[RESTING; 100]), [""; 0]);
        assert_eq!(said(&[1, 1, 1, 1, 2, 2, 2, 2, RESTING, 3]), [""; 0]);
        let many: Vec<u64> = (1..100).collect();
        assert_eq!(said(&many), [""; 0]);
    }

    #[test]
    fn each_stall_is_one_of_its_own() {
        let beats = [vec![1; 6], vec![RESTING], vec![2; 6], vec![RESTING]].concat();
        let said = said(&beats);
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said[2].ends_with("true"), "{said:?}");
    }

    #[test]
    fn a_limit_of_nothing_is_a_limit() {
        let mut judge = Judge::new(Duration::ZERO);
        assert_eq!(judge.look(1, 5), Verdict::Well);
        let first = Verdict::Stalled {
            lasted: Duration::ZERO,
            first: true,
        };
        assert_eq!(judge.look(1, 5), first);
        assert_eq!(judge.look(1, 6), Verdict::Well);
    }
}
