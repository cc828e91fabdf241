//! Parts of the files of httpbin, and whether a client needs them: conditional requests and ranges.

mod httpbin_folder;
mod support;

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use support::client::{Answer, Client};

use httpbin_folder::files::range::{Part, part};
use httpbin_folder::{ALPHABET, ask, field, folder, served};

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

/// Asks for the alphabet with these fields, in which the tag and the dates are written.
#[track_caller]
fn ask_with(client: &mut Client, fields: &[&str], tag: &str) -> Answer {
    let written = fields.iter().map(|field| {
        let field = field.replace("TAG", tag).replace("MODIFIED", MODIFIED);
        field.replace("BEFORE", BEFORE).replace("AFTER", AFTER)
    });
    let written: Vec<String> = written.collect();
    let fields: Vec<&str> = written.iter().map(String::as_str).collect();
    ask(client, "/files/alphabet.txt", &fields)
}

/// Fields, with what stands for the tag and the dates of the file, and the status.
const CONDITIONS: &[(&[&str], u16)] = &[
    (&["If-None-Match: TAG"], 304),
    (&["If-None-Match: W/TAG"], 304),
    (&["If-None-Match: *"], 304),
    (&["If-None-Match: \"other\", W/\"a,b\" ,, TAG"], 304),
    (&["If-None-Match: \"other\"", "If-None-Match: TAG"], 304),
    (&["If-None-Match: \"other\""], 200),
    (&["If-None-Match: TA"], 200),
    (&["If-None-Match: \"unfinished"], 200),
    (&["If-None-Match: "], 200),
    (&["If-Modified-Since: MODIFIED"], 304),
    (&["If-Modified-Since: AFTER"], 304),
    (&["If-Modified-Since: BEFORE"], 200),
    (&["If-Modified-Since: yesterday"], 200),
    // The tag decides alone if there is one.
    (
        &["If-None-Match: \"other\"", "If-Modified-Since: AFTER"],
        200,
    ),
    (&["If-None-Match: TAG", "If-Modified-Since: BEFORE"], 304),
    (&["If-Match: TAG"], 200),
    (&["If-Match: *"], 200),
    (&["If-Match: \"other\", TAG"], 200),
    (&["If-Match: W/TAG"], 412),
    (&["If-Match: \"other\""], 412),
    (&["If-Match: nonsense"], 412),
    (&["If-Unmodified-Since: MODIFIED"], 200),
    (&["If-Unmodified-Since: BEFORE"], 412),
    (&["If-Unmodified-Since: soon"], 200),
    (&["If-Match: TAG", "If-Unmodified-Since: BEFORE"], 200),
    (&["If-Match: \"other\"", "If-None-Match: TAG"], 412),
    (&["If-Match: TAG", "If-None-Match: TAG"], 304),
];

#[test]
fn conditions_are_judged_in_the_order_of_the_rfc() {
    let folder = folder("files-conditions");
    let server = served(&folder);
    let mut client = server.client();
    let first = client.get("/files/alphabet.txt");
    let tag = field(&first, "ETag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert_eq!(field(&first, "Last-Modified"), Some(MODIFIED));
    for (fields, status) in CONDITIONS {
        let answer = ask_with(&mut client, fields, &tag);
        assert_eq!(answer.status, *status, "{fields:?}");
        if *status == 304 {
            assert_eq!(field(&answer, "ETag"), Some(&tag[..]));
            assert_eq!(
                (field(&answer, "Content-Length"), answer.body.len()),
                (None, 0)
            );
        }
    }
}

#[test]
fn a_file_that_changes_has_another_tag_and_one_that_just_changed_a_weak_one() {
    let folder = folder("files-tags");
    let server = served(&folder);
    let mut client = server.client();
    let path = folder.path("root/alphabet.txt");
    let tag = |client: &mut Client| {
        let answer = client.get("/files/alphabet.txt");
        field(&answer, "ETag").unwrap().to_owned()
    };
    let first = tag(&mut client);
    assert_eq!(first, tag(&mut client));
    fs::write(&path, ALPHABET.to_uppercase()).unwrap();
    let second = tag(&mut client);
    assert!(
        second.starts_with("W/\"") && second[2..] != first,
        "{first} {second}"
    );
    let if_range = format!("If-Range: {second}");
    assert_eq!(
        ask(
            &mut client,
            "/files/alphabet.txt",
            &["Range: bytes=0-1", &if_range]
        )
        .status,
        200
    );
    assert_eq!(
        ask(
            &mut client,
            "/files/alphabet.txt",
            &[&format!("If-Match: {second}")]
        )
        .status,
        412
    );
    // Dates that HTTP cannot write, or that are to come.
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH - Duration::from_secs(5))
        .unwrap();
    assert_eq!(
        field(&client.get("/files/alphabet.txt"), "Last-Modified"),
        None
    );
    file.set_modified(SystemTime::now() + Duration::from_secs(100_000))
        .unwrap();
    let answer = client.get("/files/alphabet.txt");
    assert!(
        field(&answer, "Last-Modified") <= field(&answer, "Date"),
        "{answer:?}"
    );
}

