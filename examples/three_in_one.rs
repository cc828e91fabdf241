//! Sockets, a timer and signals on one loop, with one plain `&mut` state.
//!
//! An echo server that prints every half second what it has done, says on SIGUSR1 whom it serves,
//! and ends on SIGTERM. No lock, no channel, no `Rc`: each callback is lent the state for the
//! length of its call.

mod support;

use std::io::{self, Read};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use signal_hook::{consts::SIGUSR1, low_level::raise};
use support::client::Client;
use support::{Example, Timeline, terminate};
use trine::{EventLoop, Signal, Sources};

const PERIOD: Duration = Duration::from_millis(500);
const GRACE: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Echo {
    bytes: usize,
    periods: u32,
    questions: u32,
}

fn main() -> trine::Result<ExitCode> {
    let about = "Sockets, a timer and signals on one loop: an echo server.";
    let example = Example::from_arguments(about, "127.0.0.1:7000");
    let mut event_loop = EventLoop::new()?;

    let address = event_loop.tcp(example.listen, |echo: &mut Echo, link, bytes| {
        echo.bytes += bytes.len();
        link.write(bytes);
    })?;

    let timeline = example.timeline.clone();
    event_loop.every(PERIOD, move |echo, _, cx| {
        echo.periods += 1;
        let (bytes, sources) = (echo.bytes, cx.sources());
        timeline.note(format_args!(
            "timer:  {bytes} bytes echoed, {sources} sources on the loop"
        ));
    })?;

    let timeline = example.timeline.clone();
    let signals = [Signal::USR1, Signal::TERM, Signal::INT];
    event_loop.signals(signals, move |echo, event, cx| {
        timeline.note(format_args!(
            "signal: {:?} from {:?}",
            event.signal, event.sender
        ));
        match event.signal {
            Signal::USR1 => echo.questions += 1,
            _ if cx.is_draining() => cx.force(),
            _ => cx.drain(GRACE),
        }
    })?;

    example.begin(Some(address), demo);
    let mut echo = Echo::default();
    event_loop.run(&mut echo)?;

    if example.is_demo() {
        example
            .timeline
            .check(echo.bytes == 10, "the state has seen the bytes,");
        example.timeline.check(echo.periods >= 1, "the timer,");
        example
            .timeline
            .check(echo.questions == 1, "and the signal");
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
            format_args!("socket: {echoed} came back"),
        );
    }
    raise(SIGUSR1)?;
    thread::sleep(PERIOD + PERIOD / 2); // see the timer fire
    terminate()?;
    let mut rest = Vec::new();
    client.stream().read_to_end(&mut rest)?;
    timeline.check(rest.is_empty(), "the drain closed the connection");
    Ok(())
}
