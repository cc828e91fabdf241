//! Exchanges in pieces, by the path of their request.

use trine::Response;
use trine::connection::{Call, Flow, FlowError};
use trine::http::Status;

/// What an exchange does.
#[derive(Debug)]
pub enum Pieces {
    /// Sends back what it gets, as it comes.
    Echo,
    /// Gives so many bytes, of a declared length or not.
    Count { left: usize, declared: bool },
    /// Takes the body, then says how long it was, and its trailers.
    Sink { len: usize },
    /// Answers at once and leaves the body.
    Early,
    /// Takes nothing and says nothing.
    Stuck,
    /// Ends before all that it declared was given.
    Short,
    /// Ends without an answer.
    Silent,
    /// Panics when it gets a piece.
    Panics,
    /// Gives the answer up before or after it began.
    Aborts { begun: bool },
    /// Tries to begin the answer with what is none, and then twice.
    Insists,
    /// Answers with this status and content.
    Status(u16),
    /// Gives so many bytes, one at a time.
    Drip(usize),
    /// Takes half of each piece, at least one byte, and tells how much that was in the end.
    Half { len: usize },
    /// Takes one byte of a piece, and then none until somebody wakes it.
    Nibble { hungry: bool },
    /// Answers with so many bytes at once.
    Whole(usize),
    /// Goes on when somebody wakes it.
    Sleeps { woken: usize },
}

/// Whoever is opened for this path; `None` for the service that answers whole.
pub fn open(path: &str) -> Option<Pieces> {
    let rest = path.strip_prefix("/pieces/")?;
    let (name, number) = rest.split_once('/').unwrap_or((rest, ""));
    let left = number.parse().unwrap_or_default();
    Some(match name {
        "echo" => Pieces::Echo,
        "count" => Pieces::Count {
            left,
            declared: false,
        },
        "declared" => Pieces::Count {
            left,
            declared: true,
        },
        "sink" => Pieces::Sink { len: 0 },
        "early" => Pieces::Early,
        "stuck" => Pieces::Stuck,
        "short" => Pieces::Short,
        "silent" => Pieces::Silent,
        "panics" => Pieces::Panics,
        "aborts" => Pieces::Aborts { begun: left > 0 },
        "insists" => Pieces::Insists,
        "status" => Pieces::Status(number.parse().ok()?),
        "drip" => Pieces::Drip(left),
        "half" => Pieces::Half { len: 0 },
        "nibble" => Pieces::Nibble { hungry: true },
        "whole" => Pieces::Whole(left),
        "sleeps" => Pieces::Sleeps { woken: 0 },
        _ => return None,
    })
}

impl Pieces {
    /// `None` stands for a panic.
    #[expect(clippy::too_many_lines, reason = "one arm for each exchange")]
    pub fn call(&mut self, call: Call<'_>, flow: &mut Flow<'_>) -> Option<usize> {
        match (self, call) {
            (Pieces::Echo, Call::Produce) => {
                let _ = flow.respond(&Response::bytes(""), None);
            }
            (Pieces::Echo, Call::Piece(piece)) => return Some(flow.write(piece)),
            (Pieces::Echo, Call::End(_)) => flow.finish(),
            (Pieces::Count { left, declared }, Call::Produce) => {
                let length = declared.then_some(*left as u64);
                let _ = flow.respond(&Response::bytes(""), length);
                let piece = vec![b'x'; flow.room().min(*left)];
                *left -= flow.write(&piece);
                if *left == 0 {
                    flow.finish();
                }
            }
            (Pieces::Sink { len }, Call::Piece(piece)) => {
                *len += piece.len();
                return Some(piece.len());
            }
            (Pieces::Sink { len }, Call::End(trailers)) => {
                let trailers: Vec<&str> = trailers.map(|(name, _)| name).collect();
                let said = format!("{len} {}", trailers.join(" "));
                flow.send(&Response::text(said.trim().to_owned())).unwrap();
            }
            (Pieces::Early, Call::Produce) => flow.send(&Response::text("early")).unwrap(),
            (Pieces::Stuck, Call::Piece(_)) => return Some(0),
            (Pieces::Short, Call::Produce) => {
                flow.respond(&Response::bytes(""), Some(10)).unwrap();
                assert_eq!(flow.write(b"12345"), 5);
                flow.finish();
            }
            (Pieces::Silent, Call::Produce) => flow.finish(),
            (Pieces::Panics, Call::Piece(_)) => return None,
            (Pieces::Aborts { begun }, Call::Produce) => {
                if *begun {
                    flow.respond(&Response::bytes(""), None).unwrap();
                    assert_eq!(flow.write(b"abc"), 3);
                }
                flow.abort();
                assert!(flow.is_finished() && flow.room() == 0);
            }
            (Pieces::Insists, Call::Produce) => insist(flow),
            (Pieces::Status(code), Call::Produce) => {
                let head = Response::new(Status::from_code(*code).unwrap_or(Status::OK));
                let _ = flow.respond(&head, Some(3));
                let _ = flow.write(b"abc");
                flow.finish();
            }
            (Pieces::Drip(left), Call::Produce) => {
                let _ = flow.respond(&Response::bytes(""), Some(*left as u64));
                let _ = flow.write(b"x");
            }
            (Pieces::Half { len }, Call::Piece(piece)) => {
                let taken = piece.len().div_ceil(2);
                *len += taken;
                return Some(taken);
            }
            (Pieces::Half { len }, Call::End(_)) => {
                flow.send(&Response::text(len.to_string())).unwrap();
            }
            (Pieces::Nibble { hungry }, Call::Piece(_)) => {
                return Some(usize::from(std::mem::replace(hungry, false)));
            }
            (Pieces::Nibble { hungry }, Call::Produce) => *hungry = true,
            (Pieces::Whole(len), Call::Produce) if !flow.is_finished() => {
                flow.send(&Response::text("x".repeat(*len))).unwrap();
                assert!(flow.is_finished() && flow.write(b"more") == 0);
                flow.finish(); // no effect
            }
            (Pieces::Sleeps { woken }, Call::Produce) => {
                *woken += 1;
                flow.waker().wake();
                if *woken == 3 {
                    flow.send(&Response::text("awake")).unwrap();
                }
            }
            _ => {}
        }
        Some(0)
    }
}

/// Nothing but the first answer that is one begins.
fn insist(flow: &mut Flow<'_>) {
    let interim = Response::new(Status::CONTINUE);
    assert_eq!(flow.respond(&interim, None), Err(FlowError::Informational));
    assert_eq!(flow.send(&interim), Err(FlowError::Informational));
    flow.send(&Response::text("once")).unwrap();
    let again = Response::text("twice");
    assert_eq!(flow.send(&again), Err(FlowError::HasBegun));
    assert_eq!(flow.respond(&again, None), Err(FlowError::HasBegun));
    flow.finish(); // no effect
}
