//! Asynchronous I/O by io_uring, which is trine's proactor: the server asks for bytes, and is told when it
//! has them; all that a turn asks for is one system call. Without the feature `io-uring`, or where the
//! kernel refuses it, the proactor emulates it over epoll, and says so.

use std::io::Result;

use trine::proactor::{Listening, Outcome, Pattern, Proactor, ProactorOptions, Socket};
use trine::reactor::StreamListener;
use trine::{Context, Event, EventLoop, EventSource, Next};

use crate::calls::{Calls, Place};

pub fn serve(mut place: Place) -> Result<()> {
    place.prepare();
    let mut events = EventLoop::new()?;
    let proactor = Proactor::new(&mut events, ProactorOptions::default())?;
    let listener = StreamListener::bind_tcp(place.address)?;
    let address = listener.local_address().unwrap_or(place.address);
    let listening = proactor.listen(&mut events.context(), listener)?;
    let is_emulated = proactor.pattern(&mut events.context())? == Pattern::Emulated;
    events
        .insert(Reception {
            proactor,
            listening,
        })
        .map_err(trine::Error::from)?;
    let note = match (is_emulated, cfg!(feature = "io-uring")) {
        (false, _) => "",
        (true, true) => "emulated: the kernel refuses io_uring",
        (true, false) => "emulated: built without the feature io-uring",
    };
    place.open(address, note)?;
    Ok(events.run(&mut place.calls)?)
}

struct Reception {
    proactor: Proactor,
    listening: Listening,
}

impl EventSource<Calls> for Reception {
    fn handle(&mut self, event: Event, _: &mut Calls, cx: &mut Context<'_, Calls>) -> Next {
        let proactor = self.proactor;
        match event {
            Event::Resumed => match proactor.accept_many(cx, &self.listening) {
                Ok(_) => Next::Wait,
                Err(_) => Next::Close,
            },
            Event::Completed(completed) => match proactor.take(cx, completed).map(|d| d.outcome) {
                Some(Outcome::Accepted(socket, _)) => {
                    let _ = cx.insert(Echo { proactor, socket }); // no room: the client is closed
                    Next::Wait
                }
                _ => Next::Close,
            },
            _ => Next::Wait,
        }
    }
}

struct Echo {
    proactor: Proactor,
    socket: Socket,
}

impl Echo {
    fn go_on(&self, event: Event, calls: &Calls, cx: &mut Context<'_, Calls>) -> Option<()> {
        let (proactor, socket) = (self.proactor, &self.socket);
        let Event::Completed(completed) = event else {
            return proactor.receive_chosen(cx, socket).map(drop).ok();
        };
        match proactor.take(cx, completed)?.outcome {
            Outcome::Received(bytes) if bytes.is_empty() => None,
            Outcome::Received(bytes) => {
                count(proactor, calls, cx);
                proactor.send(cx, socket, bytes).map(drop).ok()
            }
            Outcome::Sent(sent) if !sent.rest.is_empty() => {
                proactor.send(cx, socket, sent.rest).map(drop).ok()
            }
            Outcome::Sent(sent) => {
                proactor.recycle(cx, sent.rest);
                proactor.receive_chosen(cx, socket).map(drop).ok()
            }
            _ => None,
        }
    }
}

impl EventSource<Calls> for Echo {
    fn handle(&mut self, event: Event, calls: &mut Calls, cx: &mut Context<'_, Calls>) -> Next {
        match self.go_on(event, calls, cx) {
            Some(()) => Next::Wait,
            None => Next::Close,
        }
    }
}

/// A turn of the loop is one epoll_wait. io_uring tells how often it was entered, and asks for the process
/// id with each operation, as a forked child must not use its parent's ring. Emulated, a round trip is one
/// receive and one send.
fn count(proactor: Proactor, calls: &Calls, cx: &mut Context<'_, Calls>) {
    let turns = cx.metrics().turns;
    match (proactor.pattern(cx), proactor.metrics(cx)) {
        (Ok(Pattern::Emulated), _) => {
            calls.made(2);
            calls.by_loop(turns);
        }
        (_, Ok(metrics)) => calls.by_loop(metrics.enters + metrics.started + turns),
        _ => {}
    }
}
