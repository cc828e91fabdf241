//! What can be set about a connection. Every deadline and every bound is on by default.

use super::input::Input;
use super::reply::LARGE;
use crate::http::Limits;
use crate::time::Span;

/// Bounds of one connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Bounds of one request.
    pub limits: Limits,
    /// How long each state may last.
    pub deadlines: Deadlines,
    /// The answer to the last one says `Connection: close`. Zero counts as one.
    pub requests_per_connection_max: u32,
    /// Requests one connection may have answered in one turn of the loop, before others get
    /// theirs.
    pub requests_per_turn_max: u32,
    /// Bytes one connection may read in one turn of the loop.
    pub bytes_per_turn_max: usize,
    /// In bytes: with as many waiting to be written, no further request is looked at. An exchange
    /// in pieces has no room for more.
    pub output_bytes_high: usize,
    /// In bytes: with as many waiting to be written, an exchange in pieces is not asked for more,
    /// and no more of its request is read.
    pub output_bytes_low: usize,
    /// In bytes: what a lingering connection discards at most.
    pub linger_bytes_max: u32,
}

impl Config {
    /// How many bytes a connection holds in buffers at most, besides one answer of the service.
    ///
    /// That is the largest request that is collected (head, body, as many bytes again for the sizes of
    /// chunks of few bytes, the overhead and the trailers) and room for a read behind it, and [`output_bytes_high`](Config::output_bytes_high) of
    /// answers with one more behind them of up to 64 KiB (longer ones are not copied), both rounded up
    /// to powers of two, as buffers grow. What an answer's fields take comes on top.
    #[must_use]
    pub fn connection_memory_max(&self) -> usize {
        let limits = &self.limits;
        let overhead =
            u64::from(limits.chunk_overhead_bytes_max) + u64::from(limits.trailer_bytes_max);
        let raw = limits.body_bytes_max.saturating_mul(2); // with as many bytes of chunk sizes
        let body = usize::try_from(raw.saturating_add(overhead));
        let request = body
            .unwrap_or(usize::MAX)
            .saturating_add(limits.head_bytes_max as usize)
            .saturating_add(Input::ROOM_MAX);
        let answers = self.output_bytes_high.saturating_add(LARGE);
        power_of_two(request).saturating_add(power_of_two(answers.saturating_add(HEAD)))
    }
}

/// In bytes, for the head of an answer.
const HEAD: usize = 1024;

fn power_of_two(bytes: usize) -> usize {
    bytes.checked_next_power_of_two().unwrap_or(usize::MAX)
}

impl Default for Config {
    fn default() -> Config {
        Config {
            limits: Limits::default(),
            deadlines: Deadlines::default(),
            requests_per_connection_max: 1_000,
            requests_per_turn_max: 16,
            bytes_per_turn_max: 64 * 1024,
            output_bytes_high: 64 * 1024,
            output_bytes_low: 16 * 1024,
            linger_bytes_max: 64 * 1024,
        }
    }
}

/// How long each state of a connection may last; see the table in
/// [`connection`](crate::connection).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadlines {
    /// Between two messages, from the last answer written.
    pub idle: Span,
    /// A whole request head, from accept or from its first bytes; more bytes do not extend it.
    pub head: Span,
    /// A whole request body, from the end of its head.
    pub body: Span,
    /// An answer of the service, from the moment it was given the request.
    pub handler: Span,
    /// From the end of our sending to the close, when the client may still be sending.
    pub linger: Span,
    /// What the client must at least send of a body.
    pub body_rate: Rate,
    /// What the client must at least take of answers that wait for it. What the kernel has taken
    /// for it counts.
    pub write_rate: Rate,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            idle: Span::from_secs(75),
            head: Span::from_secs(10),
            body: Span::from_secs(60),
            handler: Span::from_secs(30),
            linger: Span::from_secs(2),
            body_rate: Rate {
                bytes_min: 2_500,
                window: Span::from_secs(5),
            },
            // Kernels open the window in steps of up to 64 KiB: a client that takes some kB/s is
            // seen to take nothing for many seconds, and then all at once.
            write_rate: Rate {
                bytes_min: 30_000,
                window: Span::from_secs(60),
            },
        }
    }
}

/// A lowest rate, judged once at the end of each window: 2,500 bytes in 5 s are 500 B/s.
///
/// Bytes only count up; there is no work for them until the window ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// In bytes, for each window.
    pub bytes_min: u32,
    /// The length of a window.
    pub window: Span,
}
