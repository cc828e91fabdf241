//! A service of systemd: sockets that it opened, and what it wants to hear.
//!
//! ```no_run
//! use trine::{Response, Server, systemd};
//!
//! fn main() -> trine::Result<()> {
//!     let server = match systemd::listeners()?.pop() {
//!         Some(socket) => Server::over(socket.listener), // ListenStream= of the .socket unit
//!         None => Server::bind("127.0.0.1:8080")?,
//!     };
//!     server.notify_systemd().serve(|_| Response::text("hello"))
//! }
//! ```
//!
//! With the unit
//!
//! ```text
//! [Service]
//! Type=notify
//! ExecStart=/usr/bin/hello
//! WatchdogSec=10
//! Restart=on-failure
//! ```
//!
//! | systemd hears | when |
//! |---|---|
//! | `READY=1`, `MAINPID=` | in the first turn of the loop: all that listens has been set up |
//! | `WATCHDOG=1` | twice in each WatchdogSec, by the loop's own wheel: a loop that is stuck, or turns without coming to its timers, is restarted. So it is during a drain |
//! | `RELOADING=1`, `MONOTONIC_USEC=`, then `READY=1` | before and after what [SIGHUP](crate::Server::on_reload) does |
//! | `STOPPING=1` | when the loop begins to drain |
//!
//! With [`Server::on_reload`](crate::Server::on_reload) the unit may say `Type=notify-reload`: systemd then
//! sends SIGHUP to reload, which ends a program that does not expect it.
//!
//! Nothing is said, and nothing changes, when NOTIFY_SOCKET is not set. A manager that does not read
//! never holds the loop up: the message is sent again later, a watchdog's is not.
//!
//! With socket activation systemd itself holds the sockets open, so a restart loses nobody who connects
//! meanwhile; they wait. A [hand-over](crate::hand_over) keeps the wait at nothing: the successor takes
//! over as the main process by MAINPID, for which the unit needs `NotifyAccess=all`. It says so when the
//! process before has gone from the sockets, and that one says nothing of its end: the unit goes on.

mod activation;
mod manager;
mod notify;

pub use activation::{Activated, listeners};
pub use notify::Notify;
