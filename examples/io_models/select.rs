//! I/O multiplexing by `select`: the set of descriptors is built, copied in, filled, copied out and looked
//! through, each time, up to the highest number in it. It has room for numbers below FD_SETSIZE, 1,024,
//! only; a client beyond that is told so and closed.

use std::io::{Result, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::sys::select::{FD_SETSIZE, FdSet, select};

use crate::calls::Place;
use crate::echo::{Look, accept_all, listen, look};

pub fn serve(place: Place) -> Result<()> {
    place.prepare();
    let listener = listen(place.address)?;
    listener.set_nonblocking(true)?;
    place.open(listener.local_addr()?, "")?;
    let mut clients: Vec<TcpStream> = Vec::new();
    loop {
        let mut set = FdSet::new();
        set.insert(listener.as_fd());
        clients.iter().for_each(|client| set.insert(client.as_fd()));
        place.calls.made(1);
        match select(None, &mut set, None, None, None) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let is_ready = |client: &TcpStream| set.contains(client.as_fd());
        let mut ready = clients.iter().map(is_ready).collect::<Vec<_>>().into_iter();
        let somebody_came = set.contains(listener.as_fd());
        clients.retain(|client| {
            ready.next() == Some(false) || look(client, &place.calls) != Look::Over
        });
        if somebody_came {
            let came = accept_all(&listener, &place.calls).into_iter();
            clients.extend(came.filter(has_room));
        }
    }
}

/// Whether a set has room for it; if not, it is told.
fn has_room(mut client: &TcpStream) -> bool {
    let fits = client.as_raw_fd() < FD_SETSIZE as i32;
    if !fits {
        let sorry = format!("full: select knows {FD_SETSIZE} descriptors\n");
        let _ = client.write_all(sorry.as_bytes());
    }
    fits
}
