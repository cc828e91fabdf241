//! What a client asks for, as an operation of the store.

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use trine::http::{Method, Request};
use trine::storage::{Condition, Durability, Operation, Revision};
use trine::time::Span;

use super::problem::Problem;

/// Entries of a page, if the client does not say; and at most.
const PAGE: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// What to do, and what the answer depends on besides.
pub struct Ask {
    pub operation: Operation,
    pub durability: Option<Durability>,
    pub wish: Wish,
}

/// How the outcome is answered.
pub enum Wish {
    /// The value, if what the client knows of it says so.
    Value { tags: Tags },
    /// That it was written or deleted.
    Done,
    /// A page of keys that begin with this.
    Page { prefix: Bytes },
}

/// What a reader says of the versions it knows.
#[derive(Default)]
pub struct Tags {
    /// It wants no other.
    pub must_match: Option<Tag>,
    /// It has these already.
    pub has: Option<Tag>,
}

/// One or more entity tags (RFC 9110, 8.8.3).
pub enum Tag {
    Any,
    /// Those of them that are ours, and whether that is all of them.
    Revisions(Vec<Revision>),
}

impl Tag {
    /// Whether it names a value with this revision.
    pub fn names(&self, revision: Revision) -> bool {
        match self {
            Tag::Any => true,
            Tag::Revisions(revisions) => revisions.contains(&revision),
        }
    }
}

/// The operation on one key: `/kv/KEY`.
pub fn on_key(request: &Request<'_>, key: &str) -> Result<Ask, Problem> {
    let key = octets(key);
    if key.is_empty() {
        return Err(Problem::bad("empty_key", "The key is empty: /kv/KEY."));
    }
    match request.method() {
        Method::Get | Method::Head => {
            let tags = tags(request)?;
            Parameters::of(request, &[])?;
            Ok(Ask {
                operation: Operation::Get { key },
                durability: None,
                wish: Wish::Value { tags },
            })
        }
        Method::Put => put(request, key),
        Method::Delete => {
            let parameters = Parameters::of(request, &["durability"])?;
            Ok(Ask {
                operation: Operation::Delete {
                    key,
                    condition: condition(request)?,
                },
                durability: parameters.durability()?,
                wish: Wish::Done,
            })
        }
        _ => Err(Problem::method("GET, HEAD, PUT, DELETE")),
    }
}

fn put(request: &Request<'_>, key: Bytes) -> Result<Ask, Problem> {
    let parameters = Parameters::of(request, &["ttl", "durability"])?;
    let ttl = match parameters.number("ttl")? {
        Some(0) => return Err(Problem::bad("bad_ttl", "A ttl is 1 second at least.")),
        seconds => seconds.map(Span::from_secs),
    };
    Ok(Ask {
        operation: Operation::Put {
            key,
            value: Bytes::copy_from_slice(request.body()),
            ttl,
            condition: condition(request)?,
        },
        durability: parameters.durability()?,
        wish: Wish::Done,
    })
}

/// One page of keys: `/kv?prefix=&after=&limit=`.
pub fn page(request: &Request<'_>, is_ordered: bool) -> Result<Ask, Problem> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return Err(Problem::method("GET, HEAD"));
    }
    let parameters = Parameters::of(request, &["prefix", "after", "limit", "values"])?;
    let prefix = parameters.octets("prefix").unwrap_or_default();
    let from = match parameters.octets("after") {
        None => prefix.clone(),
        // Of a store without order it is where it said that the next page begins.
        Some(token) if !is_ordered => token,
        Some(key) => prefix.clone().max(successor(&key)),
    };
    let limit = parameters.number("limit")?.unwrap_or(PAGE.into());
    let keys_only = match parameters.octets("values").as_deref() {
        None | Some(b"false") => true,
        Some(b"true") => false,
        Some(_) => return Err(Problem::bad("bad_values", "values is true or false.")),
    };
    match u32::try_from(limit) {
        Ok(limit @ 1..=PAGE_MAX) => Ok(Ask {
            operation: Operation::Scan {
                from,
                until: end_of(&prefix),
                limit,
                keys_only,
            },
            durability: None,
            wish: Wish::Page { prefix },
        }),
        _ => Err(Problem::bad("bad_limit", "A limit is from 1 to 1000.")),
    }
}

/// The first key behind `key`.
fn successor(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}

