//! Pipelines whose outcomes come late and in any order: replies are in the order of the commands, and
//! each command sees what those before it did. `|` stands for a line end.

mod resp_support;

use resp_support::{READERS, Shelf, Talk, array, until};
use trine::resp::{RespLimits, RespOptions, Want};
use trine::storage::Fault;

fn lines(lines: &[&str]) -> Vec<u8> {
    let text: Vec<String> = lines.iter().map(|line| format!("{line}\r\n")).collect();
    text.concat().into_bytes()
}

#[test]
fn replies_are_in_the_order_of_the_commands_whatever_the_order_of_the_outcomes() {
    let shelf = Shelf::with_lanes(4);
    let mut talk = Talk::new(&shelf);
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        (0..4).for_each(|lane| shelf.stop(lane));
        let before = shelf.log().len();
        talk.hear(&lines(&[
            "SET a 1",
            "SETNX b 2",
            "PING",
            "DEL c d",
            "ECHO x",
            "EXPIRE d 5",
            "PING",
        ]));
        assert_eq!(talk.want, Want::Outcomes);
        assert_eq!(talk.take(), "", "a reply overtook the first");
        let mut done = [0; 4];
        for lane in order {
            shelf.go_on(lane);
            // Lane d has two operations, of the third command and of the fifth.
            done[usize::from(lane)] = if lane == 3 { 2 } else { 1 };
            let expected = before + done.iter().sum::<usize>();
            talk.until(|_| shelf.log().len() == expected);
        }
        let first = if order == [0, 1, 2, 3] { ":1|" } else { ":0|" };
        assert_eq!(talk.finish(), format!("+OK|{first}+PONG|:0|$1|x|:0|+PONG|"));
        assert_eq!(talk.want, Want::Bytes);
    }
}

#[test]
fn what_is_known_of_the_first_ones_is_said_before_the_others() {
    let shelf = Shelf::with_lanes(2);
    let mut talk = Talk::new(&shelf);
    shelf.stop(1);
    talk.hear(&lines(&["SET a 1", "SET b 2", "SET a 3", "GET a"]));
    talk.until(|talk| !talk.output.is_empty());
    assert_eq!(talk.take(), "+OK|");
    shelf.go_on(1);
    assert_eq!(talk.finish(), "+OK|+OK|$1|3|");
}

#[test]
fn the_writes_of_a_pipeline_reach_the_store_together() {
    let shelf = Shelf::with_lanes(1);
    let mut talk = Talk::new(&shelf);
    shelf.stop(0);
    talk.hear(&array(["SET", "k", "v"]).repeat(100));
    assert_eq!(talk.want, Want::Outcomes);
    assert!(talk.input.is_empty(), "all are under way");
    shelf.go_on(0);
    assert_eq!(talk.finish(), "+OK|".repeat(100));
}

#[test]
fn a_pipeline_that_is_too_long_waits_in_the_input_and_goes_on() {
    let shelf = Shelf::with_lanes(1);
    let mut talk = Talk::new(&shelf);
    shelf.stop(0);
    let command = array(["SET", "k", "v"]);
    talk.hear(&command.repeat(1_000));
    assert_eq!(talk.want, Want::Room);
    assert_eq!(talk.input.len(), command.len() * (1_000 - 128));
    shelf.go_on(0);
    assert_eq!(talk.finish(), "+OK|".repeat(1_000));
    assert!(talk.input.is_empty());
}

#[test]
fn large_values_are_bounded_by_their_bytes() {
    let shelf = Shelf::with_lanes(1);
    let mut talk = Talk::new(&shelf);
    shelf.stop(0);
    let value = "x".repeat(300_000);
    let command = array(["SET", "k", &value]);
    talk.hear(&command.repeat(8));
    assert_eq!(talk.want, Want::Room);
    assert_eq!(talk.input.len(), command.len() * 4);
    shelf.go_on(0);
    assert_eq!(talk.finish(), "+OK|".repeat(8));
}

#[test]
fn a_write_waits_for_the_reads_of_its_key_that_were_asked_for_before() {
    let shelf = Shelf::with_lanes(2);
    let mut talk = Talk::new(&shelf);
    talk.hear(&lines(&["SET a old", "SET b old"]));
    talk.finish();
    shelf.stop(READERS);
    talk.hear(&lines(&["GET a", "SET b new", "SET a new", "GET a"]));
    // The write of the other key does not wait.
    talk.until(|_| shelf.log().len() == 3);
    assert_eq!(talk.want, Want::Room);
    assert_eq!(talk.take(), "");
    shelf.go_on(READERS);
    assert_eq!(talk.finish(), "$3|old|+OK|+OK|$3|new|");
}

