//! Drills from outside: hostile clients against the example `httpbin` as a process of its own, while a
//! bystander asks twenty times a second.
//!
//! `.ci/drills` runs them, in release, one after the other. Each prints its figures beside the bar
//! they are held to. What is never allowed fails at once: a bystander without an answer, a cut before its
//! time, a descriptor that stays. Bars that are times of a busy machine are gated at [`LENIENT`] times
//! the bar, or at the bar itself with `TRINE_DRILL_STRICT=1`; `TRINE_DRILL_SCALE=8` takes eight times
//! as many clients, which is the long version.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod bars;
mod bystander;
mod crowd;
mod drill;
mod floods;
mod machine;
mod services;
mod slow;
mod soak;
mod vitals;