/// The first key behind all that begin with `prefix`; none if there is no such key.
fn end_of(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|octet| *octet < 0xFF)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

/// What must hold for a write (RFC 9110, 13.1.1 and 13.1.2).
fn condition(request: &Request<'_>) -> Result<Condition, Problem> {
    let Tags { must_match, has } = tags(request)?;
    match (must_match, has) {
        (None, None) => Ok(Condition::Any),
        (None, Some(Tag::Any)) => Ok(Condition::Absent),
        (Some(Tag::Any), None) => Ok(Condition::Present),
        (Some(Tag::Revisions(revisions)), None) => match revisions[..] {
            [] => Err(Problem::changed(None)), // none of ours: it cannot be the present one
            [revision] => Ok(Condition::Revision(revision)),
            _ => Err(Problem::bad(
                "many_tags",
                "If-Match takes one entity tag here.",
            )),
        },
        _ => Err(Problem::bad(
            "bad_condition",
            "A write takes If-Match, or If-None-Match: *.",
        )),
    }
}

/// A version that must match is not named by a weak tag; one that is known already is (RFC 9110, 8.8.3.2).
fn tags(request: &Request<'_>) -> Result<Tags, Problem> {
    Ok(Tags {
        must_match: tag(request, "If-Match", Compare::Strongly)?,
        has: tag(request, "If-None-Match", Compare::Weakly)?,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    Strongly,
    Weakly,
}

/// The tags of all fields called `name`: more than one line is one list (RFC 9110, 5.3).
fn tag(request: &Request<'_>, name: &str, how: Compare) -> Result<Option<Tag>, Problem> {
    let bad = || Problem::bad("bad_tag", "An entity tag is a number between quotes, or *.");
    let fields = request.fields();
    let lines = fields.filter(|(other, _)| other.eq_ignore_ascii_case(name));
    let lines: Vec<&[u8]> = lines.map(|(_, value)| value).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let text = lines.join(&b',');
    let text = std::str::from_utf8(&text).map_err(|_| bad())?.trim();
    if text == "*" {
        return Ok(Some(Tag::Any));
    }
    let mut revisions = Vec::new();
    for tag in text.split(',').map(str::trim) {
        let strong = tag.strip_prefix("W/").unwrap_or(tag);
        let inner = strong
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let inner = inner.ok_or_else(bad)?;
        if how == Compare::Weakly || strong == tag {
            revisions.extend(revision(inner));
        }
    }
    Ok(Some(Tag::Revisions(revisions)))
}

/// Another's tag is no mistake; it is just not that of any value here. Nor is ours, spelled otherwise.
fn revision(tag: &str) -> Option<Revision> {
    let revision: Revision = tag.parse().ok()?;
    (revision.to_string() == tag).then_some(revision)
}

/// Any octets from a percent-encoded text.
fn octets(text: &str) -> Bytes {
    percent_decode_str(text).collect::<Vec<u8>>().into()
}

/// What stands behind the `?`.
struct Parameters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parameters<'a> {
    /// Only those in `known` may be there, each once.
    fn of(request: &Request<'a>, known: &[&str]) -> Result<Parameters<'a>, Problem> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        let query = request.query().unwrap_or_default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) || pairs.iter().any(|(other, _)| *other == name) {
                let known = match known {
                    [] => "There are no parameters here.".to_owned(),
                    _ => format!("The parameters are {}, each once.", known.join(", ")),
                };
                return Err(Problem::bad("bad_parameter", known));
            }
            pairs.push((name, value));
        }
        Ok(Parameters(pairs))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| *value)
    }

    fn octets(&self, name: &str) -> Option<Bytes> {
        self.text(name).map(octets)
    }

    fn number(&self, name: &'static str) -> Result<Option<u64>, Problem> {
        let parsed = self.text(name).map(str::parse).transpose();
        parsed.map_err(|_| Problem::bad("bad_number", format!("{name} is not a number.")))
    }

    fn durability(&self) -> Result<Option<Durability>, Problem> {
        self.text("durability").map(durability).transpose()
    }
}

fn durability(text: &str) -> Result<Durability, Problem> {
    Ok(match text {
        "memory" => Durability::Memory,
        "os" => Durability::Os,
        "synced" => Durability::Synced,
        "replicated" => Durability::Replicated(1),
        _ => {
            let known = "durability is memory, os, synced or replicated.";
            return Err(Problem::bad("bad_durability", known));
        }
    })
}
