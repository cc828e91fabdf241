//! One thread of a storage unit: takes what is queued, has its session do it, and tells whoever asked.
//!
//! There is no timer that gathers a batch: while one batch is being made durable the next one gathers
//! by itself, so a lone write never waits, and the slower the disk the larger the batches.
//!
//! ```text
//!               outcome Unknown or Fenced, panic             reopen says Fenced
//!   Open ───────────────────────────────────────> Suspect ──────────────────────> Fenced
//!     ^                                               │ pauses of 100 ms to 10 s
//!     └──────────────── reopen succeeds ──────────────┘
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::fault::{Fault, Outcome};
use super::health::{Health, LaneHealth};
use super::metrics::{add, count, subtract};
use super::operation::Request;
use super::pending::Mark;
use super::place::Completion;
use super::store::{Outcomes, Session};
use super::unit::Opened;
use crate::concurrency::{Bounds, Popped, RequestQueue, Step, Steps};
use crate::time::{Span, Tick};
use crate::unwind::{discard, dropped};

/// How often a writer looks for work that has to be done some time.
const MAINTENANCE: Span = Span::from_secs(1);
/// How long it does that at a time.
const MAINTENANCE_BUDGET: Span = Span::from_millis(10);
/// Pauses between attempts to reopen.
const PAUSES: (Span, Span) = (Span::from_millis(100), Span::from_secs(10));

/// How often a write looks for the end of a read before it sleeps between two looks.
const LOOKS: u32 = 64;
const NAP: Duration = Duration::from_micros(50);

const PANICKED: Fault = Fault::Unknown("the store panicked");
const SILENT: Fault = Fault::Unknown("the store did not say");

/// One operation in a queue.
pub(super) struct Job {
    pub request: Request,
    pub end: End,
}

/// Whom to tell, and what to let go then.
pub(super) struct End {
    pub completion: Box<dyn Completion>,
    pub mark: Mark,
}

/// What one thread and its callers share.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub queue: RequestQueue<Job>,
    pub health: Arc<LaneHealth>,
}

impl Lane {
    pub fn new(queue: Bounds) -> Lane {
        Lane {
            queue: RequestQueue::new(queue),
            health: Arc::new(LaneHealth::new()),
        }
    }

    /// For one more thread that takes from the same queue, and may be well when this one is not.
    pub fn beside(&self) -> Lane {
        Lane {
            queue: self.queue.clone(),
            health: Arc::new(LaneHealth::new()),
        }
    }
}

/// Which sessions a thread asks its store for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Writer { lane: u16 },
    Reader,
}

enum State {
    Open(Box<dyn Session>),
    /// Not to be used before it is reopened, or there is none yet.
    Suspect {
        session: Option<Box<dyn Session>>,
        retry_at: Tick,
        pause: Span,
    },
    Fenced(&'static str),
}

impl State {
    fn suspect(session: Option<Box<dyn Session>>) -> State {
        State::Suspect {
            session,
            retry_at: Tick::ZERO, // at once
            pause: PAUSES.0,
        }
    }
}

/// What a thread has in hand.
enum Work {
    Nothing,
    /// Taken from the queue; a write among them may have to wait for reads that came before it.
    Taken {
        jobs: Vec<Job>,
        looks: u32,
    },
    /// What came of them is known, and nobody is told yet.
    Known(Vec<(End, Outcome)>),
}

/// The thread's own.
pub(super) struct LaneThread {
    opened: Arc<Opened>,
    lane: Lane,
    role: Role,
    state: State,
    work: Work,
    maintained: Tick,
}

impl LaneThread {
    pub fn new(opened: Arc<Opened>, lane: Lane, role: Role) -> LaneThread {
        LaneThread {
            maintained: opened.clock.now(),
            opened,
            lane,
            role,
            state: State::suspect(None),
            work: Work::Nothing,
        }
    }

    /// Takes what is queued, if something comes in time.
    fn take(&mut self, patience: Duration) -> Step {
        let (mut jobs, batch) = (Vec::new(), self.opened.options.batch);
        match self.lane.queue.pop_batch(batch, patience, &mut jobs) {
            Popped::Closed => return Step::Ended,
            Popped::Items => self.sift(&mut jobs),
            Popped::Nothing => {}
        }
        if jobs.is_empty() {
            return Step::Idle(self.do_the_rest());
        }
        self.work = Work::Taken { jobs, looks: 0 };
        Step::Goes
    }

