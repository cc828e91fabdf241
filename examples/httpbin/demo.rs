//! The demonstration: one request for each path.

use std::io;
use std::net::SocketAddr;

use super::support::client::{Client, get};
use super::support::{Timeline, terminate};

pub fn demo(address: SocketAddr, timeline: &Timeline, may_block: bool) -> io::Result<()> {
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
    terminate()
}
