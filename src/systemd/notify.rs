//! What the service manager is told, and when: a source of the loop.

use std::collections::VecDeque;
use std::env;
use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

use super::manager::{Manager, message};
use crate::reactor::{
    Context, Error, Event, EventSource, Next, Registry, Result, Signal, Sources, Succession,
    monotonic_nanos,
};
use crate::time::{Span, Tick};

/// After so long a message is sent again that the manager had no room for.
const RETRY: Span = Span::from_millis(100);

/// What tells systemd how this program is. [`Server::notify_systemd`](crate::Server::notify_systemd)
/// does it for a server.
#[derive(Debug)]
pub struct Notify {
    manager: Manager,
    reload: Option<Signal>,
    /// How often the watchdog is fed.
    period: Option<Span>,
    /// The same for the main process of the unit.
    inherited: Option<Span>,
}

impl Notify {
    /// As the environment says (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID); `None` when the manager
    /// wants to hear nothing.
    ///
    /// # Errors
    ///
    /// When there is nobody at NOTIFY_SOCKET.
    pub fn from_environment() -> Result<Option<Notify>> {
        let manager = Manager::from_environment()
            .map_err(|error| Error::io("tell", "systemd, at NOTIFY_SOCKET", error))?;
        let limit = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
        // A successor has inherited what was meant for the process before.
        let inherited = env::var("WATCHDOG_USEC").ok();
        let inherited = inherited.and_then(|micros| micros.parse().ok());
        let half = |limit: Duration| Span::from(limit / 2);
        Ok(manager.map(|manager| Notify {
            manager,
            reload: None,
            period: limit.map(half),
            inherited: inherited.map(Duration::from_micros).map(half),
        }))
    }

    /// Says RELOADING when `signal` arrives, and READY when those have been called who subscribed to it
    /// after this was [attached](Notify::attach).
    #[must_use]
    pub fn reloading_on(mut self, signal: Signal) -> Notify {
        self.reload = Some(signal);
        self
    }

    /// Puts it on a loop, in the first turn of which it says READY.
    ///
    /// # Errors
    ///
    /// When the signal cannot be caught, or the table of sources is full.
    pub fn attach<S: 'static>(self, sources: &mut impl Sources<S>) -> Result<()> {
        let source = NotifySource {
            manager: self.manager,
            reload: self.reload,
            period: self.period,
            inherited: self.inherited,
            feed_at: Tick::NEVER,
            state: State::Starting,
            owed: VecDeque::new(),
        };
        Ok(sources.context().insert(source).map(drop)?)
    }
}

struct NotifySource {
    manager: Manager,
    reload: Option<Signal>,
    period: Option<Span>,
    /// The same for the main process of the unit, which this one may become.
    inherited: Option<Span>,
    /// When the watchdog is fed next.
    feed_at: Tick,
    state: State,
    /// What the manager had no room for, oldest first: changes of the state, which are few.
    owed: VecDeque<String>,
}

/// What was said last.
///
/// ```text
///   Starting ──> Ready <──> Reloading
///                  └────┬───────┘
///                       v
///                    Stopping
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Starting,
    Ready,
    Reloading,
    Stopping,
}

/// Messages that are owed at most; older ones have been overtaken.
const OWED_MAX: usize = 8;

impl NotifySource {
    fn enter(&mut self, state: State) {
        self.state = state;
        let text = match state {
            State::Starting => return,
            State::Ready => {
                let main = NotifyState::MainPid(std::process::id());
                message(&[NotifyState::Ready, main])
            }
            State::Reloading => {
                let now = NotifyState::MonotonicUsec(i128::from(monotonic_nanos() / 1_000));
                message(&[NotifyState::Reloading, now])
            }
            State::Stopping => message(&[NotifyState::Stopping]),
        };
        self.owed.push_back(text);
        if self.owed.len() > OWED_MAX {
            self.owed.pop_front();
        }
    }

    /// Says what is owed, in order.
    fn pay(&mut self) {
        while let Some(text) = self.owed.front() {
            match self.manager.tell(text) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(target: "trine::systemd", %error, "systemd does not listen");
                }
            }
            self.owed.pop_front();
        }
    }

    fn feed(&mut self, now: Tick) {
        if let Some(period) = self.period
            && (self.feed_at <= now || self.feed_at == Tick::NEVER)
        {
            // One that is lost for want of room is followed by the next.
            let _ = self.manager.tell(&message(&[NotifyState::Watchdog]));
            self.feed_at = now.after(period);
        }
    }
}

impl<S: 'static> EventSource<S> for NotifySource {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        self.reload.map_or(Ok(()), |signal| registry.signal(signal))
    }

    fn handle(&mut self, event: Event, _state: &mut S, cx: &mut Context<'_, S>) -> Next {
        match (event, self.state) {
            // The unit goes on in another process, which says what there is to say.
            (Event::Drain, _) if cx.succession() != Succession::InCharge => self.period = None,
            (Event::Drain, _) => self.enter(State::Stopping),
            (_, State::Starting) if cx.succession() == Succession::Succeeding => {
                self.period = self.inherited; // from when it is in charge
                return Next::Until(cx.now().after(RETRY));
            }
            (_, State::Starting) | (Event::Resumed, State::Reloading) => self.enter(State::Ready),
            (Event::Signal(_), State::Ready) => {
                self.enter(State::Reloading);
                self.pay();
                return Next::Again; // those who reload come in between
            }
            _ => {}
        }
        self.pay();
        self.feed(cx.now());
        match self.owed.is_empty() {
            true => Next::Until(self.feed_at),
            false => Next::Until(self.feed_at.min(cx.now().after(RETRY))),
        }
    }

    fn name(&self) -> &'static str {
        "systemd"
    }

    fn is_background(&self) -> bool {
        true
    }
}
