//! Leader/followers (POSA2, chapter 4): threads take turns at waiting for events, and whoever finds one
//! serves it.
//!
//! ```text
//!   follower ── gets the lead ──> leader: waits, takes one event, hands the lead on
//!      ^                             │
//!      └───── parks the handler ─────┴──> serves it: no queue, no other thread
//! ```
//!
//! There is one handle set (an epoll set, a timer wheel, the wake-ups) and one thread at a time has it.
//! A handler is in its seat, or in the hands of one thread: what comes for it meanwhile is kept in the
//! seat, and it is told before it is parked. So each handler sees its events one after another, though
//! on any thread.
//!
//! What is not a connection (listeners, signals, timers, children, inboxes) stays with an ordinary
//! [`EventLoop`](crate::EventLoop), which a team is [attached](LeaderFollowers::attach) to: the team
//! drains when the loop does, and the loop waits for it.
//!
//! An HTTP server is put on a team by [`Server::attach_team`](crate::server::Server::attach_team), or by
//! [`Model::LeaderFollowers`](crate::server::Model::LeaderFollowers).
//!
//! Compared with half-sync/half-async no request is put into a queue and no answer is a wake-up, so it
//! crosses threads for less; in return handlers are [`Send`], and one that waits keeps a thread from
//! the others.

mod baton;
mod handles;
mod seat;
mod task;
mod team;
#[cfg(all(test, trine_loom))]
mod tests;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::reactor::{
    AsAny, Context, Demultiplexer, Error, ErrorKind, Event, EventSource, Next, Registry, Remote,
    Removed, Result, Sources, Waker,
};
use crate::slab::Token;
use crate::thread::start_thread;
use crate::time::Tick;
use crate::unwind::discard;
use handles::Handles;
use seat::First;
use team::Team;

/// A connection, or anything else, that any thread of a team may serve. `T` is what
/// each thread has of its own, lent for each call.
pub trait Handler<T>: AsAny + Send {
    /// What is watched, for reading and writing, edge-triggered, for as long as the handler lives. One
    /// that has nothing to be watched is woken, and told of its deadlines and of the drain.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Reacts to `event` and says what to wait for next; as
    /// [`EventSource::handle`], but for signals, which the loop has. The first event is
    /// [`Event::Resumed`]. A panic ends this handler and nothing else.
    fn handle(&mut self, event: Event, local: &mut T, cx: &TeamContext<'_>) -> Next;

    /// Whether cutting it now loses nothing; as [`EventSource::is_settled`].
    fn is_settled(&self) -> bool {
        false
    }

    /// The last call: it is out of its seat for good, and its descriptor is not watched any more.
    fn removed(self: Box<Self>, why: Removed, local: &mut T, cx: &TeamContext<'_>) {
        let _ = (why, local, cx);
    }
}

/// What a handler is told about the present.
#[derive(Debug)]
pub struct TeamContext<'a> {
    token: Token,
    now: Tick,
    /// As `now`.
    nanos: u64,
    unix_seconds: u64,
    is_draining: bool,
    remote: &'a Arc<Remote>,
}

impl TeamContext<'_> {
    /// The handler that runs.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// The present tick, read for this call.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.now
    }

    /// The present in nanoseconds, of which [`now`](TeamContext::now) is made.
    pub(crate) fn nanos(&self) -> u64 {
        self.nanos
    }

    /// The time of day in seconds since 1970, as the leader read it after its last wait.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.unix_seconds
    }

    /// Whether the team drains: begin nothing new.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// What other threads wake this handler with.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::new(Arc::clone(self.remote), self.token)
    }
}

/// Counters of a team. All but `live` only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TeamMetrics {
    /// Handlers now.
    pub live: usize,
    /// Calls of handlers.
    pub events: u64,
    /// Events for handlers that were gone.
    pub stale_events: u64,
    /// Calls for what came while a handler ran.
    pub missed: u64,
    /// Handlers that panicked.
    pub panics: u64,
}

/// How large a team is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TeamOptions {
    /// Threads; at least one. They wait for the loop no more than for one another.
    pub threads: usize,
    /// Handlers at one time. Each place takes some 60 bytes, whether or not it is taken.
    pub handlers_max: u32,
}

