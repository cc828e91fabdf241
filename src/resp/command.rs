//! What a client can ask, out of the arguments of a command.
//!
//! One row for each command: its name, how many arguments it takes, and what reads them.

use super::arguments::Arguments;
use super::command_error::CommandError;
use super::number::integer;
use super::set_options::{self, SetRequest};
use crate::time::Span;

/// A command, with its arguments understood.
#[derive(Debug)]
pub(super) enum Command<'a> {
    Ping {
        message: Option<&'a [u8]>,
    },
    Echo {
        message: &'a [u8],
    },
    Get {
        key: &'a [u8],
    },
    Set(SetRequest<'a>),
    /// `SETNX`: as `SET NX`, answered by a number.
    SetAbsent {
        key: &'a [u8],
        value: &'a [u8],
    },
    GetMany {
        keys: Arguments<'a>,
    },
    /// Keys and values, in turn.
    SetMany {
        pairs: Arguments<'a>,
    },
    Delete {
        keys: Arguments<'a>,
    },
    Exists {
        keys: Arguments<'a>,
    },
    Increment {
        key: &'a [u8],
        by: i64,
    },
    Expire {
        key: &'a [u8],
        expiry: Expiry,
    },
    Persist {
        key: &'a [u8],
    },
    TimeLeft {
        key: &'a [u8],
        unit: Unit,
    },
    Scan(ScanRequest<'a>),
    Hello {
        arguments: Arguments<'a>,
    },
    Client {
        arguments: Arguments<'a>,
    },
    Config {
        arguments: Arguments<'a>,
    },
    Table {
        arguments: Arguments<'a>,
    },
    Info,
    /// The only database there is.
    Select,
    Quit,
}

/// When a value goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expiry {
    /// Never.
    Never,
    /// When the value before it would have gone.
    Kept,
    /// So long from now, in milliseconds.
    After(Span),
    /// In milliseconds since 1970.
    At(u64),
    /// At once.
    Past,
}

/// In what a time is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

impl Unit {
    /// So many of them in milliseconds, if that can be said.
    pub fn in_millis(self, count: i64) -> Option<i64> {
        match self {
            Unit::Seconds => count.checked_mul(1_000),
            Unit::Milliseconds => Some(count),
        }
    }
}

/// One page of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ScanRequest<'a> {
    pub cursor: u64,
    pub pattern: Option<&'a [u8]>,
    pub count: u32,
    /// Whether only values of another type than ours are meant: there are none.
    pub is_of_other_type: bool,
}

/// Keys looked at for one page at most.
const SCAN_COUNT_MAX: i64 = 1_000;

type Parse = for<'a> fn(Arguments<'a>) -> Result<Command<'a>, CommandError>;

/// How many arguments a command takes, its name included.
#[derive(Clone, Copy)]
enum Arity {
    Exactly(usize),
    AtLeast(usize),
}
use Arity::{AtLeast, Exactly};

