//! The features of this crate: documentation only, there is no code here.
//!
//! Only `durable` is on by default. Each adds to the interface and changes nothing that is there without
//! it, so any of them can be on for another crate's sake.
//!
//! | feature | adds | costs |
//! |---|---|---|
//! | `http-types` | conversions between [`Request`](crate::Request), [`Response`](crate::Response), [`Method`](crate::http::Method), [`Status`](crate::http::Status), [`Version`](crate::http::Version) and the types of the `http` crate | the crate `http` |
//! | `durable` | (default) `storage::durable`: a store on an embedded database, in one file | the crates `redb` and `crc32c` |
//! | `fjall` | `storage::fjall`: a second durable store, for many writes, in a folder | the crate `fjall` with a tree of its own, threads of the engine |
//! | `redis` | Redis Cluster as a [store](crate::storage) for data that outgrow one machine: not consistent under failover, and says so | the crates `redis` (with a tree of its own, ICU by way of URLs) and `crc32c` |
//! | `io-uring` | the [proactor](crate::proactor) on io_uring, emulated where the kernel refuses it | the crate `io-uring` (with `bitflags`, `cfg-if`, `libc`); `unsafe` in one file, `proactor/ring/kernel.rs` |
//! | `systemd` | `systemd`: sockets that systemd opened; READY, RELOADING, STOPPING and the watchdog, fed by the loop | the crates `sd-notify` and `listenfd` |
//! | `privileges` | `privileges`: another user for good, when the sockets are bound | the crate `nix` |
//! | `testing` | `testing`: a simulated machine, to test services under virtual time and faults; the suite that every store must pass | a branch in each call of a socket |
//!
//! ```toml
//! trine = { version = "0.1", features = ["http-types"] }
//! ```