#[test]
fn a_command_sees_what_a_command_of_several_steps_before_it_did() {
    let shelf = Shelf::with_lanes(2);
    let mut talk = Talk::new(&shelf);
    let pipeline = [
        "INCR a",
        "INCR a",
        "GET a",
        "SET a 5 GET",
        "SET b x",
        "INCR a",
        "MGET a b",
        "PERSIST a",
        "DEL a",
        "EXISTS a b",
        "SCAN 0",
        "SET c 1",
        "SCAN 0",
    ];
    talk.hear(&lines(&pipeline));
    assert_eq!(
        talk.finish(),
        ":1|:2|$1|2|$1|2|+OK|:6|*2|$1|6|$1|x|:0|:1|:1|*2|$1|0|*1|$1|b|+OK|*2|$1|0|*2|$1|b|$1|c|"
    );
}

#[test]
fn commands_of_many_keys_go_on_when_there_is_room() {
    const COUNT: usize = 2_000;
    let shelf = Shelf::with_lanes(3);
    let mut talk = Talk::new(&shelf);
    let key = |number: usize| format!("{}{number}", ["a", "b", "c"][number % 3]);
    let keys: Vec<String> = (0..COUNT).map(key).collect();
    let pairs: Vec<String> = keys.iter().map(|key| format!("{key} v{key}")).collect();
    talk.hear(&lines(&[&format!("MSET {}", pairs.join(" "))]));
    assert_eq!(talk.finish(), "+OK|");
    let all = keys.join(" ");
    let two = lines(&[
        &format!("MGET {all} x"),
        &format!("EXISTS {all} x"),
        &format!("DEL x {all}"),
    ]);
    talk.hear(&two);
    let values: String = keys
        .iter()
        .map(|key| format!("${}|v{key}|", key.len() + 1))
        .collect();
    let expected = format!("*{}|{values}$-1|:{COUNT}|:{COUNT}|", COUNT + 1);
    assert_eq!(talk.finish(), expected);
    talk.hear(b"EXISTS a0\r\n");
    assert_eq!(talk.finish(), ":0|");
}

#[test]
fn a_fault_is_the_reply_of_its_command_only() {
    let shelf = Shelf::with_lanes(1);
    let mut talk = Talk::new(&shelf);
    shelf.stop(0);
    talk.hear(&lines(&["SET a 1", "MSET a 1 b 2 c 3", "INCR a"]));
    shelf.fail(Fault::Refused("no"));
    shelf.go_on(0);
    assert_eq!(talk.finish(), "-ERR no|+OK|:2|");
}

#[test]
fn an_end_comes_behind_what_is_owed() {
    for last in ["QUIT\r\n", "*x\r\n", "POST /\r\n"] {
        let shelf = Shelf::with_lanes(1);
        let mut talk = Talk::new(&shelf);
        shelf.stop(0);
        talk.hear(&[b"SET a 1\r\nGET a\r\n", last.as_bytes(), b"SET a 2\r\n"].concat());
        assert_eq!((talk.want, talk.input.len()), (Want::Room, 0));
        assert_eq!(talk.take(), "");
        shelf.go_on(0);
        talk.until(|talk| talk.want == Want::End);
        let expected = match last {
            "QUIT\r\n" => "+OK|$1|1|+OK|",
            "*x\r\n" => "+OK|$1|1|-ERR Protocol error: invalid multibulk length|",
            _ => "+OK|$1|1|",
        };
        assert_eq!(talk.take(), expected);
    }
}

#[test]
fn a_version_is_changed_behind_what_is_owed() {
    let shelf = Shelf::with_lanes(1);
    let mut talk = Talk::new(&shelf);
    shelf.stop(READERS);
    talk.hear(&lines(&["GET a", "HELLO 3", "GET a"]));
    assert_eq!(talk.want, Want::Room);
    shelf.go_on(READERS);
    let replies = talk.finish();
    assert!(
        replies.starts_with("$-1|%7|") && replies.ends_with("_|"),
        "{replies}"
    );
}