/// The most frequent first.
const TABLE: [(&str, Arity, Parse); 33] = [
    ("get", Exactly(2), |a| Ok(Command::Get { key: a.at(1) })),
    ("set", AtLeast(3), |a| set_options::set(a).map(Command::Set)),
    ("mget", AtLeast(2), |a| {
        Ok(Command::GetMany { keys: a.from(1) })
    }),
    ("mset", AtLeast(3), set_many),
    ("del", AtLeast(2), |a| {
        Ok(Command::Delete { keys: a.from(1) })
    }),
    ("incr", Exactly(2), |a| Ok(increment(a, 1))),
    ("decr", Exactly(2), |a| Ok(increment(a, -1))),
    ("incrby", Exactly(3), |a| Ok(increment(a, number(a.at(2))?))),
    ("decrby", Exactly(3), |a| {
        let by = number(a.at(2))?.checked_neg();
        Ok(increment(a, by.ok_or(CommandError::DecrementOverflow)?))
    }),
    ("exists", AtLeast(2), |a| {
        Ok(Command::Exists { keys: a.from(1) })
    }),
    ("expire", AtLeast(3), |a| expire(a, "expire", Unit::Seconds)),
    ("pexpire", AtLeast(3), |a| {
        expire(a, "pexpire", Unit::Milliseconds)
    }),
    ("expireat", AtLeast(3), |a| {
        expire_at(a, "expireat", Unit::Seconds)
    }),
    ("pexpireat", AtLeast(3), |a| {
        expire_at(a, "pexpireat", Unit::Milliseconds)
    }),
    ("persist", Exactly(2), |a| {
        Ok(Command::Persist { key: a.at(1) })
    }),
    ("ttl", Exactly(2), |a| Ok(time_left(a, Unit::Seconds))),
    ("pttl", Exactly(2), |a| Ok(time_left(a, Unit::Milliseconds))),
    ("setex", Exactly(4), |a| {
        set_options::set_expiring(a, "setex", Unit::Seconds)
    }),
    ("psetex", Exactly(4), |a| {
        set_options::set_expiring(a, "psetex", Unit::Milliseconds)
    }),
    ("setnx", Exactly(3), |a| {
        let (key, value) = (a.at(1), a.at(2));
        Ok(Command::SetAbsent { key, value })
    }),
    ("getset", Exactly(3), |a| Ok(set_options::get_and_set(a))),
    ("unlink", AtLeast(2), |a| {
        Ok(Command::Delete { keys: a.from(1) })
    }),
    ("scan", AtLeast(2), scan),
    ("ping", AtLeast(1), ping),
    ("echo", Exactly(2), |a| {
        Ok(Command::Echo { message: a.at(1) })
    }),
    ("hello", AtLeast(1), |a| {
        Ok(Command::Hello {
            arguments: a.from(1),
        })
    }),
    ("client", AtLeast(2), |a| {
        Ok(Command::Client {
            arguments: a.from(1),
        })
    }),
    ("config", AtLeast(2), |a| {
        Ok(Command::Config {
            arguments: a.from(1),
        })
    }),
    ("command", AtLeast(1), |a| {
        Ok(Command::Table {
            arguments: a.from(1),
        })
    }),
    ("info", AtLeast(1), |_| Ok(Command::Info)),
    ("select", Exactly(2), select),
    ("auth", AtLeast(2), |_| Err(CommandError::NoPassword)),
    ("quit", AtLeast(1), |_| Ok(Command::Quit)),
];

/// Commands of Redis that programs try although they may be missing.
const UNSUPPORTED: [&str; 24] = [
    "multi",
    "exec",
    "discard",
    "watch",
    "unwatch",
    "subscribe",
    "unsubscribe",
    "psubscribe",
    "punsubscribe",
    "ssubscribe",
    "publish",
    "spublish",
    "eval",
    "eval_ro",
    "evalsha",
    "script",
    "function",
    "fcall",
    "keys",
    "dbsize",
    "flushdb",
    "flushall",
    "monitor",
    "shutdown",
];

/// What browsers and other HTTP clients begin with. Whoever can make one talk to us would speak in
/// the name of its user.
const OF_HTTP: [&str; 2] = ["post", "host:"];

impl<'a> Command<'a> {
    /// How many there are.
    pub const COUNT: usize = TABLE.len();

