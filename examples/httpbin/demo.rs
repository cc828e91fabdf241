//! The demonstration: one request for each path.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::flags::OwnFlags;

use super::support::client::{Client, get};
use super::support::{Timeline, terminate};

/// Makes a folder to serve files from, with a log beside it. Gives where it is.
pub fn prepare(own: &mut OwnFlags) -> io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("trine-httpbin-{}", std::process::id()));
    fs::create_dir_all(folder.join("root/sub"))?;
    fs::write(
        folder.join("root/alphabet.txt"),
        "abcdefghijklmnopqrstuvwxyz",
    )?;
    fs::write(folder.join("secret.txt"), "secret")?;
    own.root = Some(folder.join("root"));
    own.access_log = Some(folder.join("access.log"));
    Ok(folder)
}

/// Asks for everything, and ends the server.
pub fn demo(
    address: SocketAddr,
    timeline: &Timeline,
    may_block: bool,
    folder: Option<&Path>,
) -> io::Result<()> {
    tour(address, timeline, may_block)?;
    if let Some(folder) = folder {
        serve_files(address, timeline)?;
        read_log(folder, timeline)?;
        fs::remove_dir_all(folder)?;
    }
    terminate()
}

fn serve_files(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    let whole = client.get("/files/alphabet.txt")?;
    timeline.check(whole.body.len() == 26, "/files/alphabet.txt is a file");
    let ask =
        |field: &str| format!("GET /files/alphabet.txt HTTP/1.1\r\nHost: demo\r\n{field}\r\n\r\n");
    client.send(&ask("Range: bytes=-3"))?;
    let part = client.answer()?;
    let says = part.says("Content-Range: bytes 23-25/26");
    timeline.check(
        part.status == 206 && part.body == "xyz" && says,
        "its last three octets",
    );
    client.send(&ask(&format!(
        "If-None-Match: {}",
        whole.field("ETag").unwrap_or_default()
    )))?;
    timeline.check(client.answer()?.status == 304, "nothing, if we have it");
    let outside = client.get("/files/%2e%2e/secret.txt")?;
    timeline.check(outside.status == 404, "and nothing outside of its folder");
    let moved = client.get("/files/sub")?;
    timeline.check(moved.says("Location: /files/sub/"), "a folder has a slash");
    let spawned = client.get("/spawn")?;
    timeline.note(spawned.body.trim_end());
    // What whoever started us left open is no business of ours; what the server opened is.
    let ours = ["socket:", "anon_inode:", "access.log"];
    let is_leaked = ours.iter().any(|kind| spawned.body.contains(kind));
    let is_well = spawned.status == 200 && !is_leaked;
    timeline.check(is_well, "/spawn gives a child no descriptor of the server");
    Ok(())
}

/// Lines come a moment later than answers.
fn read_log(folder: &Path, timeline: &Timeline) -> io::Result<()> {
    let mut log = String::new();
    for _ in 0..100 {
        log = fs::read_to_string(folder.join("access.log"))?;
        if log.contains("GET /spawn ") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let last = log.lines().last().unwrap_or_default();
    timeline.check(last.contains("\"GET /spawn HTTP/1.1\" 200 "), last);
    Ok(())
}

fn tour(address: SocketAddr, timeline: &Timeline, may_block: bool) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    timeline.check(client.get("/hello")?.body == "hello", "/hello says hello");
    client.send("PUT /anything/x?y=1 HTTP/1.1\r\nHost: demo\r\nContent-Length: 3\r\n\r\nabc")?;
    let described = client.answer()?.body;
    timeline.note(described.trim_end());
    let expected = "\"method\":\"PUT\",\"target\":\"/anything/x?y=1\",\"version\":\"1.1\"";
    timeline.check(
        described.contains(expected),
        "/anything tells what was sent",
    );
    timeline.check(
        described.contains("\"body_len\":3,\"body_fnv1a64\":\"e71fa2190541574b\""),
        "and what its body was",
    );
    client.send("POST /echo HTTP/1.1\r\nHost: demo\r\nContent-Length: 5\r\n\r\n12345")?;
    timeline.check(
        client.answer()?.body == "12345",
        "/echo sends the body back",
    );
    let octets = client.get("/bytes/300000")?.body;
    timeline.check(octets.len() == 300_000, "/bytes/300000 has that length");
    timeline.check(
        client.get("/status/418")?.status == 418,
        "/status/418 has that status",
    );
    let value = client.get("/response-header?v=a%20b")?;
    timeline.check(value.says("X-Value: a b"), "/response-header sets a field");
    let split = client.get("/response-header?v=a%0d%0aX-More:%20b")?;
    timeline.check(split.status == 400, "but not two");
    timeline.check(
        client.get("/delay/50")?.body == "later",
        "/delay/50 came later",
    );
    let metrics = client.get("/metrics")?.body;
    let counted = "http_server_overload_rung 0\n";
    timeline.check(metrics.contains(counted), "/metrics counts");
    let slept = client.get("/sleep/50")?;
    let expected = if may_block { 200 } else { 501 };
    timeline.check(
        slept.status == expected,
        format_args!("/sleep/50 blocks a worker, or nobody: {}", slept.body),
    );
    client.send("CONNECT demo:80 HTTP/1.1\r\nHost: demo:80\r\n\r\n")?;
    timeline.check(client.answer()?.status == 501, "there are no tunnels");

    let mut client = Client::connect(address)?;
    client.send(&get("/stream/3").replace("HTTP/1.1", "HTTP/1.0"))?;
    let streamed = client.rest()?;
    timeline.check(
        streamed.ends_with("\r\n\r\nchunk 0\nchunk 1\nchunk 2\n"),
        "/stream/3 has no chunks for a client of 1.0",
    );
    let mut client = Client::connect(address)?;
    timeline.check(
        client.get("/panic")?.status == 500,
        "/panic harms nobody else",
    );
    Ok(())
}
