//! The files of httpbin: what is served, in which parts, and that nothing else is.

mod support;

#[path = "../examples/httpbin/files/mod.rs"]
mod files;
#[path = "../examples/httpbin/files/range.rs"]
mod range;
#[path = "../examples/httpbin/files/root.rs"]
mod root;

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;
use support::client::{Answer, Client, get};
use support::program::Folder;
use support::{PATIENCE, Running, start};
use trine::Response;
use trine::http::Request;
use trine::service::{Answered, Exchange, Reply, Service};

use files::Files;
use range::{Part, part};
use root::{Lookup, Root};

/// As httpbin does.
struct Site(Files);

impl Service for Site {
    fn open(&mut self, head: &Request<'_>, (): &mut ()) -> Option<Box<dyn Exchange>> {
        Some(Box::new(self.0.answer(head)))
    }

    fn call(&mut self, _: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
        reply.send(Response::not_found())
    }
}

const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz";

/// A folder with everything in it that should be served, or should not.
fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    let root = folder.path("root");
    let at = |name: &str| format!("{root}/{name}");
    for name in ["sub/deep", "bare", "with space\r\nX-A: b"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    fs::write(folder.path("secret"), "secret").unwrap();
    for (name, text) in [
        ("alphabet.txt", ALPHABET),
        ("empty", ""),
        ("Jörg 100%.txt", "utf-8"),
        ("%2e", "a name of three characters"),
        ("sub/index.html", "<p>index"),
        ("sub/deep/leaf.css", "leaf"),
        (".hidden", "secret"),
        ("back\\slash", "secret"),
    ] {
        fs::write(at(name), text).unwrap();
        let file = File::options().write(true).open(at(name)).unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::new(784_111_777, 123_456_789);
        file.set_modified(then).unwrap();
    }
    for (name, target) in [
        ("inside", "alphabet.txt"),
        ("up", ".."),
        ("out", "../secret"),
        ("absolute", "/etc/passwd"),
        ("sub/round", "../../root/alphabet.txt"),
        ("magic", "/proc/self/root"),
        ("loop", "loop"),
    ] {
        symlink(target, at(name)).unwrap();
    }
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, at("fifo"), FileType::Fifo, mode, 0).unwrap();
    folder
}

fn served(folder: &Folder) -> Running {
    let files = Files::new(Path::new(&folder.path("root"))).unwrap();
    start(|server| server, Site(files))
}

#[track_caller]
fn ask(client: &mut Client, target: &str, fields: &[&str]) -> Answer {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    client.answer()
}

#[test]
fn no_path_leads_out_of_the_folder_and_none_to_what_is_no_file() {
    let cases: &[(&str, u16, &str)] = &[
        ("/files/alphabet.txt", 200, ALPHABET),
        ("/files/alphabet.txt?query=/../", 200, ALPHABET),
        ("http://a/files/alphabet.txt", 200, ALPHABET),
        ("/files/%61lphabet.txt", 200, ALPHABET),
        ("/files/sub/deep/leaf.css", 200, "leaf"),
        ("/files/J%C3%B6rg%20100%25.txt", 200, "utf-8"),
        ("/files/%252e", 200, "a name of three characters"),
        ("/files/empty", 200, ""),
        ("/files/sub/", 200, "<p>index"),
        ("/files/none", 404, "Not Found\n"),
        ("/files/bare/", 404, "Not Found\n"),
        ("/files/", 404, "Not Found\n"),
        // Dots, plain and encoded, at each place.
        ("/files/..", 404, "Not Found\n"),
        ("/files/../secret", 404, "Not Found\n"),
        ("/files/../root/alphabet.txt", 404, "Not Found\n"),
        ("/files/sub/../alphabet.txt", 404, "Not Found\n"),
        ("/files/sub/../../secret", 404, "Not Found\n"),
        ("/files/./alphabet.txt", 404, "Not Found\n"),
        ("/files/%2e%2e/secret", 404, "Not Found\n"),
        ("/files/%2E./secret", 404, "Not Found\n"),
        ("/files/..%2fsecret", 404, "Not Found\n"),
        ("/files/%2e%2e%2fsecret", 404, "Not Found\n"),
        ("/files/%252e%252e/secret", 404, "Not Found\n"),
        ("/files/sub%2fdeep%2fleaf.css", 404, "Not Found\n"),
        ("/files/%2fetc%2fpasswd", 404, "Not Found\n"),
        ("/files//etc/passwd", 404, "Not Found\n"),
        ("/files/sub//index.html", 404, "Not Found\n"),
        ("/files/alphabet.txt/", 404, "Not Found\n"),
        ("/files/alphabet.txt/x", 404, "Not Found\n"),
        // What Windows would take for separators, and what C takes for an end.
        ("/files/..%5csecret", 404, "Not Found\n"),
        ("/files/back%5cslash", 404, "Not Found\n"),
        ("/files/alphabet.txt%00", 400, "Bad Request\n"),
        ("/files/alphabet.txt%00.png", 400, "Bad Request\n"),
        ("/files/%", 400, "Bad Request\n"),
        ("/files/%zz", 400, "Bad Request\n"),
        ("/files/.hidden", 404, "Not Found\n"),
        ("/files/%2ehidden", 404, "Not Found\n"),
        // Links: those that stay inside are followed where the kernel can tell.
        ("/files/out", 404, "Not Found\n"),
        ("/files/up/secret", 404, "Not Found\n"),
        ("/files/up/root/alphabet.txt", 404, "Not Found\n"),
        ("/files/absolute", 404, "Not Found\n"),
        ("/files/sub/round", 404, "Not Found\n"),
        ("/files/magic/etc/passwd", 404, "Not Found\n"),
        ("/files/loop", 404, "Not Found\n"),
        ("/files/fifo", 404, "Not Found\n"),
    ];
    let folder = folder("files-traversal");
    let server = served(&folder);
    let mut client = server.client();
    for (target, status, body) in cases {
        let answer = ask(&mut client, target, &[]);
        assert_eq!((answer.status, answer.text()), (*status, *body), "{target}");
    }
    let long = format!("/files/{}", "a/".repeat(2_000));
    assert_eq!(ask(&mut client, &long, &[]).status, 404);
    let long = format!("/files/{}", "a".repeat(4_000));
    assert_eq!(ask(&mut client, &long, &[]).status, 404);
}