#[test]
fn reads_of_a_client_that_left_are_not_done_and_its_writes_are() {
    let shelf = Shelf::with_lanes(1);
    let mut talk = Talk::new(&shelf);
    shelf.stop(0);
    shelf.stop(READERS);
    talk.hear(&lines(&["GET x", "SET a 1", "INCR n", "SET a 2"]));
    let Talk { backend, .. } = talk;
    shelf.go_on(READERS);
    shelf.go_on(0);
    until(|| shelf.log().iter().filter(|done| *done == "put a").count() == 2);
    // The first read may have been in the session already.
    assert!(
        !shelf.log().contains(&"put n".to_owned()),
        "{:?}",
        shelf.log()
    );
    drop(backend);
}

#[test]
fn commands_in_place_wait_while_their_client_has_much_to_take() {
    let shelf = Shelf::in_place();
    let mut talk = Talk::new(&shelf);
    let value = "x".repeat(40_000);
    talk.say(&array(["SET", "k", &value]));
    let command = array(["GET", "k"]);
    talk.hear(&command.repeat(10));
    assert_eq!(talk.want, Want::Room);
    assert_eq!(talk.input.len(), 8 * command.len());
    let one = format!("$40000|{value}|");
    assert_eq!(talk.take(), one.repeat(2));
    for _ in 0..4 {
        talk.turn();
        assert_eq!(talk.take(), one.repeat(2));
    }
    assert_eq!((talk.want, talk.input.len()), (Want::Bytes, 0));
    // Within one command too.
    talk.hear(&array(["MGET", "k", "k", "k", "x", "k"]));
    assert_eq!(
        (talk.take(), talk.want),
        (format!("*5|{}", one.repeat(2)), Want::Room)
    );
    talk.turn();
    assert_eq!(talk.take(), format!("{one}$-1|{one}"));
    assert_eq!((talk.want, talk.input.len()), (Want::Bytes, 0));
}

#[test]
fn replies_that_wait_for_one_before_them_are_bounded() {
    let shelf = Shelf::with_lanes(1);
    let mut talk = Talk::new(&shelf);
    shelf.stop(0);
    talk.hear(&lines(&["SET a 1"]));
    talk.hear(&b"PING\r\n".repeat(100_000));
    assert_eq!(talk.want, Want::Room);
    let done = 100_000 - talk.input.len() / 6;
    assert!(done * 7 < 65 * 1024, "{done}");
    shelf.go_on(0);
    talk.until(|talk| !talk.output.is_empty());
    let mut heard = talk.take();
    while talk.want == Want::Room {
        talk.turn();
        heard += &talk.take();
    }
    assert_eq!(heard, format!("+OK|{}", "+PONG|".repeat(100_000)));
}

#[test]
fn a_pipeline_in_drips_is_one_in_a_piece() {
    let commands: [&[&str]; 7] = [
        &["SET", "a", "1"],
        &["INCR", "a"],
        &["MSET", "b", "2", "c", "x\r\ny"],
        &["MGET", "a", "b", "c", "d"],
        &["DEL", "a", "b"],
        &["EXISTS", "a", "c"],
        &["TTL", "c"],
    ];
    let mut bytes = Vec::new();
    for command in commands {
        bytes.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
        for argument in command {
            bytes.extend_from_slice(format!("${}\r\n{argument}\r\n", argument.len()).as_bytes());
        }
    }
    bytes.extend_from_slice(b"PING\r\nECHO \"a b\"\r\n");
    for shelf in [Shelf::in_place(), Shelf::with_lanes(3)] {
        let mut talk = Talk::new(&shelf);
        talk.hear(&bytes);
        let whole = talk.finish();
        talk.hear(b"DEL a b c\r\n");
        talk.finish();
        for octet in &bytes {
            talk.hear(&[*octet]);
        }
        assert_eq!(talk.finish(), whole);
    }
}

#[test]
fn limits_are_those_of_the_options() {
    let shelf = Shelf::in_place();
    let limits = RespLimits {
        argument_bytes_max: 5,
        ..RespLimits::default()
    };
    let options = RespOptions {
        limits,
        ..RespOptions::default()
    };
    let mut talk = Talk::with(&shelf, options);
    assert_eq!(talk.say(&array(["ECHO", "12345"])), "$5|12345|");
    let reply = talk.say(&array(["ECHO", "123456"]));
    assert_eq!(reply, "-ERR Protocol error: invalid bulk length|");
    assert_eq!(talk.want, Want::End);
}
