//! The features of this crate: documentation only, there is no code here.
//!
//! Only `durable` is on by default. Each adds to the interface and changes nothing that is there without
//! it, so any of them can be on for another crate's sake.
//!
//! | feature | adds | costs |
//! |---|---|---|
//! | `http-types` | conversions between [`Request`](crate::Request), [`Response`](crate::Response), [`Method`](crate::http::Method), [`Status`](crate::http::Status), [`Version`](crate::http::Version) and the types of the `http` crate | the crate `http` |
//! | `durable` | (default) the durable store on an embedded database, for [`storage`](crate::storage) | the crates `redb` and `crc32c` |
//! | `fjall` | a second durable store, for many writes | the crate `fjall` with a tree of its own |
//! | `redis` | Redis Cluster as a store | the crate `redis` with a tree of its own |
//! | `testing` | `testing`: a simulated machine, to test services under virtual time and faults; the suite that every store must pass | a branch in each call of a socket |
//!
//! ```toml
//! trine = { version = "0.1", features = ["http-types"] }
//! ```
