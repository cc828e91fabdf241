//! How a team ends: it drains, is cut, or can wait for nothing any more.
//!
//! ```text
//!   Running ── drain ──> Draining ── force, or until ──> Forced { tells: true } ──┐
//!      └──────────────── force ────> Forced { tells: false } ─────────────────────┴─ nobody left ─> Over
//! ```

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::task::Moment;
use super::{Team, lock, say};
use crate::reactor::{Event, Removed, Waker, unix_seconds};
use crate::time::{Span, Tick};

/// Where the team is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Phase {
    Running,
    Draining {
        until: Tick,
    },
    /// All handlers are removed, whatever they have under way.
    Forced {
        /// Whether they hear of the drain first, if they have not: whoever is idle goes by itself then.
        tells: bool,
    },
    Over,
}

impl<T: 'static> Team<T> {
    pub(in super::super) fn drain(&self, now: Tick, grace: Duration) {
        let mut phase = lock(&self.phase);
        if *phase == Phase::Running {
            *phase = Phase::Draining {
                until: now.after(Span::from(grace)),
            };
            self.is_draining.store(true, Ordering::SeqCst);
        }
        drop(phase);
        self.remote.ring();
    }

    pub(in super::super) fn force(&self) {
        let mut phase = lock(&self.phase);
        *phase = match *phase {
            Phase::Running => Phase::Forced { tells: false },
            Phase::Draining { .. } => Phase::Forced { tells: true },
            other => other,
        };
        self.is_draining.store(true, Ordering::SeqCst);
        drop(phase);
        self.remote.ring();
    }

    /// Ends it, unless somebody has come since it was found empty.
    pub(super) fn end_if_empty(&self) {
        let mut phase = lock(&self.phase);
        if *phase == Phase::Over || self.live() == 0 {
            *phase = Phase::Over;
            drop(phase);
            self.end();
        }
    }

    fn end(&self) {
        *lock(&self.phase) = Phase::Over;
        self.is_draining.store(true, Ordering::SeqCst);
        self.baton.end();
        if let Some(waker) = lock(&self.ended).take() {
            waker.wake();
        }
    }

    /// There are no events any more. The loop is to hear of it, and end.
    pub(super) fn fail(&self, error: io::Error) {
        say(
            || tracing::error!(target: "trine::loop", %error, "a team of threads cannot wait for events"),
        );
        lock(&self.failure).get_or_insert(error);
        self.end();
        self.remote.ring();
    }

    pub(in super::super) fn take_failure(&self) -> Option<io::Error> {
        lock(&self.failure).take()
    }

    /// Removes whoever is parked still. Each thread does so when it ends, after whatever it parked itself.
    pub(super) fn clear(&self, local: &mut T) {
        for (index, seat) in (0..).zip(&self.seats) {
            if self.live() == 0 {
                return;
            }
            if let Some((token, handler)) = self.seize_any(index, Event::Drain, true) {
                let at = Moment {
                    now: Tick::ZERO,
                    unix_seconds: unix_seconds(),
                };
                let cx = self.present(token, at);
                self.remove(seat, handler, Removed::Forced, local, &cx);
            }
        }
    }

    pub(in super::super) fn phase(&self) -> Phase {
        match self.is_draining.load(Ordering::SeqCst) {
            false => Phase::Running,
            true => *lock(&self.phase),
        }
    }

    /// Whether nobody is to be parked any more.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase(), Phase::Forced { .. } | Phase::Over)
    }

    /// `waker` is called when the team has ended; at once if it has.
    pub(in super::super) fn tell_at_the_end(&self, waker: Waker) {
        *lock(&self.ended) = Some(waker);
        if self.is_over()
            && let Some(waker) = lock(&self.ended).take()
        {
            waker.wake();
        }
    }

    pub(in super::super) fn is_over(&self) -> bool {
        *lock(&self.phase) == Phase::Over
    }

    /// How many were cut, or are in calls that have not come back, with something under way.
    pub(in super::super) fn cut(&self) -> usize {
        self.cut.load(Ordering::SeqCst) + self.live()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::super::super::{Handler, LeaderFollowers, TeamContext, TeamOptions};
    use super::*;
    use crate::reactor::{EventLoop, Next};

    struct Guest(UnixStream, Sender<Removed>);

    impl Handler<()> for Guest {
        fn descriptor(&self) -> Option<BorrowedFd<'_>> {
            Some(self.0.as_fd())
        }

        fn handle(&mut self, _: Event, (): &mut (), _: &TeamContext<'_>) -> Next {
            Next::Wait
        }

        fn removed(self: Box<Self>, why: Removed, (): &mut (), _: &TeamContext<'_>) {
            self.1.send(why).unwrap();
        }
    }

    fn team(events: &mut EventLoop<()>) -> LeaderFollowers<()> {
        let options = TeamOptions {
            threads: 2,
            handlers_max: 4,
        };
        LeaderFollowers::attach(events, options, |_| ()).unwrap()
    }

    #[test]
    fn a_team_that_cannot_wait_any_more_lets_go_of_everybody_and_fails_its_loop() {
        let mut events = EventLoop::new().unwrap();
        let team = team(&mut events);
        let (leave, left) = channel();
        let (peers, guests): (Vec<_>, Vec<_>) = (0..3).map(|_| UnixStream::pair().unwrap()).unzip();
        for guest in guests {
            assert!(team.insert(Guest(guest, leave.clone())).is_ok());
        }
        team.team.fail(io::Error::other("all is lost"));
        let error = events.run(&mut ()).unwrap_err();
        assert!(error.to_string().contains("all is lost"), "{error}");
        for _ in 0..3 {
            let why = left.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(why, Removed::Forced);
        }
        drop(peers);
    }

    #[test]
    fn seats_that_have_had_all_the_tenants_they_can_tell_apart_keep_nobody_from_the_others() {
        let mut events = EventLoop::new().unwrap();
        let team = team(&mut events);
        team.team.seats[0].wear_out();
        team.team.seats[1].wear_out();
        let (leave, _left) = channel();
        let mut peers = Vec::new();
        for has_room in [true, true, false] {
            let (peer, guest) = UnixStream::pair().unwrap();
            peers.push(peer);
            assert_eq!(team.insert(Guest(guest, leave.clone())).is_ok(), has_room);
        }
    }
}