    /// Reads the arguments of a command, of which there is at least one.
    pub fn parse(arguments: Arguments<'a>) -> Result<Command<'a>, CommandError> {
        let name = arguments.at(0);
        let is_it = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        let Some((name, arity, parse)) = TABLE.iter().find(|(known, ..)| is_it(known)) else {
            return Err(if OF_HTTP.into_iter().any(is_it) {
                CommandError::Http
            } else {
                match UNSUPPORTED.into_iter().find(|known| is_it(known)) {
                    Some(name) => CommandError::Unsupported(name),
                    None => CommandError::unknown(arguments),
                }
            });
        };
        let fits = match *arity {
            Exactly(count) => arguments.len() == count,
            AtLeast(count) => arguments.len() >= count,
        };
        match fits {
            true => parse(arguments),
            false => Err(CommandError::Arity(name)),
        }
    }
}

/// The number that an argument is.
pub(super) fn number(argument: &[u8]) -> Result<i64, CommandError> {
    integer(argument).ok_or(CommandError::NotAnInteger)
}

fn ping(arguments: Arguments<'_>) -> Result<Command<'_>, CommandError> {
    match arguments.len() {
        1 | 2 => Ok(Command::Ping {
            message: arguments.get(1),
        }),
        _ => Err(CommandError::Arity("ping")),
    }
}

fn set_many(arguments: Arguments<'_>) -> Result<Command<'_>, CommandError> {
    match arguments.len() % 2 {
        1 => Ok(Command::SetMany {
            pairs: arguments.from(1),
        }),
        _ => Err(CommandError::Arity("mset")),
    }
}

fn increment(arguments: Arguments<'_>, by: i64) -> Command<'_> {
    Command::Increment {
        key: arguments.at(1),
        by,
    }
}

fn time_left(arguments: Arguments<'_>, unit: Unit) -> Command<'_> {
    Command::TimeLeft {
        key: arguments.at(1),
        unit,
    }
}

fn expire<'a>(
    arguments: Arguments<'a>,
    name: &'static str,
    unit: Unit,
) -> Result<Command<'a>, CommandError> {
    expire_with(arguments, name, unit, |millis| {
        Expiry::After(Span::from_millis(millis))
    })
}

fn expire_at<'a>(
    arguments: Arguments<'a>,
    name: &'static str,
    unit: Unit,
) -> Result<Command<'a>, CommandError> {
    expire_with(arguments, name, unit, Expiry::At)
}

fn expire_with<'a>(
    arguments: Arguments<'a>,
    name: &'static str,
    unit: Unit,
    expiry: fn(u64) -> Expiry,
) -> Result<Command<'a>, CommandError> {
    let count = number(arguments.at(2))?;
    if let Some(option) = arguments.get(3) {
        return Err(CommandError::UnsupportedOption(option.into()));
    }
    let millis = unit.in_millis(count);
    let millis = millis.ok_or(CommandError::InvalidExpiry(name))?;
    Ok(Command::Expire {
        key: arguments.at(1),
        expiry: match u64::try_from(millis) {
            Ok(millis @ 1..) => expiry(millis),
            _ => Expiry::Past,
        },
    })
}

fn scan(arguments: Arguments<'_>) -> Result<Command<'_>, CommandError> {
    let cursor = std::str::from_utf8(arguments.at(1));
    let cursor = cursor.ok().and_then(|digits| digits.parse().ok());
    let mut request = ScanRequest {
        cursor: cursor.ok_or(CommandError::InvalidCursor)?,
        pattern: None,
        count: 10,
        is_of_other_type: false,
    };
    let mut rest = arguments.from(2);
    while let Some(option) = rest.get(0) {
        let value = rest.get(1).ok_or(CommandError::Syntax)?;
        if option.eq_ignore_ascii_case(b"match") {
            request.pattern = Some(value);
        } else if option.eq_ignore_ascii_case(b"count") {
            match number(value)? {
                count @ 1.. => request.count = count.min(SCAN_COUNT_MAX) as u32,
                _ => return Err(CommandError::Syntax),
            }
        } else if option.eq_ignore_ascii_case(b"type") {
            request.is_of_other_type = !value.eq_ignore_ascii_case(b"string");
        } else {
            return Err(CommandError::Syntax);
        }
        rest = rest.from(2);
    }
    Ok(Command::Scan(request))
}

fn select(arguments: Arguments<'_>) -> Result<Command<'_>, CommandError> {
    match number(arguments.at(1))? {
        0 => Ok(Command::Select),
        _ => Err(CommandError::NoSuchDatabase),
    }
}
