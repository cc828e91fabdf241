//! The naive reader: it has all octets at once, takes CR LF for the only line end and everything
//! else as it comes. Where the next request begins is all it wants to know.

use super::Message;

/// Why there is no further request.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Stop {
    /// The stream ends here, or within a request.
    End,
    /// Nobody can know where the request ends.
    Faulty,
}

/// All requests from the front of the stream.
pub fn read(stream: &[u8]) -> (Vec<Message>, Stop) {
    let mut messages = Vec::new();
    let mut at = 0;
    loop {
        match message(&stream[at..]) {
            Ok((body, len)) => {
                at += len;
                messages.push(Message { end: at, body });
            }
            Err(stop) => return (messages, stop),
        }
    }
}

/// The content of the request in front of `octets`, and the length of the request.
fn message(octets: &[u8]) -> Result<(Vec<u8>, usize), Stop> {
    let head = Head::read(octets);
    let behind = head.behind.ok_or(Stop::End)?;
    let head_len = octets.len() - behind.len();
    if let Some(codings) = head.codings() {
        let last = codings.last().expect("a split has a last part");
        if !last.eq_ignore_ascii_case(b"chunked") {
            return Err(Stop::Faulty);
        }
        let (content, len) = chunks(behind).1?;
        return Ok((content, head_len + len));
    }
    let length = match head.values("content-length").first() {
        None => 0,
        Some(value) => number(value, 10).ok_or(Stop::Faulty)?,
    };
    let length = usize::try_from(length).map_err(|_| Stop::End)?;
    let content = behind.get(..length).ok_or(Stop::End)?;
    Ok((content.to_vec(), head_len + length))
}

/// A head as lines.
pub struct Head<'a> {
    pub empty_lines: usize,
    /// Without their ends; the request line first, the empty line not among them. If the head is
    /// not complete, the last one is not either.
    pub lines: Vec<&'a [u8]>,
    /// What follows the empty line, if it is there.
    pub behind: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    pub fn read(mut octets: &'a [u8]) -> Head<'a> {
        let mut empty_lines = 0;
        while let Some(rest) = octets.strip_prefix(b"\r\n") {
            octets = rest;
            empty_lines += 1;
        }
        let mut lines = Vec::new();
        while let Some((line, rest)) = split_line(octets) {
            octets = rest;
            if line.is_empty() {
                return Head {
                    empty_lines,
                    lines,
                    behind: Some(octets),
                };
            }
            lines.push(line);
        }
        lines.push(octets);
        Head {
            empty_lines,
            lines,
            behind: None,
        }
    }

    /// The values of the whole fields with this name, white space around both left out.
    pub fn values(&self, name: &str) -> Vec<&'a [u8]> {
        let whole = self.lines.len() - usize::from(self.behind.is_none());
        let fields = self.lines[..whole].iter().skip(1);
        let pairs = fields.filter_map(|line| {
            let colon = line.iter().position(|&octet| octet == b':')?;
            Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
        });
        let named = pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| value).collect()
    }

    /// All transfer codings, if there are any.
    pub fn codings(&self) -> Option<Vec<&'a [u8]>> {
        let values = self.values("transfer-encoding");
        let split = |value: &&'a [u8]| elements(value);
        let codings: Vec<_> = values.iter().flat_map(split).collect();
        (!codings.is_empty()).then_some(codings)
    }
}

/// The parts of a list, empty ones among them.
pub fn elements(value: &[u8]) -> Vec<&[u8]> {
    let elements = value.split(|&octet| octet == b',');
    elements.map(<[u8]>::trim_ascii).collect()
}

/// What a chunked body consists of besides content. The last line may not be complete.
pub enum Piece<'a> {
    SizeLine(&'a [u8]),
    /// What stands behind the data of a chunk; two octets, or the last of the stream.
    DataEnd(&'a [u8]),
    Trailer(&'a [u8]),
}

/// Takes a chunked body apart as far as it can; gives its content and length if it has an end.
pub fn chunks(body: &[u8]) -> (Vec<Piece<'_>>, Result<(Vec<u8>, usize), Stop>) {
    let mut pieces = Vec::new();
    let content = walk(body, &mut pieces);
    (pieces, content)
}

fn walk<'a>(body: &'a [u8], pieces: &mut Vec<Piece<'a>>) -> Result<(Vec<u8>, usize), Stop> {
    let mut content = Vec::new();
    let mut rest = body;
    loop {
        let (line, behind) = split_line(rest).unwrap_or((rest, &[]));
        pieces.push(Piece::SizeLine(line));
        if split_line(rest).is_none() {
            return Err(Stop::End);
        }
        rest = behind;
        let size = size(line).ok_or(Stop::Faulty)?;
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).map_err(|_| Stop::End)?;
        content.extend(rest.get(..size).ok_or(Stop::End)?);
        rest = &rest[size..];
        pieces.push(Piece::DataEnd(&rest[..rest.len().min(2)]));
        rest = rest.get(2..).ok_or(Stop::End)?;
    }
    loop {
        let Some((line, behind)) = split_line(rest) else {
            pieces.push(Piece::Trailer(rest));
            return Err(Stop::End);
        };
        rest = behind;
        if line.is_empty() {
            return Ok((content, body.len() - rest.len()));
        }
        pieces.push(Piece::Trailer(line));
    }
}

/// What stands before the extensions, as a number.
pub fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&octet| octet == b';').next()?;
    number(digits.trim_ascii(), 16)
}

/// As the standard library reads numbers, signs and all.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

/// The line in front without its CR LF, and what follows.
fn split_line(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = octets.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&octets[..end], &octets[end + 2..]))
}
