//! A chat by lines: a protocol of its own on byte streams, with broadcast and slow readers.
//!
//! The first line of a client is its name, every other one goes to all. An unfinished line is not
//! consumed, so it comes again with what follows it. Who does not read piles up bytes: more than
//! `output_max` of them end the connection, and nobody else waits for it.
//!
//! Try it: `nc 127.0.0.1 7001` in two terminals.

mod support;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use support::client::Client;
use support::{Example, Timeline, terminate};
use trine::reactor::{
    Context, Link, StreamEnd, StreamHandler, StreamListener, StreamOptions, write_to,
};
use trine::slab::Token;
use trine::time::Span;
use trine::{EventLoop, Signal, Sources};

const OPTIONS: StreamOptions = StreamOptions {
    connections_max: 1_000,
    input_max: 4 * 1024, // the longest line
    output_high: 64 * 1024,
    output_max: 256 * 1024,
    idle: Span::from_secs(3600),
    write_window: Span::from_secs(5),
    write_least: 2_500,
};

/// The names of those who have said one.
type Room = HashMap<Token, String>;

struct Chat;

impl StreamHandler<Room> for Chat {
    fn opened(&mut self, link: &mut Link<'_, '_, Room>, _: &mut Room) {
        link.write(b"* your name?\n");
    }

    fn received(&mut self, bytes: &[u8], link: &mut Link<'_, '_, Room>, room: &mut Room) -> usize {
        let mut consumed = 0;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if !line.ends_with(b"\n") {
                break; // it comes again, longer
            }
            consumed += line.len();
            let said = String::from_utf8_lossy(line);
            let said = said.trim();
            let text = match room.get(&link.token()) {
                Some(name) => format!("{name}: {said}\n"),
                None => {
                    room.insert(link.token(), said.to_owned());
                    format!("* {said} joined\n")
                }
            };
            for &member in room.keys() {
                link.write_to(member, text.as_bytes()); // false: it is cut, and `closed` is called
            }
        }
        consumed
    }

    fn closed(&mut self, why: StreamEnd, room: &mut Room, cx: &mut Context<'_, Room>) {
        if let Some(name) = room.remove(&cx.token()) {
            let text = format!("* {name} left ({why:?})\n");
            for &member in room.keys() {
                write_to(cx, member, text.as_bytes());
            }
        }
    }
}

fn main() -> trine::Result<ExitCode> {
    let about = "A chat by lines, with broadcast and slow readers.";
    let example = Example::from_arguments(about, "127.0.0.1:7001");
    let mut event_loop = EventLoop::new()?;
    let listener = StreamListener::bind_tcp(example.listen)?;
    let address = listener.local_address();
    event_loop.streams(listener, OPTIONS, Chat)?;
    event_loop.drain_on_signals([Signal::TERM, Signal::INT], Duration::from_secs(2))?;

    example.begin(address, demo);
    let mut room = Room::default();
    event_loop.run(&mut room)?;
    Ok(example.verdict())
}

fn join(address: SocketAddr, name: &str) -> io::Result<Client> {
    let mut client = Client::connect(address)?;
    client.line()?; // your name?
    client.send(&format!("{name}\n"))?;
    client.line()?; // joined
    Ok(client)
}

fn demo(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let mut ann = join(address, "ann")?;
    let mut bob = join(address, "bob")?;
    timeline.check(ann.line()? == "* bob joined", "ann hears that bob joined");

    bob.send("how are")?;
    ann.send("hello\nfriends\n")?;
    let heard = [bob.line()?, bob.line()?];
    timeline.check(
        heard == ["ann: hello", "ann: friends"],
        "two lines in one piece are two",
    );
    bob.send(" you?\n")?;
    timeline.check(
        bob.line()? == "bob: how are you?",
        "one line in two pieces is one",
    );

    let _mute = join(address, "mute")?; // and never reads again
    timeline.note("mute joined, and never reads again");
    while ann.line()? != "* mute joined" {}
    while bob.line()? != "* mute joined" {}
    let round = ("x".repeat(1_000) + "\n").repeat(ROUND);
    for rounds in 1..=ROUNDS_MAX {
        ann.send(&round)?;
        let left = [hear(&mut ann)?, hear(&mut bob)?];
        if let [Some(left), Some(_)] = left {
            timeline.check(left == "* mute left (SlowReader)", left);
            let lines = rounds * ROUND;
            timeline.note(format_args!(
                "ann said {lines} lines, she and bob heard each of them"
            ));
            break;
        }
    }
    drop(ann);
    let left = bob.line()?;
    timeline.check(left == "* ann left (PeerClosed)", left);
    terminate()
}

/// Lines that ann says at once.
const ROUND: usize = 50;
/// 40 MB: more than any buffer of the kernel.
const ROUNDS_MAX: usize = 800;

/// Hears all that ann said in a round, and whether somebody has left.
fn hear(client: &mut Client) -> io::Result<Option<String>> {
    let (mut heard, mut left) = (0, None);
    while heard < ROUND {
        let line = client.line()?;
        match line.starts_with("ann: x") {
            true => heard += 1,
            false => left = Some(line),
        }
    }
    Ok(left)
}
