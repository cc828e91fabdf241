//! The two sides of a hand-over as state machines: messages and ticks in, decisions out.

use super::message::{Message, Unreadable};
use crate::time::{Span, Tick};

/// How long a successor that has connected may take to ask.
const ASKING: Span = Span::from_secs(2);

/// What happened to one side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fact {
    Received(Result<Message, Unreadable>),
    /// The other process has closed, or died.
    Closed,
    /// The deadline of the state has come.
    Deadline,
    /// The loop drains for another reason.
    Drain,
}

/// The process before, with one successor.
///
/// ```text
///   Connected ── ask ──> Preparing ── ready ──> Over(HandedOver)
///       │                    │ └──── drain ─────────^
///       └── anything else ───┴── died, too slow ──> Over(Stays)
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Giving {
    /// It has connected, and not asked.
    Connected {
        until: Tick,
    },
    /// It has the sockets and sets itself up.
    Preparing {
        until: Tick,
    },
    Over(Outcome),
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The successor serves: stop accepting.
    HandedOver,
    /// Nothing has changed, because of this.
    Stays(&'static str),
}

/// What to send now.
pub(super) type Wish = Option<Saying>;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Saying {
    /// The names of the sockets, with the sockets.
    Sockets,
    Plain(Message),
}

impl Giving {
    pub(super) fn new(now: Tick) -> Giving {
        let until = now.after(ASKING);
        Giving::Connected { until }
    }

    /// The state after `fact`, and what to say; `patience` is how long a successor may take to set
    /// itself up.
    pub(super) fn next(self, fact: Fact, now: Tick, patience: Span) -> (Giving, Wish) {
        let stays = |why| Giving::Over(Outcome::Stays(why));
        let refuses = |why| {
            let message = Message::Refused(str::to_owned(why));
            (stays(why), Some(Saying::Plain(message)))
        };
        match (self, fact) {
            (Giving::Over(_), _) => (self, None),
            (Giving::Connected { .. }, Fact::Received(Ok(Message::Ask))) => {
                let until = now.after(patience);
                (Giving::Preparing { until }, Some(Saying::Sockets))
            }
            (Giving::Preparing { .. }, Fact::Received(Ok(Message::Ready))) => Giving::lets_go(),
            // It goes anyway, and the sockets live on in the successor.
            (Giving::Preparing { .. }, Fact::Drain) => Giving::lets_go(),
            (_, Fact::Received(Err(Unreadable::Version(_)))) => {
                refuses("the successor speaks another version of the protocol")
            }
            (_, Fact::Received(_)) => refuses("the successor does not keep to the protocol"),
            (Giving::Connected { .. }, Fact::Drain) => refuses("the process is ending already"),
            (Giving::Connected { .. }, Fact::Closed) => (stays("nobody asked"), None),
            (Giving::Preparing { .. }, Fact::Closed) => {
                (stays("the successor ended before it was ready"), None)
            }
            (Giving::Connected { .. }, Fact::Deadline) => refuses("the successor did not ask"),
            (Giving::Preparing { .. }, Fact::Deadline) => {
                refuses("the successor was not ready in time")
            }
        }
    }

    fn lets_go() -> (Giving, Wish) {
        let said = Saying::Plain(Message::Go);
        (Giving::Over(Outcome::HandedOver), Some(said))
    }

    pub(super) fn deadline(self) -> Tick {
        match self {
            Giving::Connected { until } | Giving::Preparing { until } => until,
            Giving::Over(_) => Tick::NEVER,
        }
    }
}

/// The successor, when it serves: what it has heard of the process before.
///
/// ```text
///   Ready ── go, or the other is gone ──> InCharge
///     └──── refused ────────────────────> Refused
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Taking {
    /// It has said so.
    Ready,
    /// The sockets are its own, and it offers them in turn.
    InCharge,
    /// The process before goes on, for this reason: there must not be two.
    Refused(String),
}

impl Taking {
    pub(super) fn next(self, fact: Fact) -> Taking {
        match (self, fact) {
            (Taking::Ready, Fact::Received(Ok(Message::Go)) | Fact::Closed) => Taking::InCharge,
            (Taking::Ready, Fact::Received(Ok(Message::Refused(reason)))) => {
                Taking::Refused(reason)
            }
            (state, _) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Span = Span::from_secs(30);
    const NOW: Tick = Tick(1_000);

    fn received(message: Message) -> Fact {
        Fact::Received(Ok(message))
    }

    fn preparing() -> Giving {
        Giving::new(NOW)
            .next(received(Message::Ask), NOW, PATIENCE)
            .0
    }

    #[test]
    fn a_successor_that_asks_and_is_ready_is_let_in() {
        let connected = Giving::new(NOW);
        assert_eq!(connected.deadline(), Tick(3_000));
        let (preparing, said) = connected.next(received(Message::Ask), NOW, PATIENCE);
        assert_eq!(said, Some(Saying::Sockets));
        assert_eq!(preparing.deadline(), Tick(31_000));
        let (over, said) = preparing.next(received(Message::Ready), NOW, PATIENCE);
        assert_eq!(over, Giving::Over(Outcome::HandedOver));
        assert_eq!(said, Some(Saying::Plain(Message::Go)));
    }

    #[test]
    fn whatever_else_a_successor_does_leaves_the_process_as_it_was() {
        let stray = [
            Fact::Closed,
            Fact::Deadline,
            received(Message::Go),
            received(Message::Sockets(Vec::new())),
            Fact::Received(Err(Unreadable::Foreign)),
            Fact::Received(Err(Unreadable::Version(2))),
        ];
        for fact in stray {
            for (state, too_early) in [
                (Giving::new(NOW), Message::Ready),
                (preparing(), Message::Ask),
            ] {
                for fact in [fact.clone(), received(too_early)] {
                    let (next, said) = state.next(fact.clone(), NOW, PATIENCE);
                    let stays = matches!(next, Giving::Over(Outcome::Stays(_)));
                    assert!(stays, "{state:?}, {fact:?}");
                    let refused = matches!(said, Some(Saying::Plain(Message::Refused(_))));
                    assert_eq!(refused, fact != Fact::Closed, "{state:?}, {fact:?}");
                }
            }
        }
    }

    #[test]
    fn a_process_that_drains_leaves_its_sockets_to_a_successor_that_has_them() {
        let (over, said) = preparing().next(Fact::Drain, NOW, PATIENCE);
        assert_eq!(over, Giving::Over(Outcome::HandedOver));
        assert_eq!(said, Some(Saying::Plain(Message::Go)));
        let (over, _) = Giving::new(NOW).next(Fact::Drain, NOW, PATIENCE);
        assert!(matches!(over, Giving::Over(Outcome::Stays(_))));
    }

    #[test]
    fn what_is_over_stays_over() {
        let over = Giving::Over(Outcome::HandedOver);
        for fact in [Fact::Closed, received(Message::Ask), Fact::Deadline] {
            assert_eq!(over.next(fact, NOW, PATIENCE), (over, None));
        }
    }

    #[test]
    fn a_successor_is_in_charge_when_it_is_told_or_nobody_is_left_to_tell() {
        for fact in [received(Message::Go), Fact::Closed] {
            assert_eq!(Taking::Ready.next(fact), Taking::InCharge);
        }
        for fact in [Fact::Deadline, received(Message::Ready), Fact::Drain] {
            assert_eq!(Taking::Ready.next(fact), Taking::Ready);
        }
        let refused = received(Message::Refused("late".to_owned()));
        assert_eq!(
            Taking::Ready.next(refused),
            Taking::Refused("late".to_owned())
        );
    }
}
