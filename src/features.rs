//! The features of this crate: documentation only, there is no code here.
//!
//! None is on by default. Each adds to the interface and changes nothing that is there without
//! it, so any of them can be on for another crate's sake.
//!
//! | feature | adds | costs |
//! |---|---|---|
//! | `http-types` | conversions between [`Request`](crate::Request), [`Response`](crate::Response), [`Method`](crate::http::Method), [`Status`](crate::http::Status), [`Version`](crate::http::Version) and the types of the `http` crate | the crate `http` |
//!
//! ```toml
//! trine = { version = "0.1", features = ["http-types"] }
//! ```
