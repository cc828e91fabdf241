//! The demonstration: a client that writes, reads, lists, and is told what is wrong.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use super::support::client::{Answer, Client};
use super::support::{Timeline, terminate};

pub fn demo(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    wait_until_ready(address)?;
    let mut client = Client::connect(address)?;
    let created = put(&mut client, "/kv/colour", "", "red")?;
    timeline.check(created.status == 201, "PUT creates, and is on the disk");
    let tag = created.field("ETag").unwrap_or_default();
    timeline.note(format_args!("its version is {tag}"));
    let value = client.get("/kv/colour")?;
    timeline.check(value.body == "red", "GET gives it back");
    let if_match = format!("If-Match: {tag}\r\n");
    let changed = put(&mut client, "/kv/colour", &if_match, "green")?;
    timeline.check(changed.status == 204, "PUT with If-Match replaces it");
    let stale = put(&mut client, "/kv/colour", &if_match, "blue")?;
    timeline.check(stale.status == 412, "but not a version that was replaced");
    timeline.note(stale.body.trim_end());
    let taken = put(&mut client, "/kv/colour", "If-None-Match: *\r\n", "blue")?;
    timeline.check(taken.status == 412, "nor create what is there");
    for shape in ["circle", "square", "star"] {
        put(&mut client, &format!("/kv/shape%2F{shape}"), "", "?")?;
    }
    let (pages, keys) = list(&mut client, timeline)?;
    let says = format!("three keys, in {pages} pages of two at most");
    timeline.check(keys == ["circle", "square", "star"] && pages >= 2, says);
    let short = put(&mut client, "/kv/short?ttl=1", "", "!")?;
    timeline.check(short.status == 201, "a value for a second");
    client.send("DELETE /kv/colour HTTP/1.1\r\nHost: demo\r\n\r\n")?;
    timeline.check(client.answer()?.status == 204, "DELETE removes");
    timeline.check(client.get("/kv/colour")?.status == 404, "and it is gone");
    let bad = put(&mut client, "/kv/x?ttl=soon", "", "")?;
    timeline.note(bad.body.trim_end());
    timeline.check(bad.status == 400, "a mistake is told in a sentence");
    thread::sleep(Duration::from_millis(1100));
    let gone = client.get("/kv/short")?.status;
    timeline.check(gone == 404, "the second is over");
    let metrics = client.get("/metrics")?.body;
    timeline.check(metrics.contains("kv_ready 1"), "/metrics counts");
    terminate()
}

fn wait_until_ready(address: SocketAddr) -> io::Result<()> {
    while Client::connect(address)?.get("/readyz")?.status != 200 {
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// How many pages there are, and what follows the prefix in their keys, sorted.
fn list(client: &mut Client, timeline: &Timeline) -> io::Result<(usize, Vec<String>)> {
    let (mut after, mut pages, mut keys) = (String::new(), 0, Vec::new());
    loop {
        let page = client
            .get(&format!("/kv?prefix=shape%2F&limit=2{after}"))?
            .body;
        timeline.note(page.trim_end());
        pages += 1;
        let found = page.split("\"key\":\"shape%2F").skip(1);
        keys.extend(found.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        match page
            .split_once("\"next\":\"")
            .and_then(|(_, rest)| rest.split_once('"'))
        {
            Some((next, _)) => after = format!("&after={next}"),
            None => break,
        }
    }
    keys.sort();
    Ok((pages, keys))
}

fn put(client: &mut Client, target: &str, fields: &str, body: &str) -> io::Result<Answer> {
    let length = body.len();
    client.send(&format!(
        "PUT {target} HTTP/1.1\r\nHost: demo\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    ))?;
    client.answer()
}
