//! The files of httpbin: what is served, and that nothing else is.

mod httpbin_folder;
mod support;

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use support::PATIENCE;
use support::client::get;
use support::program::Folder;

use httpbin_folder::files::Files;
use httpbin_folder::files::root::{Lookup, Root};
use httpbin_folder::{ALPHABET, ask, field, folder, served};

/// Each target with its status and content.
const PATHS: &[(&str, u16, &str)] = &[
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

#[test]
fn no_path_leads_out_of_the_folder_and_none_to_what_is_no_file() {
    let folder = folder("files-traversal");
    let server = served(&folder);
    let mut client = server.client();
    for (target, status, body) in PATHS {
        let answer = ask(&mut client, target, &[]);
        assert_eq!((answer.status, answer.text()), (*status, *body), "{target}");
    }
    let long = format!("/files/{}", "a/".repeat(2_000));
    assert_eq!(ask(&mut client, &long, &[]).status, 404);
    let long = format!("/files/{}", "a".repeat(4_000));
    assert_eq!(ask(&mut client, &long, &[]).status, 404);
}

type Found = Result<&'static str, Errno>;

#[test]
fn both_ways_to_resolve_a_path_stay_inside() {
    let folder = folder("files-lookups");
    // What each gives: the one follows links inside of the folder, the other none.
    let cases: &[(&str, Found, Found)] = &[
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
    assert!(grown < 32 << 20, "{grown} bytes more");
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
    let began = Instant::now();
    assert_eq!(server.client().get("/files/fifo").status, 404);
    assert!(began.elapsed() < PATIENCE / 2);
}
