//! I/O multiplexing by `poll`: a list instead of a set, so there is no highest number. The kernel still
//! gets the whole list each time, and the server still looks through it.

use std::io::Result;
use std::net::TcpStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::calls::Place;
use crate::echo::{Look, accept_all, listen, look};

pub fn serve(place: Place) -> Result<()> {
    place.prepare();
    let listener = listen(place.address)?;
    listener.set_nonblocking(true)?;
    place.open(listener.local_addr()?, "")?;
    let mut clients: Vec<TcpStream> = Vec::new();
    loop {
        let mut list = vec![PollFd::new(&listener, PollFlags::IN)];
        list.extend(
            clients
                .iter()
                .map(|client| PollFd::new(client, PollFlags::IN)),
        );
        place.calls.made(1);
        match poll(&mut list, -1) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let said = list.iter().map(|entry| !entry.revents().is_empty());
        let mut ready = said.collect::<Vec<_>>().into_iter();
        let somebody_came = ready.next() == Some(true);
        clients.retain(|client| {
            ready.next() == Some(false) || look(client, &place.calls) != Look::Over
        });
        if somebody_came {
            clients.extend(accept_all(&listener, &place.calls));
        }
    }
}
