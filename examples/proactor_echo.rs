//! An echo server by operations: nothing is ever "ready" here, things are asked for and then done.
//!
//! A source starts to accept, to receive, to send; each completion is an event of the same loop, and
//! brings its memory back. The kernel does the operations by io_uring where it grants that (build with
//! `--features io-uring`), and the reactor emulates it elsewhere: the server is the same.

mod support;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use support::client::Client;
use support::{Example, Timeline, terminate};
use trine::proactor::{Listening, Outcome, Pattern, Proactor, ProactorOptions, Socket};
use trine::reactor::StreamListener;
use trine::{Context, Event, EventLoop, EventSource, Next, Signal, Sources};

const GRACE: Duration = Duration::from_secs(2);

/// Accepts clients for as long as the loop does not drain.
struct Reception {
    proactor: Proactor,
    listening: Listening,
}

impl EventSource<u64> for Reception {
    fn handle(&mut self, event: Event, _: &mut u64, cx: &mut Context<'_, u64>) -> Next {
        if let Event::Resumed = event {
            let started = self.proactor.accept_many(cx, &self.listening);
            return started.map_or(Next::Close, |_| Next::Wait);
        }
        let Event::Completed(completed) = event else {
            return Next::Wait; // the drain: accepting ends as cancelled
        };
        match self.proactor.take(cx, completed).map(|done| done.outcome) {
            Some(Outcome::Accepted(socket, _)) => {
                let proactor = self.proactor;
                let _ = cx.insert(Echo { proactor, socket }); // no room: the client is closed
                Next::Wait
            }
            _ => Next::Close,
        }
    }
}

/// One client: receive, send what came, receive again. Who waits holds no buffer.
struct Echo {
    proactor: Proactor,
    socket: Socket,
}

impl EventSource<u64> for Echo {
    fn handle(&mut self, event: Event, echoed: &mut u64, cx: &mut Context<'_, u64>) -> Next {
        let (proactor, socket) = (self.proactor, &self.socket);
        let started = match event {
            Event::Resumed => proactor.receive_chosen(cx, socket).is_ok(),
            Event::Completed(completed) => match proactor.take(cx, completed).map(|d| d.outcome) {
                Some(Outcome::Received(bytes)) if bytes.is_empty() => false, // it has said all
                Some(Outcome::Received(bytes)) => proactor.send(cx, socket, bytes).is_ok(),
                Some(Outcome::Sent(sent)) => {
                    *echoed += sent.count as u64;
                    if !sent.rest.is_empty() {
                        proactor.send(cx, socket, sent.rest).is_ok()
                    } else {
                        proactor.recycle(cx, sent.rest);
                        proactor.receive_chosen(cx, socket).is_ok()
                    }
                }
                _ => false,
            },
            Event::Drain => false, // an echo owes nothing
            _ => true,
        };
        match started {
            true => Next::Wait,
            false => Next::Close, // drops the handle: what is under way is cancelled
        }
    }
}

fn main() -> trine::Result<ExitCode> {
    let about = "An echo server by operations, on io_uring where the kernel grants it.";
    let more = " [--pattern emulated|io-uring]";
    let mut options = ProactorOptions::default();
    let example = Example::with_flags(about, "127.0.0.1:7001", more, |name, parser| {
        if name != "pattern" {
            return Ok(false);
        }
        options.pattern = match parser.value()?.to_str() {
            Some("emulated") => Pattern::Emulated,
            Some("io-uring") => Pattern::IoUring,
            _ => return Err("--pattern takes emulated or io-uring".into()),
        };
        Ok(true)
    });

    let mut events = EventLoop::new()?;
    let proactor = Proactor::new(&mut events, options)?;
    let listener = StreamListener::bind_tcp(example.listen)?;
    let address = listener.local_address();
    let listening = proactor.listen(&mut events.context(), listener)?;
    let pattern = proactor.pattern(&mut events.context())?;
    events.insert(Reception {
        proactor,
        listening,
    })?;
    events.drain_on_signals([Signal::TERM, Signal::INT], GRACE)?;

    example.begin(address, demo);
    example
        .timeline
        .note(format_args!("operations are done by: {pattern:?}"));
    let mut echoed = 0;
    events.run(&mut echoed)?;
    if example.is_demo() {
        example.timeline.check(
            echoed == 200_010,
            format_args!("{echoed} bytes were echoed"),
        );
    }
    Ok(example.verdict())
}

fn demo(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    for word in ["one\n", "three\n"] {
        client.send(word)?;
        let echoed = client.line()?;
        timeline.check(
            echoed == word.trim_end(),
            format_args!("{echoed} came back"),
        );
    }
    let (mut all, mut stream) = (Vec::new(), client.stream());
    let writing = stream.try_clone()?;
    let writer = std::thread::spawn(move || {
        (&writing).write_all(&[7; 200_000])?;
        writing.shutdown(Shutdown::Write)
    });
    stream.read_to_end(&mut all)?;
    timeline.check(
        all.len() == 200_000,
        "all of 200,000 bytes, and then the end",
    );
    writer
        .join()
        .map_err(|_| io::Error::other("the writer panicked"))??;
    terminate()
}
