//! Streams of valid requests, and small changes to them.

use super::Message;

/// Choices out of the octets of the input; when they run out, always the first.
pub struct Choices<'a> {
    octets: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(octets: &'a [u8]) -> Choices<'a> {
        Choices { octets }
    }

    fn octet(&mut self) -> u8 {
        let (&octet, rest) = self.octets.split_first().unwrap_or((&0, &[]));
        self.octets = rest;
        octet
    }

    /// A number below `bound`, which is at most 65,536.
    pub fn below(&mut self, bound: usize) -> usize {
        let number = match bound {
            0..=256 => usize::from(self.octet()),
            _ => usize::from(self.octet()) << 8 | usize::from(self.octet()),
        };
        number % bound
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Methods with targets in the form that they allow.
const REQUESTS: [&str; 12] = [
    "GET /",
    "POST /a?b=c",
    "HEAD //evil/..%2f%00",
    "GET /\\|{}\"<>",
    "M-SEARCH! /x",
    "OPTIONS *",
    "CONNECT a:1",
    "CONNECT [::1]:443",
    "GET http://b/x?y",
    "PUT HTTPS://[::1]:8080",
    "DELETE http://b?/",
    "GET /http://x/y/",
];

const VERSIONS: [&str; 8] = ["1.1", "1.1", "1.1", "1.0", "1.1", "1.7", "1.1", "1.9"];

const HOSTS: [&str; 6] = [
    "a",
    "127.0.0.1:8080",
    "[::1]:1",
    "a:",
    "x_y%2d",
    "A.b-c:65535",
];

/// Fields that have no say in framing.
const FIELDS: [&str; 14] = [
    "Accept: */*",
    "A:",
    "X: \t ",
    "x-B:\t1 2\t",
    "Cookie: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Connection: close",
    "Connection: keep-alive, x",
    "Expect: 100-continue",
    "Upgrade: h2c",
    "X: content-length: 5",
    "Content-Lengt: 7",
    "Content-Length-: 7",
    "Transfer-Encodin: chunked",
    "TE: trailers",
];

/// All valid (RFC 9112, 7.1.1).
pub const EXTENSIONS: [&str; 8] = [
    "",
    "",
    ";a",
    ";a=b;c",
    " ; a = \"\\\"\\\\ \t;\" \t; b",
    ";a=\"GET / HTTP/1.1\"",
    "\t;\ta",
    ";a=\"\"",
];

const TRAILERS: [&str; 6] = [
    "X: y",
    "Content-Length: 9",
    "Transfer-Encoding: chunked",
    "Host: z",
    "Connection: close",
    "A:",
];

/// Content that begs to be taken for something else.
const CONTENT: &[u8] = b"0\r\n\r\nGET /evil HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\n\
    abc\n\r\n\r\r\n5\r\nhello\r\n\0\xff;a=\"\r\n\"POST http://e HTTP/1.1\r\n\r\n";

/// A few requests behind one another, and where they end.
pub fn stream(choices: &mut Choices) -> (Vec<u8>, Vec<Message>) {
    let (mut octets, mut messages) = (Vec::new(), Vec::new());
    for _ in 0..=choices.below(4) {
        let body = request(choices, &mut octets);
        let end = octets.len();
        messages.push(Message { end, body });
    }
    (octets, messages)
}

/// Appends one request; gives its content.
fn request(choices: &mut Choices, octets: &mut Vec<u8>) -> Vec<u8> {
    for _ in 0..choices.below(16).saturating_sub(13) {
        octets.extend(b"\r\n");
    }
    let (line, version) = (choices.one_of(&REQUESTS), choices.one_of(&VERSIONS));
    octets.extend(format!("{line} HTTP/{version}\r\n").as_bytes());
    let others = choices.below(4);
    let mut fields: Vec<_> = (0..others)
        .map(|_| choices.one_of(&FIELDS).to_owned())
        .collect();
    let host = choices.one_of(&HOSTS);
    place(choices, &mut fields, "Host", host);
    let framing = choices.below(4);
    let content = match framing {
        0 | 1 => content(choices, 200),
        _ => Vec::new(),
    };
    let is_chunked = framing == 1 && version != "1.0";
    if is_chunked {
        let coding = choices.one_of(&["chunked", "Chunked", "CHUNKED"]);
        place(choices, &mut fields, "Transfer-Encoding", coding);
    } else if framing != 3 {
        let length = choices.one_of(&["", "0", "000"]).to_owned() + &content.len().to_string();
        place(choices, &mut fields, "Content-Length", &length);
    }
    for field in fields {
        octets.extend(field.as_bytes());
        octets.extend(b"\r\n");
    }
    octets.extend(b"\r\n");
    match is_chunked {
        true => chunks(choices, &content, octets),
        false => octets.extend(&content),
    }
    content
}

/// Puts a field anywhere among the others, in one of the ways to write it.
fn place(choices: &mut Choices, fields: &mut Vec<String>, name: &str, value: &str) {
    let name = match choices.below(3) {
        0 => name.to_owned(),
        1 => name.to_lowercase(),
        _ => name.to_uppercase(),
    };
    let (before, behind) = choices.one_of(&[(" ", ""), ("", ""), ("\t ", " "), ("  ", "\t")]);
    let at = choices.below(fields.len() + 1);
    fields.insert(at, format!("{name}:{before}{value}{behind}"));
}

fn content(choices: &mut Choices, len_max: usize) -> Vec<u8> {
    let start = choices.below(CONTENT.len());
    let len = choices.below(len_max);
    let endless = CONTENT.iter().cycle();
    endless.skip(start).take(len).copied().collect()
}

fn chunks(choices: &mut Choices, mut content: &[u8], octets: &mut Vec<u8>) {
    while !content.is_empty() {
        let len = 1 + choices.below(content.len());
        let chunk;
        (chunk, content) = content.split_at(len);
        size_line(choices, chunk.len(), octets);
        octets.extend(chunk);
        octets.extend(b"\r\n");
    }
    size_line(choices, 0, octets);
    for _ in 0..choices.below(3) {
        octets.extend(choices.one_of(&TRAILERS).as_bytes());
        octets.extend(b"\r\n");
    }
    octets.extend(b"\r\n");
}

fn size_line(choices: &mut Choices, size: usize, octets: &mut Vec<u8>) {
    let digits = match choices.below(4) {
        0 => format!("{size:x}"),
        1 => format!("{size:X}"),
        2 => format!("{size:04x}"),
        _ => format!("{size:018X}"),
    };
    let extensions = choices.one_of(&EXTENSIONS);
    octets.extend(format!("{digits}{extensions}\r\n").as_bytes());
}

/// Octets that mean something to somebody.
const OCTETS: &[u8] = b"\r\n\r\n :;,=\t\0\x7f\x0b\"\\0159afFx+-_#%@[H\x85\xa0\xff";

/// Texts that mean something to somebody; at most three octets.
const TEXTS: [&str; 12] = [
    "\r\n", "\n", "\r", "\r\r\n", "\n\n", "\r\n ", "0\r\n", "ff", " \t", "0x", ", ", "\0\r\n",
];

/// Lines that decide something, or look as if they did.
const LINES: [&str; 24] = [
    "Content-Length: 5",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length:",
    "Content-Length: 18446744073709551616",
    "Content-Length: 1048577",
    "Content-Length : 5",
    " Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: identity",
    "Transfer-Encoding:",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding\t: chunked",
    "Transfer-Encoding: \x0bchunked",
    "Host: b",
    "Host: u@b",
    "Expect: gold",
    "no colon",
    ": no name",
    "",
    "0",
    "fffffffffffffff0",
];

/// Changes up to three octets of the stream, or puts one line into it.
pub fn change(choices: &mut Choices, stream: &mut Vec<u8>) {
    let at = choices.below(stream.len().max(257));
    let at = at % stream.len().max(1);
    match choices.below(7) {
        0 => drop(stream.drain(at..stream.len().min(at + 1))),
        1 => drop(stream.drain(at..stream.len().min(at + 3))),
        2 => stream.insert(at, choices.one_of(OCTETS)),
        3 => replace(stream, at, choices.one_of(OCTETS)),
        4 => replace(stream, at, choices.octet()),
        5 => drop(stream.splice(at..at, choices.one_of(&TEXTS).bytes())),
        _ => {
            let ends = stream[at..].windows(2).position(|pair| pair == b"\r\n");
            let at = ends.map_or(stream.len(), |len| at + len + 2);
            let line = choices.one_of(&LINES).bytes().chain(*b"\r\n");
            drop(stream.splice(at..at, line));
        }
    }
}

fn replace(stream: &mut [u8], at: usize, octet: u8) {
    if let Some(place) = stream.get_mut(at) {
        *place = octet;
    }
}

/// Where to cut the stream: at a few places, or everywhere.
pub fn ends(choices: &mut Choices, len: usize) -> Vec<usize> {
    let count = choices.below(8);
    if count == 7 {
        return (0..=len).collect();
    }
    let mut ends: Vec<_> = (0..count)
        .map(|_| choices.below(257.max(len + 1)) % (len + 1))
        .collect();
    ends.sort_unstable();
    ends
}
