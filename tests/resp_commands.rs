//! Commands and their replies, byte by byte: in these tables `|` stands for a line end.

mod resp_support;

use resp_support::{Shelf, Talk, array};
use trine::resp::Want;
use trine::storage::Fault;
use trine::time::Span;

/// Says each line to one client of a new store, and compares its reply.
#[track_caller]
fn dialogue(rows: &[(&str, &str)]) -> Talk {
    let shelf = Shelf::in_place();
    let mut talk = Talk::new(&shelf);
    for (line, reply) in rows {
        assert_eq!(talk.ask(line), *reply, "{line}");
        assert_eq!((talk.want, talk.input.len()), (Want::Bytes, 0), "{line}");
    }
    talk
}

#[test]
fn values_are_written_and_read() {
    dialogue(&[
        ("GET a", "$-1|"),
        ("SET a 1", "+OK|"),
        ("get a", "$1|1|"),
        ("SET a ''", "+OK|"),
        ("GET a", "$0||"),
        ("SET a 'a b\\r\\n'", "+OK|"),
        ("SET a \"\\r\\n\\x00\"", "+OK|"),
        ("GET a", "$3||\\x00|"),
        ("SETNX a 2", ":0|"),
        ("SETNX b 2", ":1|"),
        ("GETSET b 3", "$1|2|"),
        ("GETSET c 4", "$-1|"),
        ("MGET b x c", "*3|$1|3|$-1|$1|4|"),
        ("MSET b 5 c 6 b 7", "+OK|"),
        ("MGET b c", "*2|$1|7|$1|6|"),
        ("EXISTS b c x b", ":3|"),
        ("DEL b x c", ":2|"),
        ("UNLINK b a", ":1|"),
        ("EXISTS a", ":0|"),
    ]);
}

#[test]
fn set_takes_the_options_of_redis() {
    dialogue(&[
        ("SET a 1 XX", "$-1|"),
        ("SET a 1 NX", "+OK|"),
        ("SET a 2 NX", "$-1|"),
        ("SET a 2 xx", "+OK|"),
        ("GET a", "$1|2|"),
        ("SET a 3 GET", "$1|2|"),
        ("SET b 1 GET", "$-1|"),
        ("SET b 2 NX GET", "$1|1|"),
        ("GET b", "$1|1|"),
        ("SET x 1 XX GET", "$-1|"),
        ("EXISTS x", ":0|"),
        ("SET a 4 EX 10", "+OK|"),
        ("TTL a", ":10|"),
        ("SET a 5 KEEPTTL", "+OK|"),
        ("PTTL a", ":10000|"),
        ("SET a 5 PX 1500 XX", "+OK|"),
        ("PTTL a", ":1500|"),
        ("TTL a", ":2|"),
        ("SET a 6", "+OK|"),
        ("TTL a", ":-1|"),
        ("SET a 6 EXAT 1000000007", "+OK|"),
        ("TTL a", ":7|"),
        ("SET a 6 PXAT 1000000000009", "+OK|"),
        ("PTTL a", ":9|"),
        ("SET a 6 PXAT 1000000000000", "+OK|"),
        ("EXISTS a", ":0|"),
        ("SETEX a 3 x", "+OK|"),
        ("PTTL a", ":3000|"),
        ("PSETEX a 3 x", "+OK|"),
        ("PTTL a", ":3|"),
        ("SET a 1 NX XX", "-ERR syntax error|"),
        ("SET a 1 EX", "-ERR syntax error|"),
        ("SET a 1 EX 1 PX 1", "-ERR syntax error|"),
        ("SET a 1 EX 1 KEEPTTL", "-ERR syntax error|"),
        ("SET a 1 WHAT", "-ERR syntax error|"),
        (
            "SET a 1 EX x",
            "-ERR value is not an integer or out of range|",
        ),
        ("SET a 1 EX 0", "-ERR invalid expire time in 'set' command|"),
        (
            "SET a 1 PX -1",
            "-ERR invalid expire time in 'set' command|",
        ),
        (
            "SET a 1 EX 9223372036854775807",
            "-ERR invalid expire time in 'set' command|",
        ),
        (
            "SETEX a 0 x",
            "-ERR invalid expire time in 'setex' command|",
        ),
        (
            "PSETEX a -5 x",
            "-ERR invalid expire time in 'psetex' command|",
        ),
    ]);
}

