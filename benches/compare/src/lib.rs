//! The loopback comparison: servers that answer `hello`, measured in turn with one client.
//!
//! ```text
//!   flags ─> rows x workloads ─> builds ─> rounds of ─┬─ server: started, pinned, watched
//!                                                     ├─ verify: its answers, read with care
//!                                                     └─ client: blind, counts octets
//!                                              └─> summary ─> results ─> table, chart ─> document
//! ```
//!
//! `cargo run --release --manifest-path benches/compare/Cargo.toml -- --help` says how to run it. The
//! servers are programs of their own: the floor and trine in `src/bin`, the peers in `peers`, and what
//! is installed on the machine (`installed.rs`). Another server, or another of trine's models, is a
//! line of `rows.rs`. What a figure means stands in `document.rs`, and above the tables.

pub mod constants;

pub mod workload;

pub mod rows;

pub mod flags;

pub mod builds;

pub mod installed;

pub mod processors;

pub mod process;

pub mod server;

pub mod verify;

pub mod client;

pub mod measure;

pub mod summary;

pub mod results;

pub mod table;

pub mod chart;

pub mod document;
