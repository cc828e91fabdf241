//! Rules of the loop, each a test, on a kernel whose time is virtual.

mod budgets;
mod children;
mod classes;
mod coming_and_going;
mod demultiplexer;
mod drains;
mod fork;
mod inbox;
mod locals;
#[cfg(trine_loom)]
mod loom_wake_ups;
mod metrics;
mod schedule;
mod streams;
mod timers;
mod tokens;
mod virtual_loop;