#[test]
fn numbers_are_counted_as_redis_counts_them() {
    let mut talk = dialogue(&[
        ("INCR n", ":1|"),
        ("INCRBY n 41", ":42|"),
        ("DECR n", ":41|"),
        ("DECRBY n 50", ":-9|"),
        ("GET n", "$2|-9|"),
        ("SET n 9223372036854775806 EX 100", "+OK|"),
        ("INCR n", ":9223372036854775807|"),
        ("TTL n", ":100|"),
        ("INCR n", "-ERR increment or decrement would overflow|"),
        (
            "DECRBY n -9223372036854775808",
            "-ERR decrement would overflow|",
        ),
        ("SET n 1x", "+OK|"),
        ("INCR n", "-ERR value is not an integer or out of range|"),
        (
            "INCRBY n 1.0",
            "-ERR value is not an integer or out of range|",
        ),
    ]);
    assert_eq!(talk.say(&array(["SET", "n", " 1"])), "+OK|");
    assert_eq!(
        talk.ask("INCR n"),
        "-ERR value is not an integer or out of range|"
    );
}

#[test]
fn a_value_is_there_as_long_as_it_was_said() {
    let shelf = Shelf::in_place();
    let mut talk = Talk::new(&shelf);
    let rows = [
        ("EXPIRE a 10", ":0|"),
        ("TTL a", ":-2|"),
        ("PERSIST a", ":0|"),
        ("SET a 1", "+OK|"),
        ("PTTL a", ":-1|"),
        ("EXPIRE a 10", ":1|"),
        ("TTL a", ":10|"),
        ("PERSIST a", ":1|"),
        ("TTL a", ":-1|"),
        ("PERSIST a", ":0|"),
        ("PEXPIRE a 1499", ":1|"),
        ("TTL a", ":1|"),
        ("EXPIREAT a 1000000005", ":1|"),
        ("PTTL a", ":5000|"),
        ("PEXPIREAT a 1000000000006", ":1|"),
        ("PTTL a", ":6|"),
        (
            "EXPIRE a x",
            "-ERR value is not an integer or out of range|",
        ),
        (
            "EXPIRE a 9223372036854775807",
            "-ERR invalid expire time in 'expire' command|",
        ),
        ("EXPIRE a 10 NX", "-ERR Unsupported option NX|"),
        ("EXPIRE a -1", ":1|"),
        ("EXPIRE a -1", ":0|"),
        ("EXISTS a", ":0|"),
        ("SET a 1 PX 50", "+OK|"),
    ];
    for (line, reply) in rows {
        assert_eq!(talk.ask(line), reply, "{line}");
    }
    shelf.clock().advance(49);
    assert_eq!(talk.ask("PTTL a"), ":1|");
    shelf.clock().advance(1);
    assert_eq!(talk.ask("GET a"), "$-1|");
}

#[test]
fn a_scan_sees_each_key_once_whatever_its_pages() {
    let shelf = Shelf::in_place();
    let mut talk = Talk::new(&shelf);
    assert_eq!(talk.ask("SCAN 0"), "*2|$1|0|*0|");
    for number in 0..25 {
        talk.ask(&format!("SET user:{number:02} x"));
        talk.ask(&format!("SET other:{number:02} x"));
    }
    for (options, per_page, expected) in [
        ("", 10, 50),
        (" COUNT 7", 7, 50),
        (" COUNT 1000", 1_000, 50),
        (" MATCH user:*", 10, 25),
        (" MATCH user:*5 COUNT 3", 3, 2),
        (" MATCH *:0? TYPE string", 10, 20),
        (" TYPE list", 10, 0),
    ] {
        let mut keys = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let reply = talk.ask(&format!("SCAN {cursor}{options}"));
            let mut lines = reply.split('|').skip(2);
            cursor = lines.next().unwrap().to_owned();
            let count: usize = lines.next().unwrap()[1..].parse().unwrap();
            assert!(count <= per_page);
            let found = lines.skip(1).step_by(2).map(str::to_owned);
            let before = keys.len();
            keys.extend(found);
            assert_eq!(keys.len(), before + count, "{reply}");
            if cursor == "0" {
                break;
            }
        }
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!((keys.len(), all), (expected, expected), "{options}");
    }
    for (line, reply) in [
        ("SCAN x", "-ERR invalid cursor|"),
        ("SCAN 12345", "-ERR invalid cursor|"),
        ("SCAN 0 COUNT 0", "-ERR syntax error|"),
        ("SCAN 0 COUNT", "-ERR syntax error|"),
        (
            "SCAN 0 COUNT x",
            "-ERR value is not an integer or out of range|",
        ),
        ("SCAN 0 WHAT 1", "-ERR syntax error|"),
    ] {
        assert_eq!(talk.ask(line), reply, "{line}");
    }
}

