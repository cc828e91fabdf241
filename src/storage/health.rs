//! How a storage unit is, for whoever decides whether to send it work.

use std::sync::{Mutex, PoisonError};

/// Whether a storage unit does its work.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Health {
    /// It is being opened, which may take long after a crash: so many percent are done, as far as
    /// the store says.
    Opening {
        /// 0 to 100.
        percent: u32,
    },
    /// It does.
    Ready,
    /// A part of it is being reopened.
    Reopening,
    /// A part of it takes no more work; its operator is asked.
    Fenced(&'static str),
    /// It could not be opened, or was closed.
    Closed(String),
}

/// How one lane is; written by its thread.
#[derive(Debug)]
pub(super) struct LaneHealth {
    now: Mutex<Health>,
}

impl LaneHealth {
    pub fn new() -> LaneHealth {
        LaneHealth {
            now: Mutex::new(Health::Ready),
        }
    }

    pub fn set(&self, health: Health) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    pub fn get(&self) -> Health {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }
}
