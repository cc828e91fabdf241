//! Replies out of bytes, said by the encoder, read back by the `redis` crate.

use redis::{Value, VerbatimFormat, parse_redis_value};
use trine::buffer::Buffer;
use trine::resp::{Protocol, ReplyEncoder};

pub fn check(input: &[u8]) {
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let mut output = Buffer::default();
        let mut encoder = ReplyEncoder::new(&mut output, protocol);
        let mut rest = input;
        let meant = say(&mut rest, &mut encoder, protocol, 0);
        assert_eq!(parse_redis_value(output.data()), Ok(meant));
    }
}

/// Says the next thing in `rest`; what is meant by it.
fn say(
    rest: &mut &[u8],
    encoder: &mut ReplyEncoder<'_>,
    protocol: Protocol,
    depth: usize,
) -> Value {
    let kind = take(rest, 1).first().copied().unwrap_or(0);
    match kind % 8 {
        0 => {
            encoder.ok();
            Value::Okay
        }
        1 => {
            let number = number(rest);
            encoder.integer(number);
            Value::Int(number)
        }
        2 => {
            let bytes = text(rest);
            encoder.bulk(bytes);
            Value::BulkString(bytes.to_vec())
        }
        3 => {
            encoder.null();
            Value::Nil
        }
        4 => {
            let said = String::from_utf8_lossy(text(rest)).into_owned();
            encoder.simple(&said);
            match one_line(&said) {
                said if said == "OK" => Value::Okay,
                said => Value::SimpleString(said),
            }
        }
        5 => {
            let said = String::from_utf8_lossy(text(rest)).into_owned();
            encoder.text(&said);
            match protocol {
                Protocol::Resp2 => Value::BulkString(said.into_bytes()),
                Protocol::Resp3 => Value::VerbatimString {
                    format: VerbatimFormat::Text,
                    text: said,
                },
            }
        }
        _ if depth > 3 => {
            encoder.null();
            Value::Nil
        }
        6 => {
            let len = usize::from(kind >> 3) % 5;
            encoder.array(len);
            let parts = (0..len).map(|_| say(rest, encoder, protocol, depth + 1));
            Value::Array(parts.collect())
        }
        _ => {
            let len = usize::from(kind >> 3) % 4;
            encoder.map(len);
            let pairs = (0..len).map(|_| {
                let key = say(rest, encoder, protocol, depth + 1);
                (key, say(rest, encoder, protocol, depth + 1))
            });
            let pairs: Vec<_> = pairs.collect();
            match protocol {
                Protocol::Resp2 => {
                    let flat = pairs.into_iter().flat_map(|(key, value)| [key, value]);
                    Value::Array(flat.collect())
                }
                Protocol::Resp3 => Value::Map(pairs),
            }
        }
    }
}

fn one_line(said: &str) -> String {
    said.replace(['\r', '\n'], " ")
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    let taken;
    (taken, *rest) = rest.split_at(len.min(rest.len()));
    taken
}

fn text<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let len = take(rest, 1).first().copied().unwrap_or(0);
    take(rest, usize::from(len))
}

fn number(rest: &mut &[u8]) -> i64 {
    let mut octets = [0; 8];
    let taken = take(rest, 8);
    octets[..taken.len()].copy_from_slice(taken);
    i64::from_le_bytes(octets)
}