#[test]
fn what_is_about_the_connection_is_answered_as_by_redis() {
    dialogue(&[
        ("PING", "+PONG|"),
        ("PING hello", "$5|hello|"),
        (
            "PING a b",
            "-ERR wrong number of arguments for 'ping' command|",
        ),
        ("ECHO hello", "$5|hello|"),
        ("SELECT 0", "+OK|"),
        ("SELECT 1", "-ERR DB index is out of range|"),
        ("SELECT x", "-ERR value is not an integer or out of range|"),
        ("CLIENT ID", ":7|"),
        ("CLIENT GETNAME", "$-1|"),
        ("CLIENT SETNAME me", "+OK|"),
        ("CLIENT GETNAME", "$2|me|"),
        (
            "CLIENT SETNAME 'a b'",
            "-ERR Client names cannot contain spaces, newlines or special characters.|",
        ),
        ("CLIENT SETINFO LIB-NAME x", "+OK|"),
        ("CLIENT LIST", "$36|id=7 addr=local name=me db=0 resp=2\\n|"),
        (
            "CLIENT SETNAME",
            "-ERR wrong number of arguments for 'client|setname' command|",
        ),
        (
            "CLIENT REPLY OFF",
            "-ERR unknown subcommand 'REPLY'. Try CLIENT HELP.|",
        ),
        ("CONFIG GET save", "*2|$4|save|$0||"),
        ("CONFIG GET APPEND*", "*2|$10|appendonly|$2|no|"),
        ("CONFIG GET x", "*0|"),
        (
            "CONFIG SET save x",
            "-ERR unknown subcommand 'SET'. Try CONFIG HELP.|",
        ),
        ("COMMAND", "*0|"),
        ("COMMAND DOCS", "*0|"),
        ("COMMAND COUNT", ":33|"),
        (
            "AUTH x",
            "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?|",
        ),
    ]);
}

#[test]
fn version_three_has_maps_and_a_null_of_its_own() {
    let about = "$6|server|$5|redis|$7|version|$5|7.0.0|$5|proto|:3|$2|id|:7|$4|mode|$10|standalone|\
                 $4|role|$6|master|$7|modules|*0|";
    dialogue(&[
        ("HELLO", &format!("*14|{}", about.replace(":3", ":2"))),
        ("HELLO 4", "-NOPROTO unsupported protocol version|"),
        ("HELLO x", "-NOPROTO unsupported protocol version|"),
        ("HELLO 3 SETNAME", "-ERR syntax error|"),
        ("GET x", "$-1|"),
        ("HELLO 3 SETNAME me", &format!("%7|{about}")),
        ("GET x", "_|"),
        ("CLIENT GETNAME", "$2|me|"),
        ("CONFIG GET save", "%1|$4|save|$0||"),
        (
            "CLIENT INFO",
            "=40|txt:id=7 addr=local name=me db=0 resp=3\\n|",
        ),
        ("MGET x y", "*2|_|_|"),
        ("COMMAND DOCS", "%0|"),
        ("HELLO 2", &format!("*14|{}", about.replace(":3", ":2"))),
        ("GET x", "$-1|"),
    ]);
}

