//! What is a command and what is not, whole and in pieces; and what replies look like.

use trine::buffer::Buffer;
use trine::resp::ProtocolError::{
    self, ArgumentEnd, ArgumentTooLong, CommandTooLong, Count, ExpectedArgument, InlineTooLong,
    Length, Quotes, TooManyArguments,
};
use trine::resp::{Progress, Protocol, ReplyEncoder, RequestParser, RespLimits};

type Commands = Vec<Vec<Vec<u8>>>;

/// All commands in `bytes`, which come in pieces of `piece` bytes; what was wrong behind them.
fn parse(bytes: &[u8], piece: usize, limits: &RespLimits) -> (Commands, Option<ProtocolError>) {
    let mut parser = RequestParser::new();
    let (mut commands, mut start, mut end) = (Vec::new(), 0, 0);
    loop {
        match parser.parse(&bytes[start..end], limits) {
            Ok(Progress::Complete { len }) => {
                let arguments = parser.arguments(&bytes[start..end]);
                commands.push(arguments.iter().map(<[u8]>::to_vec).collect());
                start += len;
                parser.reset();
            }
            Ok(Progress::Partial) if end == bytes.len() => return (commands, None),
            Ok(Progress::Partial) => end = (end + piece).min(bytes.len()),
            Err(error) => return (commands, Some(error)),
        }
    }
}

/// The same whatever the pieces.
#[track_caller]
fn parse_all_ways(bytes: &[u8], limits: &RespLimits) -> (Commands, Option<ProtocolError>) {
    let whole = parse(bytes, bytes.len(), limits);
    for piece in 1..bytes.len() {
        let shown = bytes.escape_ascii();
        assert_eq!(parse(bytes, piece, limits), whole, "{piece}: {shown}");
    }
    whole
}

const SMALL: RespLimits = RespLimits {
    arguments_max: 3,
    argument_bytes_max: 10,
    inline_bytes_max: 20,
    command_bytes_max: 50,
};

