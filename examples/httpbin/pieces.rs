//! Bodies that are never whole in memory.

use trine::Response;
use trine::http::{Framing, Request, Trailers};
use trine::service::{Exchange, Flow};

fn octets() -> Response {
    Response::bytes("")
        .with_field("Content-Type", "application/octet-stream")
        .unwrap_or_else(|_| unreachable!("literals"))
}

/// Sends the body back as it comes.
pub struct Echo {
    length: Option<u64>,
}

impl Echo {
    pub fn new(head: &Request<'_>) -> Echo {
        Echo {
            length: match head.head().framing() {
                Framing::None => Some(0),
                Framing::Length(length) => Some(length),
                Framing::Chunked => None,
            },
        }
    }
}

impl Exchange for Echo {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        let _ = flow.respond(&octets(), self.length); // has begun, every time but the first
    }

    fn piece(&mut self, piece: &[u8], flow: &mut Flow<'_>, (): &mut ()) -> usize {
        flow.write(piece)
    }

    fn end(&mut self, _: Trailers<'_>, flow: &mut Flow<'_>, (): &mut ()) {
        flow.finish();
    }
}

/// So many octets, of a declared length: the alphabet, over and over.
pub struct Octets {
    length: u64,
    sent: u64,
}

impl Octets {
    pub fn new(length: u64) -> Octets {
        Octets { length, sent: 0 }
    }
}

const ALPHABET: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
const PIECE: usize = 16 << 10;

/// A piece from any letter on.
static LETTERS: [u8; PIECE + ALPHABET.len()] = {
    let mut letters = [0; PIECE + ALPHABET.len()];
    let mut at = 0;
    while at < letters.len() {
        letters[at] = ALPHABET[at % ALPHABET.len()];
        at += 1;
    }
    letters
};

impl Exchange for Octets {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        let _ = flow.respond(&octets(), Some(self.length)); // as above
        while flow.room() > 0 {
            let from = (self.sent % ALPHABET.len() as u64) as usize;
            self.sent += flow.write(&LETTERS[from..from + PIECE]) as u64;
        }
    }
}

/// So many chunks, each with its number.
pub struct Chunks {
    count: u64,
    sent: u64,
}

impl Chunks {
    pub fn new(count: u64) -> Chunks {
        Chunks { count, sent: 0 }
    }
}

impl Exchange for Chunks {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        let _ = flow.respond(&Response::text(""), None); // as above
        while self.sent < self.count {
            let chunk = format!("chunk {}\n", self.sent);
            if flow.room() < chunk.len() || flow.write(chunk.as_bytes()) == 0 {
                return; // asked again when the client has taken some
            }
            self.sent += 1;
        }
        flow.finish();
    }
}