#[test]
fn what_is_not_a_command_is_refused_in_the_words_of_redis() {
    let mut talk = dialogue(&[
        (
            "foo",
            "-ERR unknown command 'foo', with args beginning with: |",
        ),
        (
            "foo bar baz",
            "-ERR unknown command 'foo', with args beginning with: 'bar' 'baz' |",
        ),
        ("GET", "-ERR wrong number of arguments for 'get' command|"),
        (
            "GET a b",
            "-ERR wrong number of arguments for 'get' command|",
        ),
        ("SET a", "-ERR wrong number of arguments for 'set' command|"),
        (
            "MSET a 1 b",
            "-ERR wrong number of arguments for 'mset' command|",
        ),
        (
            "MULTI",
            "-ERR command 'multi' is not supported by this server|",
        ),
        (
            "SUBSCRIBE x",
            "-ERR command 'subscribe' is not supported by this server|",
        ),
        (
            "EVAL x 0",
            "-ERR command 'eval' is not supported by this server|",
        ),
        (
            "KEYS *",
            "-ERR command 'keys' is not supported by this server|",
        ),
        ("", ""),
    ]);
    assert_eq!(talk.say(b"*0\r\n*-1\r\n\n"), "");
    let reply = talk.say(&array(["a\r\nb", "c\rd"]));
    assert_eq!(
        reply,
        "-ERR unknown command 'a  b', with args beginning with: 'c d' |"
    );
    let long = "x".repeat(300);
    let reply = talk.say(&array([&long, &long, "y"]));
    let (name, argument) = (&long[..128], &long[..128]);
    assert_eq!(
        reply,
        format!("-ERR unknown command '{name}', with args beginning with: '{argument}' |")
    );
}

#[test]
fn what_the_store_says_is_told_by_a_word_for_programs() {
    let shelf = Shelf::in_place();
    let mut talk = Talk::new(&shelf);
    let after = Span::ZERO;
    let rows = [
        (Fault::Refused("no"), "-ERR no|"),
        (Fault::Retry { after, why: "full" }, "-TRYAGAIN full|"),
        (Fault::Unknown("hm"), "-UNKNOWN whether it was done: hm|"),
        (
            Fault::Corrupt,
            "-CORRUPT the stored value fails its checksum|",
        ),
        (
            Fault::Fenced("end"),
            "-FENCED the store takes no more work: end|",
        ),
    ];
    for (fault, reply) in rows {
        for command in [
            "GET a",
            "SET a 1",
            "SET a 1 GET",
            "INCR a",
            "DEL a b",
            "MSET a 1 b 2",
            "SCAN 0",
        ] {
            shelf.fail(fault);
            assert_eq!(talk.ask(command), reply, "{command}");
        }
        shelf.fail(fault);
        assert_eq!(talk.ask("MGET a b"), format!("*2|{reply}$1|2|"));
    }
    let long = "k".repeat(1_001);
    assert_eq!(
        talk.ask(&format!("GET {long}")),
        "-ERR the key is too long|"
    );
}

#[test]
fn a_command_that_reads_and_writes_begins_anew_if_somebody_wrote_in_between() {
    let shelf = Shelf::in_place();
    let mut talk = Talk::new(&shelf);
    shelf.interfere(3);
    assert_eq!(talk.ask("INCR n"), ":1|");
    assert_eq!(shelf.log().len(), 8, "{:?}", shelf.log());
    shelf.interfere(2);
    assert_eq!(talk.ask("SET n 5 GET"), "$1|1|");
    shelf.interfere(1_000);
    assert_eq!(
        talk.ask("INCR n"),
        "-TRYAGAIN others write this key all the time|"
    );
}

#[test]
fn quit_answers_and_ends_whatever_comes_behind_it() {
    let shelf = Shelf::in_place();
    let mut talk = Talk::new(&shelf);
    assert_eq!(talk.say(b"PING\r\nQUIT\r\nPING\r\nPI"), "+PONG|+OK|");
    assert_eq!((talk.want, talk.input.len()), (Want::End, 0));
    assert_eq!(talk.say(b"NG\r\n"), "");
}

#[test]
fn a_browser_that_was_made_to_talk_to_us_is_cut_without_a_word() {
    for first in ["POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let shelf = Shelf::in_place();
        let mut talk = Talk::new(&shelf);
        let reply = talk.say(format!("{first}SET a 1\r\n").as_bytes());
        assert!(!reply.contains("OK"), "{reply}");
        assert_eq!(talk.want, Want::End);
    }
}

#[test]
fn info_says_what_runs() {
    let shelf = Shelf::in_place();
    let mut talk = Talk::new(&shelf);
    let info = talk.ask("INFO");
    for line in ["redis_version:7.0.0|", "store:shelf|", "health:Ready|"] {
        assert!(info.contains(line), "{info}");
    }
}
