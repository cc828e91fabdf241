//! Why bytes are not a command.

use std::fmt;

/// Each variant is one rule of the protocol or one limit. Its text is what Redis says, where Redis
/// has the rule. The client is told, and the connection closes: nobody knows where the next command
/// would begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The number of arguments is not a number.
    Count,
    /// It is larger than that.
    TooManyArguments {
        /// See [`RespLimits::arguments_max`](super::RespLimits::arguments_max).
        limit: u32,
    },
    /// Where the next argument should begin stands this byte.
    ExpectedArgument {
        /// Any byte but `$`.
        found: u8,
    },
    /// The length of an argument is not a number.
    Length,
    /// An argument is longer than that.
    ArgumentTooLong {
        /// In bytes: see [`RespLimits::argument_bytes_max`](super::RespLimits::argument_bytes_max).
        limit: u32,
    },
    /// No CR LF behind an argument.
    ArgumentEnd,
    /// A command is longer than that.
    CommandTooLong {
        /// In bytes: see [`RespLimits::command_bytes_max`](super::RespLimits::command_bytes_max).
        limit: u32,
    },
    /// A line is longer than that.
    InlineTooLong {
        /// In bytes: see [`RespLimits::inline_bytes_max`](super::RespLimits::inline_bytes_max).
        limit: u32,
    },
    /// A quote in a line has no end, or something stands right behind its end.
    Quotes,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            ProtocolError::Count | ProtocolError::TooManyArguments { .. } => {
                f.write_str("invalid multibulk length")
            }
            ProtocolError::ExpectedArgument { found } => {
                write!(f, "expected '$', got '{}'", [*found].escape_ascii())
            }
            ProtocolError::Length | ProtocolError::ArgumentTooLong { .. } => {
                f.write_str("invalid bulk length")
            }
            ProtocolError::ArgumentEnd => f.write_str("expected CR LF behind the argument"),
            ProtocolError::CommandTooLong { .. } => f.write_str("too big command"),
            ProtocolError::InlineTooLong { .. } => f.write_str("too big inline request"),
            ProtocolError::Quotes => f.write_str("unbalanced quotes in request"),
        }
    }
}

impl std::error::Error for ProtocolError {}
