//! What all servers are asked and what they answer.

/// The request of a connection that stays: 40 octets, as a client of port 8080 would send it. The
/// port is a part of it so that it is the same for every server.
pub const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// The only request of its connection.
pub const LAST_REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n";

/// The content of every answer.
pub const CONTENT: &[u8] = b"hello";

/// The answer of the floor: what the least of servers must say.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
Content-Type: text/plain\r\n\
Content-Length: 5\r\n\
Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
\r\n\
hello";

/// What trine's server says when the kernel does not let it have an io_uring.
pub const REFUSED: &str = "the kernel refuses io_uring";