impl Default for TeamOptions {
    /// A thread for each processor that the process may use, and 10,000 handlers.
    fn default() -> TeamOptions {
        TeamOptions {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            handlers_max: 10_000,
        }
    }
}

/// A team of threads. Clones are the same; any thread may have one.
pub struct LeaderFollowers<T> {
    team: Arc<Team<T>>,
}

impl<T: 'static> LeaderFollowers<T> {
    /// Starts the threads, each with what `make` makes for it (its number is passed), and has `sources`
    /// drain and end with them.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a descriptor or a thread, the table of sources is full, or `make` panics.
    pub fn attach<S: 'static>(
        sources: &mut impl Sources<S>,
        options: TeamOptions,
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Result<LeaderFollowers<T>> {
        let (team, members) = LeaderFollowers::start(options, make)?;
        let mut cx = sources.context();
        let token = cx.insert(members)?;
        team.tell_at_the_end(cx.waker(token));
        Ok(team)
    }

    /// Starts the threads. The members are to become a source, or a part of one, which is to be
    /// [told of the end](LeaderFollowers::tell_at_the_end).
    pub(crate) fn start(
        options: TeamOptions,
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Result<(LeaderFollowers<T>, Members<T>)> {
        let fail = |error| Error::io("make", "a team of threads", error);
        let demultiplexer = Demultiplexer::new().map_err(fail)?;
        let registrar = demultiplexer.registrar().map_err(fail)?;
        let remote = Remote::new(Some(demultiplexer.waker().map_err(fail)?));
        let handles = Handles::new(demultiplexer);
        let team = Team::new(handles, registrar, remote, options.handlers_max.max(1));
        let team = Arc::new(team);
        let (alive, ended) = mpsc::channel();
        let mut members = Members {
            team: Arc::clone(&team),
            threads: Vec::new(),
            ended,
            drain: Drain::Unheard,
        };
        let (made, makes) = mpsc::channel();
        members.start(options.threads.max(1), (alive, made), make)?;
        for number in 0..members.threads.len() {
            makes.recv().map_err(|_| {
                let what = format!("a team: only {number} threads could make what is theirs");
                Error::new(ErrorKind::Panicked, "start", what)
            })?;
        }
        Ok((LeaderFollowers { team }, members))
    }

    /// Gives `handler` to the team.
    ///
    /// # Errors
    ///
    /// Gives it back when there is no room for it, when its descriptor cannot be watched, or when the
    /// team has ended.
    pub fn insert<H: Handler<T>>(
        &self,
        handler: H,
    ) -> std::result::Result<Token, (Box<dyn Handler<T>>, io::Error)> {
        self.team.insert(Box::new(handler), First::Resumed)
    }

    /// The same for a socket, which is ready for writing from the beginning: its first event says so, and
    /// for what else it is ready.
    pub(crate) fn insert_ready<H: Handler<T>>(
        &self,
        handler: H,
    ) -> std::result::Result<Token, (Box<dyn Handler<T>>, io::Error)> {
        self.team.insert(Box::new(handler), First::Anything)
    }

    /// Wakes by `waker` when the team has ended; at once if it has.
    pub(crate) fn tell_at_the_end(&self, waker: Waker) {
        self.team.tell_at_the_end(waker);
    }

    /// How many places there are, taken or not.
    pub(crate) fn seats(&self) -> u32 {
        u32::try_from(self.team.seats()).unwrap_or(u32::MAX)
    }

    /// Shows `look` whoever is in a seat, unless somebody has him in hand, and the present: not before any
    /// that he was told. Locks the seat.
    pub(crate) fn look<R>(
        &self,
        seat: u32,
        look: impl FnOnce(&dyn Handler<T>, Tick) -> R,
    ) -> Option<(Token, R)> {
        self.team.look(seat, look)
    }

    /// Changes a handler, which has a turn then: [`Event::Resumed`]. False when it is gone, or in
    /// somebody's hands. Locks the seat.
    pub(crate) fn nudge(&self, token: Token, change: impl FnOnce(&mut dyn Handler<T>)) -> bool {
        self.team.nudge(token, change)
    }

    /// Its counters.
    #[must_use]
    pub fn metrics(&self) -> TeamMetrics {
        self.team.metrics()
    }
}

impl<T> Clone for LeaderFollowers<T> {
    fn clone(&self) -> LeaderFollowers<T> {
        LeaderFollowers {
            team: Arc::clone(&self.team),
        }
    }
}