/// Fields, as above, with the status and the content.
const RANGES: &[(&[&str], u16, &str)] = &[
    (&["Range: bytes=0-0"], 206, "a"),
    (&["Range: bytes=0-25"], 206, ALPHABET),
    (&["Range: bytes=24-"], 206, "yz"),
    (&["Range: bytes=-2"], 206, "yz"),
    (&["Range: bytes=-99"], 206, ALPHABET),
    (&["Range: BYTES= 3-4 "], 206, "de"),
    (&["Range: bytes=20-99999999999999999999999"], 206, "uvwxyz"),
    (&["Range: bytes=-18446744073709551616"], 206, ALPHABET),
    (&["Range: bytes=26-"], 416, NONE),
    (&["Range: bytes=26-30"], 416, NONE),
    (&["Range: bytes=-0"], 416, NONE),
    (
        &["Range: bytes=18446744073709551615-18446744073709551615"],
        416,
        NONE,
    ),
    (&["Range: bytes=99999999999999999999-"], 416, NONE),
    (&["Range: bytes=26-, 30-40"], 416, NONE),
    (&["Range: bytes=0-1,3-4"], 200, ALPHABET),
    (&["Range: bytes=4-3"], 200, ALPHABET),
    (&["Range: bytes=-"], 200, ALPHABET),
    (&["Range: bytes=+1-2"], 200, ALPHABET),
    (&["Range: bytes=0x1-2"], 200, ALPHABET),
    (&["Range: bytes=1"], 200, ALPHABET),
    (&["Range: bytes="], 200, ALPHABET),
    (&["Range: lines=0-1"], 200, ALPHABET),
    (&["Range: bytes=0-1", "If-Range: \"other\""], 200, ALPHABET),
    (&["Range: bytes=0-1", "If-Range: W/TAG"], 200, ALPHABET),
    (&["Range: bytes=0-1", "If-Range: BEFORE"], 200, ALPHABET),
    (&["Range: bytes=0-1", "If-Range: AFTER"], 200, ALPHABET),
    (&["Range: bytes=0-1", "If-Range: nonsense"], 200, ALPHABET),
    (&["Range: bytes=0-1", "If-Range: TAG"], 206, "ab"),
    (&["Range: bytes=0-1", "If-Range: MODIFIED"], 206, "ab"),
];
const NONE: &str = "Range Not Satisfiable\n";

#[test]
fn a_single_range_is_a_part_and_all_else_the_whole_or_416() {
    let folder = folder("files-ranges");
    let server = served(&folder);
    let mut client = server.client();
    let tag = client.get("/files/alphabet.txt");
    let tag = field(&tag, "ETag").unwrap();
    for &(fields, status, text) in RANGES {
        let answer = ask_with(&mut client, fields, tag);
        assert_eq!((answer.status, answer.text()), (status, text), "{fields:?}");
        let range = field(&answer, "Content-Range");
        match status {
            206 => {
                let start = ALPHABET.find(text).unwrap();
                let expected = format!("bytes {start}-{}/26", start + text.len() - 1);
                assert_eq!(range, Some(&expected[..]), "{fields:?}");
            }
            416 => assert_eq!(range, Some("bytes */26")),
            _ => assert_eq!(range, None),
        }
    }
    let many = format!("Range: bytes=0-{}", ",0-".repeat(3_000));
    assert_eq!(
        ask(&mut client, "/files/alphabet.txt", &[&many]).text(),
        ALPHABET
    );
    assert_eq!(
        ask(&mut client, "/files/empty", &["Range: bytes=0-"]).status,
        200
    );
}

#[test]
fn no_range_reaches_past_the_end_or_overflows() {
    let numbers = [0, 1, 2, 25, 26, u64::MAX - 1, u64::MAX];
    for len in numbers {
        for first in numbers {
            for last in numbers {
                let texts = [
                    format!("bytes={first}-{last}"),
                    format!("bytes={first}-"),
                    format!("bytes=-{last}"),
                ];
                for text in texts {
                    if let Part::Bytes(bytes) = part(text.as_bytes(), len) {
                        assert!(
                            bytes.start < bytes.end && bytes.end <= len,
                            "{text} of {len}"
                        );
                    }
                }
            }
        }
    }
    assert_eq!(
        part(b"bytes=-1", u64::MAX),
        Part::Bytes(u64::MAX - 1..u64::MAX)
    );
}