    /// Has what was taken done, unless a write has to wait for readers.
    fn attempt_all(&mut self, jobs: Vec<Job>, looks: u32) -> Step {
        let marks = jobs.iter().map(|job| job.end.mark);
        if !self.opened.pending.are_read(marks) {
            let looks = looks + 1;
            self.work = Work::Taken { jobs, looks };
            return Step::Pauses(if looks < LOOKS { Duration::ZERO } else { NAP });
        }
        let jobs = jobs.into_iter();
        let (requests, ends): (Vec<Request>, Vec<End>) =
            jobs.map(|job| (job.request, job.end)).unzip();
        let mut places = vec![None; requests.len()];
        add(&self.opened.counters.running, requests.len());
        self.attempt(&requests, &mut places);
        requests.into_iter().for_each(let_go);
        let outcomes = places.into_iter().map(|place| place.unwrap_or(Err(SILENT)));
        self.work = Work::Known(ends.into_iter().zip(outcomes).collect());
        Step::Goes
    }

    /// Tells everybody.
    fn complete_all(&mut self, known: Vec<(End, Outcome)>) -> Step {
        subtract(&self.opened.counters.running, known.len());
        add(&self.opened.counters.done, known.len());
        #[cfg(trine_planted)]
        let known = match crate::planted::has(crate::planted::Bug::OutcomeOfAnother) {
            true => {
                let (ends, mut outcomes): (Vec<End>, Vec<Outcome>) = known.into_iter().unzip();
                outcomes.rotate_left(1);
                ends.into_iter().zip(outcomes).collect()
            }
            false => known,
        };
        for (end, outcome) in known {
            self.complete(end, outcome);
        }
        Step::Idle(self.do_the_rest())
    }

    /// Ends the jobs that nobody waits for, and those that it is too late for.
    fn sift(&mut self, jobs: &mut Vec<Job>) {
        let now = self.opened.clock.now();
        let is_late = |job: &Job| job.request.deadline < now;
        let is_over = |job: &mut Job| is_late(job) || job.end.is_cancelled();
        for job in jobs.extract_if(.., is_over) {
            let is_late = is_late(&job);
            let Job { request, end } = job;
            let_go(request);
            match is_late {
                true => {
                    count(&self.opened.counters.late);
                    self.complete(end, Err(Fault::LATE));
                }
                false => {
                    count(&self.opened.counters.cancelled);
                    self.opened.pending.leave(end.mark);
                    guarded(|| drop(end.completion));
                }
            }
        }
    }

    /// Has the session do the requests, if there is one that is fit for it.
    fn attempt(&mut self, requests: &[Request], places: &mut [Option<Outcome>]) {
        let opened = Arc::clone(&self.opened);
        let mut outcomes = Outcomes::new(places);
        let session = match self.session() {
            Ok(session) => session,
            Err(fault) => return outcomes.fail_rest(fault),
        };
        count(&opened.counters.batches);
        let ran = catch_unwind(AssertUnwindSafe(|| session.run(requests, &mut outcomes)));
        let missing = match ran {
            Ok(()) => SILENT,
            Err(payload) => {
                count(&opened.counters.panics);
                tracing::error!(target: "trine::storage", role = ?self.role, "session panicked");
                discard(payload);
                PANICKED
            }
        };
        outcomes.fail_rest(missing);
        let is_suspect = |place: &Option<Outcome>| {
            matches!(place, Some(Err(Fault::Unknown(_) | Fault::Fenced(_))))
        };
        if places.iter().any(is_suspect) {
            self.distrust();
        }
    }

    /// The session, after as many attempts to reopen it as are due: one.
    fn session(&mut self) -> Result<&mut Box<dyn Session>, Fault> {
        if let State::Suspect {
            session,
            retry_at,
            pause,
        } = &mut self.state
        {
            let now = self.opened.clock.now();
            if now < *retry_at {
                return Err(Fault::Retry {
                    after: retry_at.since(now),
                    why: "the store is being reopened",
                });
            }
            let (session, pause) = (session.take(), *pause);
            self.state = self.reopened(session, pause);
        }
        match &mut self.state {
            State::Open(session) => Ok(session),
            State::Suspect { retry_at, .. } => Err(Fault::Retry {
                after: retry_at.since(self.opened.clock.now()),
                why: "the store cannot be reopened yet",
            }),
            State::Fenced(why) => Err(Fault::Fenced(why)),
        }
    }

