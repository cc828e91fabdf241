//! Non-blocking I/O, polled: asks every socket, again and again. It never waits, so it uses a whole CPU
//! also when nobody says anything.

use std::io::Result;

use crate::calls::Place;
use crate::echo::{Look, accept_all, listen, look};

pub fn serve(place: Place) -> Result<()> {
    place.prepare();
    let listener = listen(place.address)?;
    listener.set_nonblocking(true)?;
    place.open(listener.local_addr()?, "")?;
    let mut clients = Vec::new();
    loop {
        clients.extend(accept_all(&listener, &place.calls));
        clients.retain(|client| look(client, &place.calls) != Look::Over);
    }
}
