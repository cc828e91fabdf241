//! The machine fails: descriptors, clock, signals, memory.
