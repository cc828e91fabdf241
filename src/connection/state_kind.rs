//! The states of a connection without their data, for those who only look on.

use std::fmt;

/// Which state a connection is in.
///
/// Kinds are dense from zero: `ALL[kind as usize]` is `kind`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StateKind {
    /// Between two messages.
    Idle,
    /// Accepted, or inside the head of a request.
    Head,
    /// A head that announces a body is held.
    Announced,
    /// Inside the body of a request.
    Body,
    /// A whole request is held.
    Ready,
    /// The service promised an answer.
    Waiting,
    /// The answer is there and is held back.
    Held,
    /// The body or the answer goes in pieces.
    Streaming,
    /// There is output and nothing else to do.
    Writing,
    /// Our half is shut; what still comes is discarded.
    Lingering,
    /// Over.
    Closed,
}

impl StateKind {
    /// Every kind, in order.
    pub const ALL: [StateKind; 11] = [
        StateKind::Idle,
        StateKind::Head,
        StateKind::Announced,
        StateKind::Body,
        StateKind::Ready,
        StateKind::Waiting,
        StateKind::Held,
        StateKind::Streaming,
        StateKind::Writing,
        StateKind::Lingering,
        StateKind::Closed,
    ];

    /// For metrics and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            StateKind::Idle => "idle",
            StateKind::Head => "head",
            StateKind::Announced => "announced",
            StateKind::Body => "body",
            StateKind::Ready => "ready",
            StateKind::Waiting => "waiting",
            StateKind::Held => "held",
            StateKind::Streaming => "streaming",
            StateKind::Writing => "writing",
            StateKind::Lingering => "lingering",
            StateKind::Closed => "closed",
        }
    }
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
