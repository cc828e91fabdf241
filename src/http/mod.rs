//! HTTP/1.1: requests in, responses out, and for whoever asks responses in, as machines that know
//! no socket and no clock.
//!
//! ```text
//!   octets ─> RequestParser ─> Head ─> BodyDecoder ─> Request ─> (service) ─> Response ─> encode
//!                  ├── over the line machine ──┤
//!   octets ─> ResponseParser ─> ResponseHead ─> BodyDecoder ─> ResponseView
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
//! | trailers | valid fields, kept apart | what would be refused in a head |
//! | sizes | [`Limits`] | 413, 414, 431 |
//!
//! # What is accepted of a server
//!
//! Of responses the same is taken and refused in the same lines, fields, chunks and trailers, at
//! the same limits; `Host` and `Expect` mean nothing. What to tell others is not for the parser to
//! say: whoever asked in somebody's name answers 502.
//!
//! | part | taken | refused |
//! |---|---|---|
//! | status line | one SP between the parts, the one in front of an empty phrase too; the phrase of any text, UTF-8 or not | other white space; empty lines in front; no SP behind the code, which RFC 9112, 4 demands of servers |
//! | version | as above | as above |
//! | code | three digits, 100 to 999 | 000 to 099, other lengths |
//! | framing fields | `Content-Length` and `Transfer-Encoding` as above, even where there is no body; anything in a 2xx to CONNECT, ignored (RFC 9110, 9.3.6) | other codings and `chunked` not last, which RFC 9112, 6.3 would read until the end |
//!
//! Where the body ends (RFC 9112, 6.3), the first that applies; the parser is told the method:
//!
//! | response | [`ResponseFraming`] |
//! |---|---|
//! | 101; 2xx to CONNECT | `Tunnel`: what follows is not HTTP |
//! | to HEAD; other 1xx, 204, 304 | `SelfDelimited(None)`, whatever the fields say |
//! | `Transfer-Encoding: chunked` | `SelfDelimited(Chunked)` |
//! | `Content-Length` | `SelfDelimited(Length)`, of 0 `SelfDelimited(None)` |
//! | any other | `UntilClose`, and the connection is not persistent |
//!
//! # Known attacks, and the tests that hold them off
//!
//! What happened to others, by the number it has there, and what is done here. The cases that the
//! tests go through are in `tests/http_cases`; for those nobody thought of there are the fuzz
//! targets `request_parser`, `response_parser`, `chunked_body`, `framing`, `encoder` and
//! `connection`.
//!
//! | Two readers that see different requests | seen in | what is done | test |
//! |---|---|---|---|
//! | CL.TE, TE.CL: both lengths given | actix-http RUSTSEC-2021-0081 | 400, whichever comes first | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | TE.TE: a coding, or one of several lines, that only one reader knows | tiny_http RUSTSEC-2020-0031, hyper RUSTSEC-2021-0020, llhttp CVE-2022-32213, gunicorn CVE-2024-1135 and CVE-2024-6827 | exactly `chunked`, once, all lines taken together; else 400 or 501 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | two lengths, equal or not; a list of them | h2o #3396, actix-web #2767 | 400 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | a length with a sign, blanks, nothing, too many digits | hyper RUSTSEC-2021-0078, node CVE-2018-7159, HAProxy CVE-2023-40225 | digits, checked; else 400 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | chunked in HTTP/1.0 | actix-web #2767, ntex #945, Pingora RUSTSEC-2026-0034 | 400 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | bare CR, LF or NUL that others see as a line end | llhttp CVE-2022-35256, node CVE-2023-30589 | 400, by the one line machine | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | white space before the colon | node CVE-2021-22959 | 400 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | folds, or a space in front, that hide a field | llhttp CVE-2022-32215 and CVE-2024-27982 | 400 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | an empty field name that ends the list | HAProxy CVE-2023-25725 | 400 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | a name longer than the number that counts it | HAProxy CVE-2021-40346 | offsets of 32 bits, nothing is cut | `a_name_or_value_longer_than_16_bits_count_keeps_all_its_octets` |
//! | two hosts, an invalid one | node | 400 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | `#` in a target | HAProxy CVE-2023-45539 | 400 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | 0.CL: a body where no framing says so | hyper RUSTSEC-2020-0008 | there is none; what follows is a request | `a_message_without_framing_has_no_body`, `bytes_behind_a_request_without_a_length_are_the_next_request` |
//! | a body nobody read, taken for a request | async-h1 RUSTSEC-2020-0093, Pingora CVE-2025-4366 | a body is whole before the service is called, or what its exchange leaves is read for nobody or the connection ends | `a_body_belongs_to_its_own_request_alone`, `what_an_early_answer_leaves_unread_is_read_for_nobody_within_limits`, `nothing_of_the_request_is_kept_behind_its_refusal` |
//! | octets behind `Upgrade` or CONNECT that pass unread | Pingora CVE-2026-2833 | no tunnels: they are the next request, or not looked at | `bytes_behind_an_upgrade_that_is_not_taken_are_the_next_request`, `connect_is_refused_before_a_service_could_open_a_false_tunnel` |
//! | requests behind `Connection: close` | node | not looked at, and the answer arrives | `what_follows_a_request_to_close_is_never_looked_at` |
//! | LF or anything in a chunk extension | Go CVE-2025-22871, Kestrel CVE-2025-55315, fasthttp #1899 | the grammar, and CR LF; else 400 | `chunks_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | any two octets behind the data of a chunk, or the last one | Puma CVE-2023-40175 | CR LF; else 400 | `chunks_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | a chunk size that overflows, is empty, or no number | hyper RUSTSEC-2021-0079, nginx CVE-2013-2028 | below 2^63, checked; else 400 | `chunks_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | trailers that change framing, routing or the connection | llhttp | checked and kept apart | `chunks_become_one_slice_and_leave_what_follows_untouched` |
//! | a cut where the parser is between two states | hyper #3811, ntex-httparse | every cut gives what the whole gives | `a_head_cut_anywhere_gives_what_the_whole_gives`, `a_body_cut_anywhere_gives_what_the_whole_gives` |
//! | state of one request left for the next | http-garden | nothing is | `nothing_of_one_message_is_left_in_the_next` |
//!
//! | Answers | seen in | what is done | test |
//! |---|---|---|---|
//! | response splitting by a value | h2o CVE-2016-1133 | line ends in fields are refused, not repaired | `what_could_split_a_response_is_refused` |
//! | framing brought along from another side | proxies | the encoder's alone (feature `http-types`) | `a_response_cannot_bring_its_own_framing_along` |
//! | `%2f`, `%2e%2e`, `%00` in a path | h2o CVE-2015-5638 | segments are split before they are decoded; NUL is an error | `a_path_is_split_at_its_slashes_and_its_segments_are_decoded_after_that` |
//! | octets that make a log line two, or that a terminal obeys | nginx CVE-2009-4487 | an access log has printable ASCII, the rest as `\xNN`, a field at most 1 KiB | `nothing_a_client_sends_makes_a_second_line_or_moves_a_terminal` |
//!
//! | Responses, for whoever asks | seen in | what is done | test |
//! |---|---|---|---|
//! | two lengths, or `chunked` not last: one user is given another's answer | proxies | refused as in a request, body or not | `responses_outside_the_rules_are_refused_by_the_same_rules` |
//! | a body where none can be: HEAD, 204, 304 | proxies | none is taken; what follows is a response or an error | `the_body_is_framed_by_method_status_and_fields` |
//! | a body cut short, taken for whole | many clients | told of the close, the decoder refuses it | `a_connection_that_closes_ends_only_a_body_that_lasts_until_then` |
//! | a body without end | many clients | the same limit as any | `a_body_until_the_close_is_bounded_like_any_other` |
//!
//! | Cost | seen in | what is done | test |
//! |---|---|---|---|
//! | a head or line without end | node CVE-2018-12121, nginx CVE-2009-3896 | limits hold while octets come in | `limits_hold_without_a_line_end_ever_coming` |
//! | octet by octet, to make the parser start over | httparse users | linear, counted | `octet_by_octet_each_octet_is_classified_once`, `chunk_framing_is_classified_once_and_content_not_at_all` |
//! | endless extensions, tiny chunks | node CVE-2024-22019, hyper #3495 | a limit on each body's overhead | `a_flood_of_tiny_chunks_or_extensions_is_cut_and_small_honest_chunks_are_not` |
//! | pipelining without reading | node CVE-2013-4450 | the parser stops at 64 KiB unread | `with_64_kib_unread_no_further_request_is_looked_at`, `a_client_that_pipelines_and_never_reads_stops_the_parser` |
//! | slow head (slowloris), or none | node CVE-2018-12122, hyper #2457 | a deadline for the whole, from accept | `bytes_do_not_extend_the_10_s_of_the_first_head`, `a_connection_that_never_speaks_closes_silently_after_10_s` |
//! | the same on the second request | node CVE-2019-5737, hyper #3780 | the same deadline | `a_later_head_has_10_s_from_its_first_bytes` |
//! | slow body | hyper #2864 | a least rate and a deadline | `a_body_below_500_bytes_a_second_is_cut_after_5_s`, `one_byte_chunks_are_as_slow_as_any_other_body` |
//! | slow read | hyper #3852 | a least rate, then reset | `a_client_that_never_reads_is_reset_after_60_s` |
//! | half-close inside a body, to make the loop spin | hyper #4085 | 400 and close | `a_client_that_closes_inside_a_message_is_told_so_and_not_awaited` |

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
mod head_machine;
mod headers;
mod limits;
mod line;
mod method;
mod percent;
mod request;
mod request_line;
mod request_parser;
mod response;
mod response_head;
mod response_parser;
mod status;
mod status_line;
#[cfg(feature = "http-types")]
mod types;

pub use body::BodyDecoder;
pub use date::{DateCache, HttpDate};
pub(crate) use encoder::{
    CHUNK_OVERHEAD_BYTES_MAX, Content, encode_beginning, encode_chunk, encode_head,
    encode_last_chunk, encode_plain, plain_content,
};
pub use encoder::{ResponseContext, encode, encode_continue, encode_error};
pub use error::ParseError;
pub use framing::{Framing, ResponseFraming};
pub use head::Head;
pub use head_machine::Progress;
pub use headers::Trailers;
pub use limits::Limits;
pub use method::{Method, Version};
pub use percent::SegmentError;
pub use request::{OwnedRequest, Request};
pub use request_parser::RequestParser;
pub use response::{FieldError, Response};
pub use response_head::{ResponseHead, ResponseView};
pub use response_parser::ResponseParser;
pub use status::Status;
#[cfg(feature = "http-types")]
pub use types::ConversionError;
