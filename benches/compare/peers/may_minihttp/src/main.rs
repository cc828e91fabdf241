//! may_minihttp with one worker. The first argument is the address.

use std::env::args;
use std::io;

use may_minihttp::{HttpService, HttpServiceFactory, Request, Response};

struct Hello;

impl HttpService for Hello {
    fn call(&mut self, _: Request, response: &mut Response) -> io::Result<()> {
        response.header("Content-Type: text/plain");
        response.body("hello");
        Ok(())
    }
}

struct EachHello;

impl HttpServiceFactory for EachHello {
    type Service = Hello;

    fn new_service(&self, _: usize) -> Hello {
        Hello
    }
}

fn main() -> io::Result<()> {
    let address = args().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    may::config().set_workers(1);
    let server = EachHello.start(address)?;
    server.wait();
    Ok(())
}