impl<T> fmt::Debug for LeaderFollowers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaderFollowers")
    }
}

/// The team, as the loop sees it. Dropped, it ends the team at once.
pub(crate) struct Members<T: 'static> {
    team: Arc<Team<T>>,
    threads: Vec<JoinHandle<()>>,
    /// Disconnected when the last thread has ended; nothing is ever sent.
    ended: Receiver<Infallible>,
    drain: Drain,
}

/// What the team knows of a drain of the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Drain {
    Unheard,
    /// The loop drains, and not every source of it has been told.
    Heard,
    Told,
}

/// How long the end waits for a handler that is in a call of its own. Nothing ends such a thread: it is left
/// behind, and ends when that call returns, or with the process.
const PATIENCE: Duration = Duration::from_secs(1);

impl<S: 'static, T: 'static> EventSource<S> for Members<T> {
    fn register(&mut self, _: &mut Registry<'_>) -> io::Result<()> {
        Ok(())
    }

    fn handle(&mut self, event: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        if let Event::Drain = event {
            self.drain = Drain::Heard;
        }
        // Listeners hear of the drain as well, and hand on whom they have: before the team is told
        // everybody is.
        if self.drain == Drain::Heard && !cx.owes_drain() {
            self.drain = Drain::Told;
            // The loop cuts the drain, and so the team, when the time is over. The team by itself only
            // if the loop does not come to it.
            self.team.drain(cx.now(), cx.grace_left() + PATIENCE);
        }
        if let Some(error) = self.team.take_failure() {
            cx.fail(Error::io("wait for", "events of a team", error), PATIENCE);
        }
        match (self.team.is_over(), self.drain) {
            (true, _) => Next::Close,
            (false, Drain::Heard) => Next::Again,
            (false, Drain::Unheard | Drain::Told) => Next::Wait,
        }
    }

    fn name(&self) -> &'static str {
        "leader/followers"
    }

    /// What is unfinished is known when the threads have ended: [`removed`](EventSource::removed) says it.
    fn is_settled(&self) -> bool {
        true
    }

    fn removed(self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        self.end(cx);
    }
}

impl<T: 'static> Members<T> {
    /// Starts so many threads. `alive` goes with the last of them, and `made` with the last that has made
    /// what is its own: neither is here any more when one cannot be started, and the others are waited for.
    fn start(
        &mut self,
        threads: usize,
        (alive, made): (Sender<Infallible>, Sender<()>),
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Result<()> {
        let make = Arc::new(make);
        for number in 0..threads {
            let (team, make) = (Arc::clone(&self.team), Arc::clone(&make));
            let (alive, made) = (alive.clone(), made.clone());
            let run = move || {
                let _alive = alive;
                let mut local = make(number);
                let _ = made.send(()); // whoever waits for it has given up
                drop(made);
                team.follow(&mut local);
            };
            let thread = start_thread(format!("trine-team-{number}"), run);
            let thread = thread.map_err(|error| Error::io("start", "a thread of a team", error))?;
            self.threads.push(thread);
        }
        Ok(())
    }

    /// Ends the team. If the loop drains, whoever has not heard of it is told first, and what had to be cut
    /// even so is an error of the loop.
    pub(crate) fn end<S: 'static>(self, cx: &mut Context<'_, S>) {
        let team = Arc::clone(&self.team);
        if cx.is_draining() {
            team.drain(cx.now(), PATIENCE);
        }
        drop(self);
        let cut = team.cut();
        if cut > 0 && cx.is_draining() {
            let what = format!("the drain: handlers of a team that were unfinished: {cut}");
            let error = Error::new(ErrorKind::DrainForced, "complete", what);
            cx.fail(error, Duration::ZERO);
        }
    }
}

impl<T: 'static> Drop for Members<T> {
    fn drop(&mut self) {
        self.team.force();
        let waited = self.ended.recv_timeout(PATIENCE);
        let all_ended = waited == Err(RecvTimeoutError::Disconnected);
        let threads = self.threads.drain(..);
        for thread in threads.filter(|it| all_ended || it.is_finished()) {
            thread.join().unwrap_or_else(discard); // it catches what handlers do
        }
        self.team.remote.close();
    }
}
