//! Blocking I/O: a thread for each client, which waits in `read`. The simplest to write; every waiting
//! client costs a thread, and every round trip a switch to it.

use std::io::{Read, Result, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::calls::{Calls, Place};
use crate::echo::listen;

pub fn serve(place: Place) -> Result<()> {
    place.prepare();
    let listener = listen(place.address)?;
    place.open(listener.local_addr()?, "")?;
    loop {
        place.calls.made(2); // accept, and the option
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(10)); // out of descriptors
            continue;
        };
        let calls = place.calls.clone();
        let thread = thread::Builder::new().stack_size(64 * 1024);
        let _ = thread.spawn(move || echo(stream, &calls)); // none left: the client is closed
    }
}

fn echo(mut stream: TcpStream, calls: &Calls) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = [0; 4096];
    loop {
        let arrived = stream.read(&mut bytes)?;
        if arrived == 0 {
            return Ok(());
        }
        stream.write_all(&bytes[..arrived])?;
        calls.made(2);
    }
}
