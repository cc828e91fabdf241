//! What a client is told of what came of its request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use trine::Response;
use trine::http::Status;
use trine::storage::{Entry, Outcome, Page, Reply, Revision};

use super::ask::{Tags, Wish};
use super::json::quoted;
use super::problem::Problem;

/// The answer to `outcome`, of a request that wished for `wish`.
pub fn answer(wish: &Wish, is_ordered: bool, outcome: Outcome) -> Response {
    match (outcome, wish) {
        (Ok(Reply::Got(Some(entry))), Wish::Value { tags }) => value(&entry, tags),
        (Ok(Reply::Got(None)), Wish::Value { tags }) if tags.must_match.is_some() => {
            Problem::changed(None).response()
        }
        (Ok(Reply::Got(_)), _) => Problem::no_such_key().response(),
        (Ok(Reply::Written(written)), _) => {
            let status = match written.replaced {
                true => Status::NO_CONTENT,
                false => Status::CREATED,
            };
            with(Response::new(status), "ETag", tag(written.revision))
        }
        (Ok(Reply::Deleted(true)), _) => Response::new(Status::NO_CONTENT),
        (Ok(Reply::Deleted(false)), _) => Problem::no_such_key().response(),
        (Ok(Reply::Conflict(present)), _) => Problem::changed(present).response(),
        (Ok(Reply::Page(found)), Wish::Page { prefix }) => page(&found, prefix, is_ordered),
        (Ok(Reply::Page(_)), _) => Problem::no_such_key().response(),
        (Err(fault), _) => Problem::of(fault).response(),
    }
}

fn value(entry: &Entry, tags: &Tags) -> Response {
    let names = |tag: &super::ask::Tag| tag.names(entry.revision);
    if tags.must_match.as_ref().is_some_and(|tag| !names(tag)) {
        return Problem::changed(Some(entry.revision)).response();
    }
    let response = match tags.has.as_ref().is_some_and(names) {
        true => Response::new(Status::NOT_MODIFIED),
        false => Response::bytes(entry.value.clone()),
    };
    with(response, "ETag", tag(entry.revision))
}

/// A page of keys as JSON. Keys are percent-encoded, as they are in a path; values are in base64.
fn page(page: &Page, prefix: &[u8], is_ordered: bool) -> Response {
    let entries = page.entries.iter();
    let entries = entries.filter(|entry| entry.key.starts_with(prefix));
    let entries: Vec<String> = entries.map(described).collect();
    // Of an ordered store it is the last key that was looked at; `after` takes either.
    let next = page.next.as_ref().map(|next| match page.entries.last() {
        Some(last) if is_ordered => encoded(&last.key),
        _ => encoded(next),
    });
    let next = next.map_or("null".to_owned(), |next| quoted(&next));
    let json = format!("{{\"keys\":[{}],\"next\":{next}}}\n", entries.join(","));
    let json = Response::bytes(json);
    with(json, "Content-Type", "application/json".to_owned())
}

fn described(entry: &Entry) -> String {
    let mut json = format!(
        "{{\"key\":{},\"etag\":{}",
        quoted(&encoded(&entry.key)),
        quoted(&tag(entry.revision))
    );
    if let Some(expires) = entry.expires {
        json += &format!(",\"expires_unix_ms\":{expires}");
    }
    if !entry.value.is_empty() {
        json += &format!(",\"value\":\"{}\"", STANDARD.encode(&entry.value));
    }
    json + "}"
}

fn encoded(octets: &[u8]) -> String {
    const PLAIN: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    percent_encode(octets, PLAIN).to_string()
}

/// The entity tag of a value.
pub fn tag(revision: Revision) -> String {
    format!("\"{revision}\"")
}

/// `response` with a field that is ours, and so is one.
pub fn with(response: Response, name: &'static str, value: String) -> Response {
    let with = response.with_field(name, value);
    with.unwrap_or_else(|error| Response::text(error.to_string()))
}
