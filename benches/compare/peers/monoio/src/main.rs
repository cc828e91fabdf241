//! monoio (io_uring where the kernel has it, else epoll) with the codec of monoio-http. The first
//! argument is the address.

use std::env::args;
use std::io;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, DATE, HeaderMap};
use monoio::io::Splitable;
use monoio::io::sink::SinkExt;
use monoio::io::stream::Stream;
use monoio::net::{TcpListener, TcpStream};
use monoio_http::common::response::Response;
use monoio_http::h1::codec::decoder::RequestDecoder;
use monoio_http::h1::codec::encoder::GenericEncoder;
use monoio_http::h1::payload::{FixedPayload, Payload};

#[monoio::main]
async fn main() -> io::Result<()> {
    let address = args().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    let listener = TcpListener::bind(address)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        monoio::spawn(serve(stream));
    }
}

/// Ends when the client leaves, asks for it, or sends what is no request.
async fn serve(stream: TcpStream) {
    let (reader, writer) = stream.into_split();
    let mut receiver = RequestDecoder::new(reader);
    let mut sender = GenericEncoder::new(writer);
    while let Some(Ok(request)) = receiver.next().await {
        let closes = closes(request.headers());
        if sender.send_and_flush(hello()).await.is_err() || closes {
            return;
        }
    }
}

fn closes(headers: &HeaderMap) -> bool {
    let value = headers.get(CONNECTION);
    value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

fn hello() -> Response {
    http::Response::builder()
        .header(CONTENT_TYPE, "text/plain")
        .header(DATE, httpdate::fmt_http_date(SystemTime::now()))
        .body(Payload::Fixed(FixedPayload::new(Bytes::from_static(
            b"hello",
        ))))
        .expect("each part of it is valid")
}
