//! The demonstration: a client that writes, reads, lists, and is told what is wrong.

use std::io;
use std::net::SocketAddr;

use super::support::client::{Answer, Client};
use super::support::{Timeline, terminate};

pub fn demo(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    let ready = loop {
        let answer = client.get("/readyz")?;
        if answer.status != 503 {
            break answer.status;
        }
    };
    timeline.check(ready == 200, "the store is open");
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
    let page = client.get("/kv?prefix=shape%2F&limit=2")?;
    timeline.note(page.body.trim_end());
    let both = page.body.contains("shape%2Fcircle") && page.body.contains("shape%2Fsquare");
    timeline.check(both && !page.body.contains("star"), "a page of two keys");
    let rest = client.get("/kv?prefix=shape%2F&limit=2&after=shape%2Fsquare")?;
    timeline.check(rest.body.contains("star"), "and the page after it");
    let short = put(&mut client, "/kv/short?ttl=1", "", "!")?;
    timeline.check(short.status == 201, "a value for a second");
    client.send("DELETE /kv/colour HTTP/1.1\r\nHost: demo\r\n\r\n")?;
    timeline.check(client.answer()?.status == 204, "DELETE removes");
    timeline.check(client.get("/kv/colour")?.status == 404, "and it is gone");
    let bad = put(&mut client, "/kv/x?ttl=soon", "", "")?;
    timeline.note(bad.body.trim_end());
    timeline.check(bad.status == 400, "a mistake is told in a sentence");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let gone = client.get("/kv/short")?.status;
    timeline.check(gone == 404, "the second is over");
    let metrics = client.get("/metrics")?.body;
    timeline.check(metrics.contains("kv_ready 1"), "/metrics counts");
    terminate()
}

fn put(client: &mut Client, target: &str, fields: &str, body: &str) -> io::Result<Answer> {
    let length = body.len();
    client.send(&format!(
        "PUT {target} HTTP/1.1\r\nHost: demo\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    ))?;
    client.answer()
}
