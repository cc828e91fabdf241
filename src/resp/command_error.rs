//! Why a command is not done, in the words of Redis where Redis has them.

use std::fmt;

use super::arguments::Arguments;
use crate::storage::Fault;

/// One variant for each thing that can be wrong with a command. The connection goes on after all of
/// them but [`CommandError::Http`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum CommandError {
    /// The name and the first arguments, in quotes.
    Unknown {
        name: String,
        arguments: String,
    },
    UnknownSubcommand {
        name: String,
        of: &'static str,
    },
    /// Redis has it.
    Unsupported(&'static str),
    UnsupportedOption(Box<[u8]>),
    Arity(&'static str),
    Syntax,
    NotAnInteger,
    Overflow,
    DecrementOverflow,
    InvalidExpiry(&'static str),
    InvalidCursor,
    NoSuchDatabase,
    NoPassword,
    ProtocolVersion,
    ClientName,
    /// Other clients wrote the key each time between our read and our write.
    Contended,
    /// An HTTP client was made to talk to us: the connection closes without a word.
    Http,
    /// What the store says.
    Store(Fault),
}

/// Bytes of a name, and of all arguments together, that an error repeats.
const SHOWN_MAX: usize = 128;

impl CommandError {
    #[cold]
    pub fn unknown(arguments: Arguments<'_>) -> CommandError {
        let mut shown = String::new();
        for argument in arguments.from(1).iter() {
            let Some(room @ 1..) = SHOWN_MAX.checked_sub(shown.len()) else {
                break;
            };
            shown += &format!("'{}' ", cut(argument, room));
        }
        CommandError::Unknown {
            name: cut(arguments.at(0), SHOWN_MAX),
            arguments: shown,
        }
    }

    #[cold]
    pub fn unknown_subcommand(name: &[u8], of: &'static str) -> CommandError {
        let name = cut(name, SHOWN_MAX);
        CommandError::UnknownSubcommand { name, of }
    }
}

fn cut(text: &[u8], room: usize) -> String {
    String::from_utf8_lossy(&text[..text.len().min(room)]).into_owned()
}

impl From<Fault> for CommandError {
    fn from(fault: Fault) -> CommandError {
        CommandError::Store(fault)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Unknown { name, arguments } => write!(
                f,
                "ERR unknown command '{name}', with args beginning with: {arguments}"
            ),
            CommandError::UnknownSubcommand { name, of } => {
                write!(f, "ERR unknown subcommand '{name}'. Try {of} HELP.")
            }
            CommandError::Unsupported(name) => {
                write!(f, "ERR command '{name}' is not supported by this server")
            }
            CommandError::UnsupportedOption(option) => {
                write!(f, "ERR Unsupported option {}", cut(option, SHOWN_MAX))
            }
            CommandError::Arity(name) => {
                write!(f, "ERR wrong number of arguments for '{name}' command")
            }
            CommandError::InvalidExpiry(name) => {
                write!(f, "ERR invalid expire time in '{name}' command")
            }
            CommandError::Store(fault) => store(fault, f),
            other => f.write_str(other.text()),
        }
    }
}

impl CommandError {
    /// Those that always say the same.
    fn text(&self) -> &'static str {
        match self {
            CommandError::Syntax => "ERR syntax error",
            CommandError::NotAnInteger => "ERR value is not an integer or out of range",
            CommandError::Overflow => "ERR increment or decrement would overflow",
            CommandError::DecrementOverflow => "ERR decrement would overflow",
            CommandError::InvalidCursor => "ERR invalid cursor",
            CommandError::NoSuchDatabase => "ERR DB index is out of range",
            CommandError::NoPassword => {
                "ERR AUTH <password> called without any password configured for the default \
                 user. Are you sure your configuration is correct?"
            }
            CommandError::ProtocolVersion => "NOPROTO unsupported protocol version",
            CommandError::ClientName => {
                "ERR Client names cannot contain spaces, newlines or special characters."
            }
            CommandError::Contended => "TRYAGAIN others write this key all the time",
            _ => "ERR",
        }
    }
}

/// The first word says whether the write may have happened, and what helps: see
/// [`Fault`].
fn store(fault: &Fault, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match fault {
        Fault::Refused(why) => write!(f, "ERR {why}"),
        Fault::Retry { why, .. } => write!(f, "TRYAGAIN {why}"),
        Fault::Unknown(why) => write!(f, "UNKNOWN whether it was done: {why}"),
        Fault::Corrupt => f.write_str("CORRUPT the stored value fails its checksum"),
        Fault::Fenced(why) => write!(f, "FENCED the store takes no more work: {why}"),
    }
}
