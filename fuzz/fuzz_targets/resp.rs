//! The Redis protocol, by four oracles, of which the first octet of the input chooses one:
//!
//! - any bytes are the same commands, or the same error, whole and cut anywhere;
//! - what the `redis` crate packs is parsed as what it was given;
//! - what the encoder says, the `redis` crate reads as what was meant (`values`);
//! - a dialogue has one reply for each command, which the `redis` crate can read, and the same ones
//!   whether it comes whole or in drips, to a store in place or to one with threads (`dialogue`).
#![no_main]

#[path = "resp/dialogue.rs"]
mod dialogue;
#[path = "../../tests/resp_support/mod.rs"]
mod resp_support;
#[path = "resp/values.rs"]
mod values;

use libfuzzer_sys::fuzz_target;
use trine::resp::{Progress, ProtocolError, RequestParser, RespLimits};

type Commands = Vec<Vec<Vec<u8>>>;

/// Small enough to be reached.
const LIMITS: RespLimits = RespLimits {
    arguments_max: 20,
    argument_bytes_max: 100,
    inline_bytes_max: 120,
    command_bytes_max: 200,
};

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    match choice % 4 {
        0 => cut_anywhere(rest),
        1 => packed(rest),
        2 => values::check(rest),
        _ => dialogue::check(rest),
    }
});

fn cut_anywhere(input: &[u8]) {
    let Some((cuts, bytes)) = input.split_first_chunk::<3>() else {
        return;
    };
    for limits in [LIMITS, RespLimits::default()] {
        let whole = parse(bytes, &[], &limits);
        let mut ends = cuts.map(|cut| usize::from(cut) * bytes.len() / 255);
        ends.sort_unstable();
        assert_eq!(parse(bytes, &ends, &limits), whole);
        let every: Vec<usize> = (0..bytes.len().min(1_000)).collect();
        assert_eq!(parse(bytes, &every, &limits), whole);
        for arguments in &whole.0 {
            assert!(arguments.len() <= limits.arguments_max as usize);
            let len: usize = arguments.iter().map(Vec::len).sum();
            assert!(len <= limits.command_bytes_max as usize);
        }
    }
}

/// All commands in `bytes`, of which first those before each of `ends` are there; and what is wrong
/// with what is left.
fn parse(bytes: &[u8], ends: &[usize], limits: &RespLimits) -> (Commands, Option<ProtocolError>) {
    let mut parser = RequestParser::new();
    let (mut commands, mut start) = (Vec::new(), 0);
    for end in ends.iter().copied().chain([bytes.len()]) {
        while start < end {
            let here = &bytes[start..end];
            match parser.parse(here, limits) {
                Ok(Progress::Complete { len }) => {
                    assert!(0 < len && len <= here.len());
                    let arguments = parser.arguments(here).iter();
                    commands.push(arguments.map(<[u8]>::to_vec).collect());
                    start += len;
                    parser.reset();
                }
                Ok(Progress::Partial) => break,
                Err(error) => return (commands, Some(error)),
            }
        }
    }
    (commands, None)
}

fn packed(input: &[u8]) {
    let commands: Commands = input
        .split(|&octet| octet == 0xff)
        .map(|command| command.split(|&octet| octet == 0xfe))
        .map(|arguments| arguments.map(<[u8]>::to_vec).collect())
        .collect();
    let bytes: Vec<u8> = commands
        .iter()
        .flat_map(|c| redis::pack_command(c))
        .collect();
    let limits = RespLimits::default();
    let half = [bytes.len() / 2];
    assert_eq!(parse(&bytes, &[], &limits), (commands.clone(), None));
    assert_eq!(parse(&bytes, &half, &limits), (commands, None));
}
