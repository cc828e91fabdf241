//! HTTP/1.1: requests in, responses out, as machines that know no socket and no clock.
//!
//! ```text
//!   octets ─> RequestParser ─> Head ─> BodyDecoder ─> Request ─> (service) ─> Response ─> encode
//!                  └── over the line machine ──┘
//! ```
//!
//! Octets go in as they arrive; offsets come out, and the texts stay where they are. Fed whole or
//! octet by octet, a message gives the same result, error or not, for linear work, and nothing is
//! allocated once the table of fields has grown.
//!
//! # What is accepted
//!
//! HTTP/1.1 and 1.0 as RFC 9110 and RFC 9112 write them, and no more. Wherever the RFCs let a
//! server repair, guess or choose, trine refuses, with the status that [`ParseError::status`]
//! names, and the connection ends: somebody in front of us may have guessed otherwise, and the
//! difference is an attack.
//!
//! | part | taken | refused |
//! |---|---|---|
//! | line ends | CR LF | CR or LF alone, NUL and other control octets, folded lines |
//! | request line | one SP between the parts; up to 8 empty lines in front | other white space; a method above 32 octets (501) |
//! | target | visible ASCII without `#`, in the form its method allows | other schemes than http and https, user information |
//! | version | 1.0; 1.1; 1.2 to 1.9 as 1.1 | other major versions (505), HTTP/0.9 |
//! | `Host` | one, valid; none in 1.0; an authority in the target wins | none in 1.1, two, not a host and port, empty with a path |
//! | `Content-Length` | once, digits, below 2^64 | signs, lists, repetitions, with `Transfer-Encoding` |
//! | `Transfer-Encoding` | `chunked` | in 1.0, other codings (501), `chunked` not last, twice or beside an empty element |
//! | `Expect` | `100-continue`; anything in 1.0, ignored | anything else (417) |
//! | chunks | the grammar, extensions included | sizes of 2^63 and more, anything but CR LF behind data |
//! | trailers | valid fields, dropped | what would be refused in a head |
//! | sizes | [`Limits`] | 413, 414, 431 |
//!
//! # Known attacks, and the tests that hold them off
//!
//! The rows of the tables are in `tests/http_cases`.
//!
//! | attack | seen in | what is done | test |
//! |---|---|---|---|
//! | CL.TE, TE.CL: both lengths given | most servers once | refused | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | TE.TE: a coding only one reader knows | hyper, gunicorn, llhttp | exactly `chunked`, all lines taken together | the same |
//! | two lengths, lists, `+5`, empty, overflow | hyper, HAProxy, h2o | digits, once, checked | the same |
//! | chunked in 1.0 | actix, ntex, pingora | refused | the same |
//! | bare CR, LF, NUL that others see as a line end | llhttp, nginx, many | refused by the one line machine | the same |
//! | white space before the colon, folds that hide a field | node, many | refused | the same |
//! | empty field name that ends the list | HAProxy | refused | the same |
//! | two hosts, invalid host, `#` in a target | node, HAProxy | refused | the same |
//! | 0.CL: a body without framing | async-h1, pingora | none has no body; what follows is a request | `a_message_without_framing_has_no_body` |
//! | LF in an extension, two octets behind data | Go, Kestrel, Puma | grammar and CR LF only | `chunks_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | chunk size that overflows | hyper, nginx | below 2^63, checked | the same |
//! | endless extensions, tiny chunks | node, Go, hyper | a limit on each body's overhead | `a_flood_of_tiny_chunks_or_extensions_is_cut_and_small_honest_chunks_are_not` |
//! | trailers that change framing or routing | llhttp | checked and dropped | `chunks_become_one_slice_and_leave_what_follows_untouched` |
//! | a head or line without end | many | limits hold while octets come in | `limits_hold_without_a_line_end_ever_coming` |
//! | octet by octet, to make the parser start over | httparse users | linear, counted | `octet_by_octet_each_octet_is_classified_once` |
//! | a cut where the parser is between two states | httparse forks | every cut gives what the whole gives | `a_head_cut_anywhere_gives_what_the_whole_gives` |
//! | state of one request left for the next | many | nothing is | `nothing_of_one_message_is_left_in_the_next` |
//! | response splitting | many | line ends in fields are refused, not repaired | `what_could_split_a_response_is_refused` |
//!
//! Slow and silent clients are held off by deadlines, not here.

mod authority;
mod block;
mod body;
mod chunk;
mod date;
mod encoder;
mod error;
mod framing;
mod grammar;
mod head;
mod headers;
mod limits;
mod line;
mod method;
mod percent;
mod request;
mod request_line;
mod request_parser;
mod response;
mod status;
#[cfg(feature = "http-types")]
mod types;

pub use body::BodyDecoder;
pub use date::{DateCache, HttpDate};
pub use encoder::{ResponseContext, encode, encode_continue, encode_error};
pub use error::ParseError;
pub use framing::Framing;
pub use head::Head;
pub use limits::Limits;
pub use method::{Method, Version};
pub use percent::SegmentError;
pub use request::{OwnedRequest, Request};
pub use request_parser::{Progress, RequestParser};
pub use response::{FieldError, Response};
pub use status::Status;
#[cfg(feature = "http-types")]
pub use types::ConversionError;
