//! The I/O models of the textbook side by side: the same echo server, written plainly once for each.
//!
//! | model | how it learns that a client has said something | file |
//! |---|---|---|
//! | `threads` | a thread for each client waits in `read` | `threads.rs` |
//! | `polling` | asks every client, again and again | `polling.rs` |
//! | `select` | tells the kernel all descriptors, waits, looks through all; below 1,024 only | `select.rs` |
//! | `poll` | the same in a list without that limit | `poll.rs` |
//! | `epoll` | the kernel keeps the list and names those that are ready: trine's loop | `epoll.rs` |
//! | `signal` | SIGIO says that someone has; it looks at all of them | `signal.rs` |
//! | `io_uring` | asks for the bytes, and is told when they are there: trine's proactor | `io_uring.rs` |
//!
//! `--serve MODEL` serves until SIGTERM; try it with `nc 127.0.0.1 7001`. `--demo` measures each model with
//! the same client, one process a model, and prints what a round trip costs; `demo.rs` says how each
//! column is got. `connect.rs` shows the other side of the socket: `connect` without waiting.

mod arguments;
mod calls;
mod client;
mod connect;
mod demo;
mod echo;
mod epoll;
mod io_uring;
mod machine;
mod model;
mod picture;
mod poll;
mod polling;
mod select;
mod served;
mod signal;
mod strace;
mod table;
mod threads;

use std::process::ExitCode;

use arguments::{Asked, USAGE};

const NAME: &str = env!("CARGO_BIN_NAME");

fn main() -> ExitCode {
    let asked = match arguments::read() {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("{NAME}: {error} (try --help)");
            return ExitCode::from(2);
        }
    };
    machine::raise_descriptor_limit();
    let done = match asked {
        Asked::Help => {
            println!("The I/O models of the textbook, measured side by side.\n\n{USAGE}");
            return ExitCode::SUCCESS;
        }
        Asked::Serve { model, place } => model.serve(place).map(|()| true),
        Asked::Demo(options) => demo::run(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}
