//! The primitives that the protocols between threads are built from. Under `--cfg trine_loom` they are
//! those of the model checker loom, which tries every order of events; `.ci/loom` runs the models.

#[cfg(trine_loom)]
pub(crate) use loom::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

#[cfg(not(trine_loom))]
pub(crate) use std::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, Ordering},
};