#[test]
fn both_ways_to_resolve_a_path_stay_inside() {
    let folder = folder("files-lookups");
    // What each gives: the one follows links inside of the folder, the other none.
    let cases: &[(&str, Result<&str, Errno>, Result<&str, Errno>)] = &[
        ("alphabet.txt", Ok(ALPHABET), Ok(ALPHABET)),
        ("sub/deep/leaf.css", Ok("leaf"), Ok("leaf")),
        ("inside", Ok(ALPHABET), Err(Errno::LOOP)),
        ("out", Err(Errno::XDEV), Err(Errno::LOOP)),
        ("absolute", Err(Errno::XDEV), Err(Errno::LOOP)),
        ("up/secret", Err(Errno::XDEV), Err(Errno::NOTDIR)),
        ("sub/round", Err(Errno::XDEV), Err(Errno::LOOP)),
        ("magic/etc/passwd", Err(Errno::XDEV), Err(Errno::NOTDIR)),
        ("loop", Err(Errno::LOOP), Err(Errno::LOOP)),
        ("..", Err(Errno::NOENT), Err(Errno::NOENT)),
        ("sub/../../secret", Err(Errno::NOENT), Err(Errno::NOENT)),
        ("sub//deep", Err(Errno::NOENT), Err(Errno::NOENT)),
        ("none/x", Err(Errno::NOENT), Err(Errno::NOENT)),
    ];
    for lookup in [Lookup::Beneath, Lookup::ByComponent] {
        let root = Root::new(Path::new(&folder.path("root"))).unwrap();
        let root = root.with_lookup(lookup);
        for (path, beneath, by_component) in cases {
            let names: Vec<_> = path
                .split('/')
                .map(|name| Cow::from(name.as_bytes()))
                .collect();
            let found = root.open(&names).map(|mut file| {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            });
            let expected = match lookup {
                Lookup::Beneath => beneath,
                Lookup::ByComponent => by_component,
            };
            assert_eq!(
                found.as_deref().map_err(|error| *error),
                *expected,
                "{lookup:?} {path}"
            );
        }
        assert!(root.open(&[]).unwrap().metadata().unwrap().is_dir());
    }
}

#[test]
fn a_folder_that_was_renamed_is_still_the_same_and_one_that_is_none_is_an_error() {
    let folder = folder("files-renamed");
    let server = served(&folder);
    fs::rename(folder.path("root"), folder.path("moved")).unwrap();
    assert_eq!(server.client().get("/files/alphabet.txt").text(), ALPHABET);
    assert!(Files::new(Path::new(&folder.path("root"))).is_err());
    assert!(Files::new(Path::new(&folder.path("secret"))).is_err());
}

