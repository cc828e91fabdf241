//! Panics of code that is not ours, once they are caught: what they say, and how to be rid of what they
//! carry, which may panic in turn.
//!
//! No rule of the language helps against a panic that meets another on its way (a value that panics
//! when it is dropped while a panic unwinds): that ends the process. A second one that comes when the
//! first is caught does not, and is caught here.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops what a panic carried, even if that panics in turn.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

/// Drops a value that is not ours. Whether that went well.
pub(crate) fn dropped<T>(value: T) -> bool {
    let result = catch_unwind(AssertUnwindSafe(|| drop(value)));
    result.map_err(discard).is_ok()
}

/// What a panic says, if it says something.
pub(crate) fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}
