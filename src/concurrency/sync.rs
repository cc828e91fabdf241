//! The primitives that the protocols between threads are built from. Under `--cfg loom` they are
//! those of the model checker, which tries every order of events.

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};

#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
