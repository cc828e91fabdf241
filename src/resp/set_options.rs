//! `SET` and its relatives: conditions, times to live, and what is answered.

use super::arguments::Arguments;
use super::command::{Command, Expiry, Unit, number};
use super::command_error::CommandError;
use crate::time::Span;

/// A value to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SetRequest<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub expiry: Expiry,
    pub when: When,
    /// Whether the value before it is what is answered.
    pub returns_old: bool,
}

/// Whether there has to be a value before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    Always,
    Absent,
    Present,
}

/// `SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT seconds | PXAT milliseconds |
/// KEEPTTL]`.
pub(super) fn set(arguments: Arguments<'_>) -> Result<SetRequest<'_>, CommandError> {
    let mut request = plain(arguments.at(1), arguments.at(2));
    let mut rest = arguments.from(3);
    while let Some(option) = rest.get(0) {
        rest = rest.from(1);
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("nx") && request.when != When::Present {
            request.when = When::Absent;
        } else if is("xx") && request.when != When::Absent {
            request.when = When::Present;
        } else if is("get") {
            request.returns_old = true;
        } else if request.expiry != Expiry::Never {
            return Err(CommandError::Syntax); // a second one, or nothing we know
        } else if is("keepttl") {
            request.expiry = Expiry::Kept;
        } else {
            let (unit, is_absolute) = match () {
                () if is("ex") => (Unit::Seconds, false),
                () if is("px") => (Unit::Milliseconds, false),
                () if is("exat") => (Unit::Seconds, true),
                () if is("pxat") => (Unit::Milliseconds, true),
                () => return Err(CommandError::Syntax),
            };
            let value = rest.get(0).ok_or(CommandError::Syntax)?;
            rest = rest.from(1);
            let millis = positive_millis(value, unit, "set")?;
            request.expiry = match is_absolute {
                true => Expiry::At(millis),
                false => Expiry::After(Span::from_millis(millis)),
            };
        }
    }
    Ok(request)
}

/// `SETEX key seconds value` and `PSETEX key milliseconds value`.
pub(super) fn set_expiring<'a>(
    arguments: Arguments<'a>,
    name: &'static str,
    unit: Unit,
) -> Result<Command<'a>, CommandError> {
    let millis = positive_millis(arguments.at(2), unit, name)?;
    Ok(Command::Set(SetRequest {
        expiry: Expiry::After(Span::from_millis(millis)),
        ..plain(arguments.at(1), arguments.at(3))
    }))
}

/// `GETSET key value`.
pub(super) fn get_and_set(arguments: Arguments<'_>) -> Command<'_> {
    Command::Set(SetRequest {
        returns_old: true,
        ..plain(arguments.at(1), arguments.at(2))
    })
}

fn plain<'a>(key: &'a [u8], value: &'a [u8]) -> SetRequest<'a> {
    SetRequest {
        key,
        value,
        expiry: Expiry::Never,
        when: When::Always,
        returns_old: false,
    }
}

fn positive_millis(value: &[u8], unit: Unit, name: &'static str) -> Result<u64, CommandError> {
    let count = number(value)?;
    match unit.in_millis(count).map(u64::try_from) {
        Some(Ok(millis @ 1..)) => Ok(millis),
        _ => Err(CommandError::InvalidExpiry(name)),
    }
}