    fn reopened(&self, session: Option<Box<dyn Session>>, pause: Span) -> State {
        let store = &self.opened.store;
        let attempt = catch_unwind(AssertUnwindSafe(|| match (session, self.role) {
            (Some(mut session), _) => {
                count(&self.opened.counters.reopens);
                match session.reopen() {
                    Ok(()) => Ok(session),
                    Err(fault) => Err((Some(session), fault)),
                }
            }
            (None, Role::Writer { lane }) => store.writer(lane).map_err(|fault| (None, fault)),
            (None, Role::Reader) => store.reader().map_err(|fault| (None, fault)),
        }));
        let (session, fault) = match attempt {
            Ok(Ok(session)) => {
                self.lane.health.set(Health::Ready);
                return State::Open(session);
            }
            Ok(Err(failed)) => failed,
            Err(payload) => {
                count(&self.opened.counters.panics);
                discard(payload);
                (None, PANICKED)
            }
        };
        if let Fault::Fenced(why) = fault {
            tracing::error!(target: "trine::storage", role = ?self.role, why, "store fenced");
            self.lane.health.set(Health::Fenced(why));
            return State::Fenced(why);
        }
        tracing::warn!(target: "trine::storage", role = ?self.role, %fault, "store not reopened yet");
        self.lane.health.set(Health::Reopening);
        let doubled = Span::from_millis(pause.as_millis().saturating_mul(2));
        State::Suspect {
            session,
            retry_at: self.opened.clock.now().after(pause),
            pause: doubled.min(PAUSES.1),
        }
    }

    /// The session has said something after which it is to be reopened.
    fn distrust(&mut self) {
        self.lane.health.set(Health::Reopening);
        let state = std::mem::replace(&mut self.state, State::suspect(None));
        self.state = match state {
            State::Open(session) => State::suspect(Some(session)),
            other => other,
        };
    }

    /// What is due besides the queue. Returns how long to sleep if nothing comes.
    fn do_the_rest(&mut self) -> Duration {
        let now = self.opened.clock.now();
        match &self.state {
            State::Suspect { retry_at, .. } if *retry_at > now => retry_at.since(now).into(),
            State::Suspect { .. } => {
                let _ = self.session(); // what came of it is in the state
                Duration::ZERO
            }
            State::Fenced(_) => MAINTENANCE.into(),
            State::Open(_) => match self.role {
                Role::Reader => MAINTENANCE.into(),
                Role::Writer { .. } => self.maintain(now),
            },
        }
    }

    fn maintain(&mut self, now: Tick) -> Duration {
        let due = self.maintained.after(MAINTENANCE);
        let State::Open(session) = &mut self.state else {
            return Duration::ZERO;
        };
        if now < due {
            return due.since(now).into();
        }
        match catch_unwind(AssertUnwindSafe(|| session.maintain(MAINTENANCE_BUDGET))) {
            Ok(Ok(true)) if self.lane.queue.is_empty() => Duration::ZERO, // at once again
            Ok(Ok(_)) => {
                self.maintained = now;
                MAINTENANCE.into()
            }
            Ok(Err(fault)) => {
                tracing::warn!(target: "trine::storage", %fault, "maintenance failed");
                self.maintained = now;
                self.distrust();
                Duration::ZERO
            }
            Err(payload) => {
                count(&self.opened.counters.panics);
                discard(payload);
                self.maintained = now;
                self.distrust();
                Duration::ZERO
            }
        }
    }

    fn complete(&self, end: End, outcome: Outcome) {
        self.opened.pending.leave(end.mark);
        guarded(|| end.completion.complete(outcome));
    }
}

impl Steps for LaneThread {
    /// Until the queue is closed and empty.
    fn step(&mut self, patience: Duration) -> Step {
        match std::mem::replace(&mut self.work, Work::Nothing) {
            Work::Nothing => self.take(patience),
            Work::Taken { jobs, looks } => self.attempt_all(jobs, looks),
            Work::Known(known) => self.complete_all(known),
        }
    }

    #[cfg(feature = "testing")]
    fn is_ready(&self) -> bool {
        self.lane.queue.is_ready()
    }
}

impl End {
    /// One that cannot say is waited for.
    fn is_cancelled(&self) -> bool {
        guarded(|| self.completion.is_cancelled()).unwrap_or(false)
    }
}

/// Drops a request that is done with. Its bytes may be in memory of the caller's own, which has its own
/// way of being dropped; a panic of that must not end the thread either.
fn let_go(request: Request) {
    if !dropped(request) {
        tracing::error!(target: "trine::storage", "request panicked as it was dropped");
    }
}

/// Calls what others wrote. A panic must not end the thread: the writes of a lane wait for the reads
/// that a reader has taken, and so would for ever.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    let called = catch_unwind(AssertUnwindSafe(call));
    called
        .inspect_err(|_| tracing::error!(target: "trine::storage", "completion panicked"))
        .map_err(discard)
        .ok()
}
