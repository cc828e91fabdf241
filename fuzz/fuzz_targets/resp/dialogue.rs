//! Dialogues of words that mean something, with a store of each kind.

use trine::resp::Want;

use crate::resp_support::{Shelf, Talk};

/// What an octet of the input stands for.
const WORDS: [&[u8]; 64] = [
    b"GET ",
    b"SET ",
    b"MGET ",
    b"MSET ",
    b"DEL ",
    b"EXISTS ",
    b"INCR ",
    b"DECRBY ",
    b"INCRBY ",
    b"EXPIRE ",
    b"PERSIST ",
    b"TTL ",
    b"PTTL ",
    b"SETNX ",
    b"SETEX ",
    b"GETSET ",
    b"UNLINK ",
    b"PING ",
    b"ECHO ",
    b"HELLO 3 ",
    b"HELLO 2 ",
    b"CLIENT ",
    b"CONFIG GET ",
    b"COMMAND ",
    b"SELECT ",
    b"QUIT ",
    b"PEXPIREAT ",
    b"MULTI ",
    b"FOO ",
    b"POST ",
    b"a ",
    b"b ",
    b"c ",
    b"aa ",
    b"x1 ",
    b"EX ",
    b"PX ",
    b"NX ",
    b"XX ",
    b"GET ",
    b"KEEPTTL ",
    b"PXAT ",
    b"0 ",
    b"1 ",
    b"-1 ",
    b"9223372036854775807 ",
    b"1000000000500 ",
    b"SETNAME ",
    b"GETNAME ",
    b"LIST ",
    b"DOCS ",
    b"save ",
    b"* ",
    b"'a b' ",
    b"\"\\r\\n\" ",
    b"\"",
    b"'",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    b"*1\r\n$4\r\nPING\r\n",
];

pub fn check(input: &[u8]) {
    let Some((choice, input)) = input.split_first() else {
        return;
    };
    let input = &input[..input.len().min(300)];
    let words = input
        .iter()
        .map(|&octet| WORDS[usize::from(octet) % WORDS.len()]);
    let bytes: Vec<u8> = words.flatten().copied().collect();

    let shelf = Shelf::in_place();
    let whole = replies(&mut Talk::new(&shelf), &[&bytes]);
    count(&whole);
    let shelf = Shelf::in_place();
    let piece = usize::from(choice >> 4) + 1;
    let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
    assert_eq!(replies(&mut Talk::new(&shelf), &pieces), whole);
    // Threads are slow to start.
    if choice % 16 == 0 {
        let shelf = Shelf::with_lanes(2);
        assert_eq!(replies(&mut Talk::new(&shelf), &[&bytes]), whole);
    }
}

/// Everything that is answered to `pieces`.
fn replies(talk: &mut Talk, pieces: &[&[u8]]) -> Vec<u8> {
    let mut heard = Vec::new();
    for piece in pieces {
        talk.hear(piece);
        while talk.want == Want::Room || talk.want == Want::Outcomes {
            talk.until(|talk| !talk.conversation.is_owing());
            heard.extend_from_slice(talk.output.data());
            talk.output.clear();
            talk.turn();
        }
        assert!(talk.output.len() < 128 * 1024);
        heard.extend_from_slice(talk.output.data());
        talk.output.clear();
        if talk.want == Want::End {
            break;
        }
    }
    heard
}

/// Replies are such as the `redis` crate can read, one after the other.
fn count(replies: &[u8]) {
    let mut parser = redis::Parser::new();
    let mut rest = replies;
    while !rest.is_empty() {
        let before = rest.len();
        let value = parser.parse_value(&mut rest);
        value.expect("a reply that can be read");
        assert!(rest.len() < before);
    }
}
