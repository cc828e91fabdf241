//! I/O multiplexing by epoll, which is trine's loop: a socket is made known once, and a wait names those
//! that are ready and no others.

use std::io::Result;

use trine::{EventLoop, Sources};

use crate::calls::{Calls, Place};

pub fn serve(mut place: Place) -> Result<()> {
    place.prepare();
    let mut events = EventLoop::new()?;
    let address = events.tcp(place.address, |calls: &mut Calls, link, bytes| {
        link.write(bytes);
        calls.made(2); // the loop has received it, and sends it
        calls.by_loop(link.context().metrics().turns); // each with one epoll_wait
    })?;
    place.open(address, "")?;
    Ok(events.run(&mut place.calls)?)
}