#[test]
fn a_folder_without_its_slash_is_redirected_within_this_server() {
    let folder = folder("files-redirect");
    let server = served(&folder);
    let mut client = server.client();
    for (target, location) in [
        ("/files", "/files/"),
        ("/files/sub", "/files/sub/"),
        ("/files/sub/deep", "/files/sub/deep/"),
        ("/files/s%75b?a=//b&c", "/files/sub/?a=//b&c"),
        ("http://evil.test/files/sub", "/files/sub/"),
        (
            "/files/with%20space%0D%0AX-A:%20b",
            "/files/with%20space%0D%0AX%2DA%3A%20b/",
        ),
    ] {
        let answer = ask(&mut client, target, &[]);
        assert_eq!(answer.status, 301, "{target}");
        let location = location.replace("%2D", "-");
        assert!(answer.says(&format!("Location: {location}")), "{answer:?}");
    }
    for target in [
        "/files//evil.test",
        "/files//sub",
        "/files/%2f/sub",
        "/files/%2fevil.test/..",
    ] {
        assert_eq!(ask(&mut client, target, &[]).status, 404, "{target}");
    }
}

/// The value of a field.
fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut lines = answer.head.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

#[test]
fn conditions_are_judged_in_the_order_of_the_rfc() {
    let folder = folder("files-conditions");
    let server = served(&folder);
    let mut client = server.client();
    let first = client.get("/files/alphabet.txt");
    let tag = field(&first, "ETag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert_eq!(field(&first, "Last-Modified"), Some(MODIFIED));
    let cases: &[(&[&str], u16)] = &[
        (&["If-None-Match: TAG"], 304),
        (&["If-None-Match: W/TAG"], 304),
        (&["If-None-Match: *"], 304),
        (&["If-None-Match: \"other\", W/\"a,b\" ,, TAG"], 304),
        (&["If-None-Match: \"other\"", "If-None-Match: TAG"], 304),
        (&["If-None-Match: \"other\""], 200),
        (&["If-None-Match: TA"], 200),
        (&["If-None-Match: \"unfinished"], 200),
        (&["If-None-Match: "], 200),
        (&[&format!("If-Modified-Since: {MODIFIED}")], 304),
        (&[&format!("If-Modified-Since: {AFTER}")], 304),
        (&[&format!("If-Modified-Since: {BEFORE}")], 200),
        (&["If-Modified-Since: yesterday"], 200),
        // The tag decides alone if there is one.
        (
            &[
                "If-None-Match: \"other\"",
                &format!("If-Modified-Since: {AFTER}"),
            ],
            200,
        ),
        (
            &[
                "If-None-Match: TAG",
                &format!("If-Modified-Since: {BEFORE}"),
            ],
            304,
        ),
        (&["If-Match: TAG"], 200),
        (&["If-Match: *"], 200),
        (&["If-Match: \"other\", TAG"], 200),
        (&["If-Match: W/TAG"], 412),
        (&["If-Match: \"other\""], 412),
        (&["If-Match: nonsense"], 412),
        (&[&format!("If-Unmodified-Since: {MODIFIED}")], 200),
        (&[&format!("If-Unmodified-Since: {BEFORE}")], 412),
        (&["If-Unmodified-Since: soon"], 200),
        (
            &["If-Match: TAG", &format!("If-Unmodified-Since: {BEFORE}")],
            200,
        ),
        (&["If-Match: \"other\"", "If-None-Match: TAG"], 412),
        (&["If-Match: TAG", "If-None-Match: TAG"], 304),
    ];
    for (fields, status) in cases {
        let fields: Vec<String> = fields.iter().map(|it| it.replace("TAG", &tag)).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        client.send(format!(
            "GET /files/alphabet.txt HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n",
            fields.join("\r\n")
        ));
        let answer = client.answer();
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

#[test]
fn a_single_range_is_a_part_and_all_else_the_whole_or_416() {
    let folder = folder("files-ranges");
    let server = served(&folder);
    let mut client = server.client();
    let tag = client.get("/files/alphabet.txt");
    let tag = field(&tag, "ETag").unwrap();
    let part = |range: &'static str, text| (vec![format!("Range: {range}")], 206, text);
    let whole = |fields: &[&str]| {
        let fields = fields
            .iter()
            .map(|it| it.replace("TAG", tag))
            .collect::<Vec<_>>();
        (fields, 200, ALPHABET)
    };
    let none = |range: &'static str| {
        (
            vec![format!("Range: {range}")],
            416,
            "Range Not Satisfiable\n",
        )
    };
    let cases = [
        part("bytes=0-0", "a"),
        part("bytes=0-25", ALPHABET),
        part("bytes=24-", "yz"),
        part("bytes=-2", "yz"),
        part("bytes=-99", ALPHABET),
        part("BYTES= 3-4 ", "de"),
        part("bytes=20-99999999999999999999999", "uvwxyz"),
        part("bytes=-18446744073709551616", ALPHABET),
        none("bytes=26-"),
        none("bytes=26-30"),
        none("bytes=-0"),
        none("bytes=18446744073709551615-18446744073709551615"),
        none("bytes=99999999999999999999-"),
        none("bytes=26-, 30-40"),
        whole(&["Range: bytes=0-1,3-4"]),
        whole(&["Range: bytes=4-3"]),
        whole(&["Range: bytes=-"]),
        whole(&["Range: bytes=+1-2"]),
        whole(&["Range: bytes=0x1-2"]),
        whole(&["Range: bytes=1"]),
        whole(&["Range: bytes="]),
        whole(&["Range: lines=0-1"]),
        whole(&["Range: bytes=0-1", "If-Range: \"other\""]),
        whole(&["Range: bytes=0-1", "If-Range: W/TAG"]),
        whole(&["Range: bytes=0-1", &format!("If-Range: {BEFORE}")]),
        whole(&["Range: bytes=0-1", &format!("If-Range: {AFTER}")]),
        whole(&["Range: bytes=0-1", "If-Range: nonsense"]),
        (
            vec!["Range: bytes=0-1".into(), format!("If-Range: {tag}")],
            206,
            "ab",
        ),
        (
            vec!["Range: bytes=0-1".into(), format!("If-Range: {MODIFIED}")],
            206,
            "ab",
        ),
    ];
    for (fields, status, text) in cases {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let answer = ask(&mut client, "/files/alphabet.txt", &fields);
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

#[test]
fn head_has_the_fields_of_get_and_other_methods_are_not_allowed() {
    let folder = folder("files-methods");
    let server = served(&folder);
    let mut client = server.client();
    client.send("HEAD /files/sub/deep/leaf.css HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n");
    let head = client.head();
    assert_eq!(head.status, 200);
    for line in [
        "Content-Length: 4",
        "Content-Type: text/css; charset=utf-8",
        "X-Content-Type-Options: nosniff",
        "Accept-Ranges: bytes",
    ] {
        assert!(head.says(line), "{head:?}");
    }
    let get = client.get("/files/sub/deep/leaf.css");
    assert_eq!(field(&head, "ETag"), field(&get, "ETag"));
    client.send("POST /files/empty HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    let refused = client.answer();
    assert!(
        refused.status == 405 && refused.says("Allow: GET, HEAD"),
        "{refused:?}"
    );
    assert_eq!(client.get("/files/alphabet.txt").text(), ALPHABET); // in step
}

/// A file of so many zeros that takes no room on the disk.
fn sparse(folder: &Folder, len: u64) -> File {
    let file = File::create(folder.path("root/large")).unwrap();
    file.set_len(len).unwrap();
    file
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}

#[test]
fn a_large_file_is_never_whole_in_memory() {
    const LEN: u64 = 4 << 30;
    let folder = folder("files-large");
    sparse(&folder, LEN);
    let server = served(&folder);
    let before = resident_bytes();
    let mut client = server.client();
    client.send(get("/files/large"));
    assert!(client.head().says("Content-Length: 4294967296"));
    for _ in 0..64 {
        client.take(1 << 20);
    }
    std::thread::sleep(Duration::from_millis(50)); // the server fills what the kernel has room for
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
    // Far beyond 32 bits.
    let answer = ask(&mut server.client(), "/files/large", &["Range: bytes=-3"]);
    assert!(
        answer.says("Content-Range: bytes 4294967293-4294967295/4294967296"),
        "{answer:?}"
    );
    assert_eq!(answer.body, [0; 3]);
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_is_cut_off_and_one_that_grows_is_not_longer() {
    const LEN: u64 = 64 << 20;
    let folder = folder("files-changing");
    let server = served(&folder);
    let file = sparse(&folder, LEN);
    let mut client = server.client();
    client.send(get("/files/large"));
    assert!(client.head().says("Content-Length: 67108864"));
    let taken = client.take(1 << 20);
    file.set_len(1 << 20).unwrap();
    let (rest, _) = client.rest();
    assert!(((taken + rest.len()) as u64) < LEN, "it was padded");

    file.set_len(LEN).unwrap();
    let mut client = server.client();
    client.send(get("/files/large"));
    client.head();
    file.set_len(2 * LEN).unwrap();
    let mut left = LEN as usize;
    while left > 0 {
        left -= client.take(left.min(1 << 20));
    }
    assert_eq!(client.get("/files/alphabet.txt").text(), ALPHABET); // in step
}

#[test]
fn nobody_waits_for_a_pipe() {
    let folder = folder("files-pipe");
    let server = served(&folder);
    let began = std::time::Instant::now();
    assert_eq!(server.client().get("/files/fifo").status, 404);
    assert!(began.elapsed() < PATIENCE / 2);
}