#[test]
fn arrays_and_lines_are_commands_and_may_follow_each_other() {
    type Row<'a> = (&'a [u8], &'a [&'a [&'a [u8]]]);
    let rows: [Row<'_>; 9] = [
        (b"*1\r\n$4\r\nPING\r\n", &[&[b"PING"]]),
        (b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", &[&[b"GET", b""]]),
        (b"*1\r\n$4\r\n\r\n$\0\r\n", &[&[b"\r\n$\0"]]),
        (b"PING\r\n", &[&[b"PING"]]),
        (b"GET  'a b'\n", &[&[b"GET", b"a b"]]),
        (b"\r\n\n  \r\n", &[&[], &[], &[]]),
        (b"*0\r\n*-1\r\n*-12\r\n", &[&[], &[], &[]]),
        (
            b"PING\r\n*1\r\n$4\r\nPING\r\nGET a\n*2\r\n$1\r\na\r\n$1\r\n",
            &[&[b"PING"], &[b"PING"], &[b"GET", b"a"]],
        ),
        (
            b"*3\r\n$10\r\n0123456789\r\n$1\r\na\r\n$1\r\nb\r\n",
            &[&[b"0123456789", b"a", b"b"]],
        ),
    ];
    for (bytes, expected) in rows {
        let (commands, error) = parse_all_ways(bytes, &SMALL);
        assert_eq!(error, None);
        assert_eq!(commands, expected, "{}", bytes.escape_ascii());
    }
}

const COUNT: &str = "Protocol error: invalid multibulk length";
const LENGTH: &str = "Protocol error: invalid bulk length";

/// What is wrong with what, and how it is said.
const ERRORS: [(&[u8], ProtocolError, &str); 26] = [
    (b"*a", Count, COUNT),
    (b"*\r\n", Count, COUNT),
    (b"*1x", Count, COUNT),
    (b"*1\n", Count, COUNT),
    (b"*1\rx", Count, COUNT),
    (b"*01\r\n", Count, COUNT),
    (b"*+1\r\n", Count, COUNT),
    (b"*-0\r\n", Count, COUNT),
    (b"*--1\r\n", Count, COUNT),
    (b"*12345678901", Count, COUNT),
    (b"*4\r\n", TooManyArguments { limit: 3 }, COUNT),
    (b"*9999999999\r\n", TooManyArguments { limit: 3 }, COUNT),
    (b"a b c d\r\n", TooManyArguments { limit: 3 }, COUNT),
    (
        b"*1\r\nx",
        ExpectedArgument { found: b'x' },
        "Protocol error: expected '$', got 'x'",
    ),
    (
        b"*1\r\n\r",
        ExpectedArgument { found: b'\r' },
        "Protocol error: expected '$', got '\\r'",
    ),
    (b"*1\r\n$a", Length, LENGTH),
    (b"*1\r\n$-1\r\n", Length, LENGTH),
    (b"*1\r\n$\r\n", Length, LENGTH),
    (b"*1\r\n$00\r\n", Length, LENGTH),
    (b"*1\r\n$11\r\n", ArgumentTooLong { limit: 10 }, LENGTH),
    (
        b"*1\r\n$1\r\naX",
        ArgumentEnd,
        "Protocol error: expected CR LF behind the argument",
    ),
    (
        b"*1\r\n$1\r\na\rX",
        ArgumentEnd,
        "Protocol error: expected CR LF behind the argument",
    ),
    (
        b"*3\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n$10\r\n",
        CommandTooLong { limit: 50 },
        "Protocol error: too big command",
    ),
    (
        b"012345678901234567890",
        InlineTooLong { limit: 20 },
        "Protocol error: too big inline request",
    ),
    (
        b"GET \"a\r\n",
        Quotes,
        "Protocol error: unbalanced quotes in request",
    ),
    (
        b"GET 'a'b\r\n",
        Quotes,
        "Protocol error: unbalanced quotes in request",
    ),
];

#[test]
fn each_rule_and_each_limit_has_its_error() {
    for (bytes, error, text) in ERRORS {
        let before = [b"PING\r\n", bytes].concat();
        let (commands, found) = parse_all_ways(&before, &SMALL);
        assert_eq!(commands, [[b"PING"]], "{}", bytes.escape_ascii());
        assert_eq!(found, Some(error), "{}", bytes.escape_ascii());
        assert_eq!(error.to_string(), text);
    }
}

/// Quadratic work would be 10^13 steps: nobody would see its end.
#[test]
fn the_largest_commands_come_byte_by_byte_in_linear_time() {
    let limits = RespLimits::default();
    let value = vec![b'x'; limits.argument_bytes_max as usize];
    let mut bytes = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len()).into_bytes();
    bytes.extend_from_slice(&value);
    bytes.extend_from_slice(b"\r\n");
    let many = limits.arguments_max as usize;
    bytes.extend_from_slice(format!("*{many}\r\n").as_bytes());
    bytes.extend_from_slice(&b"$1\r\nx\r\n".repeat(many));
    let line = limits.inline_bytes_max as usize;
    bytes.extend_from_slice(&vec![b'x'; line]);
    bytes.push(b'\n');
    let (commands, error) = parse(&bytes, 1, &limits);
    assert_eq!(error, None);
    let lens: Vec<usize> = commands.iter().map(Vec::len).collect();
    assert_eq!(lens, [3, many, 1]);
}

#[test]
fn nothing_is_reserved_for_what_is_only_claimed() {
    let mut parser = RequestParser::new();
    let limits = RespLimits {
        arguments_max: u32::MAX,
        argument_bytes_max: u32::MAX,
        command_bytes_max: u32::MAX,
        inline_bytes_max: u32::MAX,
    };
    let claims = b"*4294967295\r\n$4294960000\r\n";
    assert_eq!(parser.parse(claims, &limits), Ok(Progress::Partial));
    let claims = b"*4294967295\r\n$4294967295\r\n";
    let error = RequestParser::new().parse(claims, &limits);
    assert_eq!(
        error,
        Err(ProtocolError::CommandTooLong { limit: u32::MAX })
    );
}

fn encoded(protocol: Protocol, say: impl FnOnce(&mut ReplyEncoder<'_>)) -> String {
    let mut output = Buffer::default();
    output.append(b"before ");
    say(&mut ReplyEncoder::new(&mut output, protocol));
    let text = String::from_utf8(output.data().to_vec()).unwrap();
    text.strip_prefix("before ").unwrap().to_owned()
}

#[test]
fn replies_look_as_the_protocol_says() {
    type Say = fn(&mut ReplyEncoder<'_>);
    let rows: [(Say, &str, &str); 13] = [
        (|r| r.ok(), "+OK\r\n", "+OK\r\n"),
        (|r| r.simple("PONG"), "+PONG\r\n", "+PONG\r\n"),
        (|r| r.simple("a\r\nb\n"), "+a  b \r\n", "+a  b \r\n"),
        (
            |r| r.error("ERR x\r\n+OK"),
            "-ERR x  +OK\r\n",
            "-ERR x  +OK\r\n",
        ),
        (|r| r.error(""), "-\r\n", "-\r\n"),
        (|r| r.integer(-7), ":-7\r\n", ":-7\r\n"),
        (
            |r| r.integer(i64::MIN),
            ":-9223372036854775808\r\n",
            ":-9223372036854775808\r\n",
        ),
        (|r| r.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n"),
        (
            |r| r.bulk(b"0123456789"),
            "$10\r\n0123456789\r\n",
            "$10\r\n0123456789\r\n",
        ),
        (|r| r.null(), "$-1\r\n", "_\r\n"),
        (|r| r.array(12), "*12\r\n", "*12\r\n"),
        (|r| r.map(2), "*4\r\n", "%2\r\n"),
        (|r| r.text("hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
    ];
    for (say, second, third) in rows {
        assert_eq!(encoded(Protocol::Resp2, say), second);
        assert_eq!(encoded(Protocol::Resp3, say), third);
    }
}
