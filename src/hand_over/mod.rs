//! Restart without loss: the listening sockets pass from a process to its successor.
//!
//! A socket that is bound anew has a queue of its own, and what waits in the old one is lost with it;
//! SO_REUSEPORT has the same fault. Here the *same* sockets are passed, over a Unix socket
//! (SCM_RIGHTS): the queue of the kernel never has nobody to empty it.
//!
//! ```text
//!   successor starts ── asks at PATH ──> process before
//!        │  <── its listening sockets ──────┤
//!   sets itself up; its loop runs           │ serves on
//!        ├── ready ──────────────────────>  │
//!   serves, offers at PATH in turn          └ stops accepting, drains, exits
//! ```
//!
//! Start the same program again with the same path, and that is the restart. When nobody is at the path
//! everything is bound as ever. A successor that dies or is slow before it is ready leaves the process
//! before as it was. A server with one listener says:
//!
//! ```no_run
//! use trine::{Response, Server};
//!
//! fn main() -> trine::Result<()> {
//!     Server::bind_or_take_over("127.0.0.1:8080", "/run/hello/hand-over")?
//!         .serve(|_| Response::text("hello"))
//! }
//! ```
//!
//! With several, or on a loop of your own, hold the [`HandOver`] yourself.
//!
//! What to know:
//! - only listening sockets pass. Connections stay with the process that accepted them, which finishes
//!   what they are about, within the limit of its drain; and what only one process can hold (the lock
//!   of a database file) must be let go by it first;
//! - the socket at the path is of mode 0600, and whoever connects must run as the same user or as root.
//!   Keep it in a folder that is yours: who may write there may put another in its place;
//! - both processes must speak the same version of the protocol. Sockets are found by what they were
//!   asked for as: a successor whose configuration names another address binds that one, and those
//!   that nobody asks for close with the process before;
//! - under systemd, see the feature `systemd`: the successor says MAINPID.
//!
//! # Known failures elsewhere
//!
//! | known as | here | proved by |
//! |---|---|---|
//! | `pingora #427`, `envoy #15818`: the queue of a socket bound anew by SO_REUSEPORT is lost | the same socket is passed | `twenty_hand_overs_under_load_lose_no_request` |
//! | `idle race`: a request crosses the close of an idle connection | 75 ms for one more, which is told that it is the last | `sigterm_under_256_connections_that_are_kept_loses_no_request`, `a_draining_server_closes_idle_connections_unless_they_ask_once_more_within_75_ms` |
//! | `two masters`: a successor that was given up serves beside its predecessor | it is told, and ends with an error | `a_successor_that_is_ready_too_late_ends_with_an_error_and_the_process_before_serves_on` |
//! | `broken release`: the new binary dies, and the old one is gone already | nothing changes before it is ready | `a_successor_that_dies_before_it_is_ready_leaves_the_process_serving`, `a_successor_that_hangs_is_given_up_and_the_next_one_has_its_turn` |
//! | `vanished file`: the process before removes the Unix socket that its successor serves | files go with the sockets | `a_unix_socket_keeps_its_file_from_one_process_to_the_next_until_the_last_one_ends` |
//! | `stolen sockets`: any local process may ask, or give | mode 0600, and the user of the other is asked for | `a_process_of_another_user_gets_no_sockets_and_gives_none` |
//! | `haproxy 97490a77`: after a reload that failed no signal works | the old settings stay, the next signal asks again | `a_bad_configuration_keeps_the_old_one_and_signals_go_on_working` |
//! | `h2o #878`: SIGTERM during start-up does not end well | it drains in the first turn | `sigterm_during_start_up_drains_in_the_first_turn` |

mod book;
mod message;
mod protocol;
mod socket;
mod sources;

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::reactor::{
    Error, ErrorKind, Result, SocketFile, Sources, StreamListener, Succession, resolve,
};
use crate::time::Span;

use book::Book;
use message::{Message, Name, SOCKETS_MAX};
use socket::{Channel, Offer};
use sources::{Announcing, OfferSource, PredecessorSource};

/// How long the process before may take to answer, and a successor to set itself up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Attempts, when the process at the path comes or goes at the same moment.
const ATTEMPTS: u32 = 8;

/// Listening sockets, taken over from the process before or bound anew, and to be passed on in turn.
///
/// ```no_run
/// use std::time::Duration;
/// use trine::hand_over::HandOver;
/// use trine::{EventLoop, Response, Server, Signal, Sources};
///
/// fn main() -> trine::Result<()> {
///     let grace = Duration::from_secs(30);
///     let mut event_loop = EventLoop::new()?;
///     event_loop.drain_on_signals([Signal::TERM, Signal::INT], grace)?;
///     let mut hand_over = HandOver::at("/run/site/hand-over")?;
///     let site = Server::over(hand_over.bind_tcp("0.0.0.0:8080")?);
///     let admin = Server::over(hand_over.bind_unix("/run/site/admin")?);
///     site.attach(&mut event_loop, trine::service::respond(|_| Response::text("site")))?;
///     admin.attach(&mut event_loop, trine::service::respond(|_| Response::text("admin")))?;
///     hand_over.attach(&mut event_loop, grace)?; // last: in the first turn it says that we are ready
///     event_loop.run(&mut ())
/// }
/// ```
pub struct HandOver {
    path: PathBuf,
    offer: Offer,
    /// The process before, if there is one.
    predecessor: Option<Channel>,
    /// What it gave, and nobody has asked for yet.
    unclaimed: Vec<(Name, OwnedFd)>,
    book: Book,
}

impl HandOver {
    /// Asks the process that offers its sockets at `path` for them. When nobody is there, offers at
    /// `path` itself: a file that a dead process left is replaced. Waits for the other process, for
    /// at most 30 s, so call it before the loop runs; and before [privileges](crate) are dropped.
    ///
    /// # Errors
    ///
    /// When the path cannot be used, when the process there runs as another user (unless as root),
    /// does not answer, or speaks another protocol.
    pub fn at(path: impl AsRef<Path>) -> Result<HandOver> {
        let path = path.as_ref();
        let subject = || path.display().to_string();
        for _ in 0..ATTEMPTS {
            match Channel::connect(path, PATIENCE) {
                Ok(channel) => {
                    if let Some(taken) = HandOver::take(path, channel)? {
                        return Ok(taken);
                    }
                }
                Err(error) if is_nobody(&error) => match Offer::bind(path) {
                    Ok(offer) => return HandOver::first(path, offer),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    Err(error) => return Err(Error::io("offer sockets at", subject(), error)),
                },
                Err(error) => return Err(Error::io("take over from", subject(), error)),
            }
        }
        let what = format!("{}: processes come and go there", subject());
        Err(Error::new(ErrorKind::HandOver, "take over from", what))
    }

    fn first(path: &Path, offer: Offer) -> Result<HandOver> {
        let file = SocketFile::at(path)
            .map_err(|error| Error::io("offer sockets at", path.display().to_string(), error))?;
        let mut first = HandOver::new(path, offer);
        first.book.files.push(file);
        Ok(first)
    }

    fn new(path: &Path, offer: Offer) -> HandOver {
        HandOver {
            path: path.to_owned(),
            offer,
            predecessor: None,
            unclaimed: Vec::new(),
            book: Book {
                sockets: Vec::new(),
                paths: Vec::new(),
                files: Vec::new(),
                patience: Span::from(PATIENCE),
                grace: Duration::ZERO,
            },
        }
    }

    /// Asks for the sockets. `None` when the process before ended instead.
    fn take(path: &Path, channel: Channel) -> Result<Option<HandOver>> {
        let fail = |error| Error::io("take over from", path.display().to_string(), error);
        channel.check_user().map_err(fail)?;
        let _ = channel.send(&Message::Ask, &[]); // if it is gone it may have said why
        let (message, mut sockets) = match channel.receive() {
            Ok(Some(received)) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let what = format!("it did not answer within {PATIENCE:?}");
                return Err(fail(io::Error::new(io::ErrorKind::TimedOut, what)));
            }
            Ok(None) | Err(_) => return Ok(None),
        };
        let refuse = |why: String| {
            let what = format!("{}: {why}", path.display());
            Err(Error::new(ErrorKind::HandOver, "take over from", what))
        };
        let names = match message {
            Ok(Message::Sockets(names)) if names.len() + 1 == sockets.len() => names,
            Ok(Message::Sockets(names)) => {
                let (named, came) = (names.len() + 1, sockets.len());
                return refuse(format!("it named {named} descriptors, and {came} came"));
            }
            Ok(Message::Refused(why)) => return refuse(why),
            Ok(_) => return refuse("it does not keep to the protocol".to_owned()),
            Err(unreadable) => return refuse(unreadable.to_string()),
        };
        let offer = Offer::inherited(sockets.remove(0)).map_err(fail)?;
        channel.set_nonblocking().map_err(fail)?;
        let mut taken = HandOver::new(path, offer);
        taken.unclaimed = names.into_iter().zip(sockets).collect();
        taken.book.paths.push(path.to_owned());
        taken.predecessor = Some(channel);
        Ok(Some(taken))
    }

    /// How long a successor may take from the moment it has the sockets to the moment it is ready
    /// (30 s). Then this process goes on as if it had not come.
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> HandOver {
        self.book.patience = Span::from(limit);
        self
    }

    /// Whether there is a process before, which serves until this one is ready.
    #[must_use]
    pub fn is_successor(&self) -> bool {
        self.predecessor.is_some()
    }

    /// The listening socket for `address`: that of the process before if it had one for the same
    /// address, else one bound [anew](StreamListener::bind_tcp).
    ///
    /// # Errors
    ///
    /// As [`StreamListener::bind_tcp`], and when what was taken over is not what was asked for.
    pub fn bind_tcp(&mut self, address: impl ToSocketAddrs) -> Result<StreamListener> {
        let address = resolve(address)?;
        let name = Name::tcp(address);
        let listener = match self.claim(&name) {
            Some(socket) => {
                let listener = StreamListener::from_descriptor(socket)?;
                match listener.local_address() {
                    Some(local) if is_asked_for(local, address) => listener,
                    _ => return Err(self.mistaken(&name)),
                }
            }
            None => StreamListener::bind_tcp(address)?,
        };
        self.note(name, &listener)?;
        Ok(listener)
    }

    /// The same for a Unix socket at `path`. Its file is removed at the end of the last process that
    /// has it.
    ///
    /// # Errors
    ///
    /// As [`StreamListener::bind_unix`], and when what was taken over is not what was asked for.
    pub fn bind_unix(&mut self, path: impl AsRef<Path>) -> Result<StreamListener> {
        let path = path.as_ref();
        let name = Name::unix(path);
        let listener = match self.claim(&name) {
            Some(socket) => {
                let listener = StreamListener::from_descriptor(socket)?;
                if listener.local_path().as_deref() != Some(path) {
                    return Err(self.mistaken(&name));
                }
                self.book.paths.push(path.to_owned());
                listener
            }
            None => {
                let mut listener = StreamListener::bind_unix(path)?;
                self.book.files.extend(listener.take_file());
                listener
            }
        };
        self.note(name, &listener)?;
        Ok(listener)
    }

    fn claim(&mut self, name: &Name) -> Option<OwnedFd> {
        let mut names = self.unclaimed.iter();
        let at = names.position(|(offered, _)| offered == name)?;
        Some(self.unclaimed.remove(at).1)
    }

    /// Keeps a second descriptor of a listener, to pass it on.
    fn note(&mut self, name: Name, listener: &StreamListener) -> Result<()> {
        if self.book.sockets.len() == SOCKETS_MAX {
            let what = format!("more than {SOCKETS_MAX} sockets");
            return Err(Error::new(ErrorKind::Invalid, "hand over", what));
        }
        let second = listener.as_fd().try_clone_to_owned();
        let second = second.map_err(|error| Error::io("hand over", name.to_string(), error))?;
        self.book.sockets.push((name, second));
        Ok(())
    }

    fn mistaken(&self, name: &Name) -> Error {
        let path = self.path.display();
        let what = format!("{path}: what it gave as {name} is another socket");
        Error::new(ErrorKind::HandOver, "take over from", what)
    }

    /// Puts the hand-over on a loop, when all that listens is there. In the first turn it tells the
    /// process before that this one is ready; later, a successor. The drain that follows may take
    /// `grace`.
    ///
    /// # Errors
    ///
    /// When the table of sources is full.
    pub fn attach<S: 'static>(self, sources: &mut impl Sources<S>, grace: Duration) -> Result<()> {
        let HandOver {
            offer,
            predecessor,
            unclaimed,
            mut book,
            ..
        } = self;
        for (name, _) in &unclaimed {
            tracing::info!(target: "trine::hand_over", %name, "no longer listened on");
        }
        drop(unclaimed);
        book.grace = grace;
        let mut cx = sources.context();
        let book = cx.share(book);
        let inserted = match predecessor {
            None => {
                let successor = None;
                let source = OfferSource {
                    offer,
                    book,
                    successor,
                };
                cx.insert(source).map_err(Error::from)
            }
            Some(channel) => {
                cx.set_succession(Succession::Succeeding);
                let source = PredecessorSource {
                    channel,
                    state: Announcing::Silent,
                    book,
                    offer: Some(offer),
                };
                cx.insert(source).map_err(Error::from)
            }
        };
        if inserted.is_err() {
            drop(cx.unshare(book));
        }
        inserted.map(drop)
    }
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.book.names();
        write!(f, "HandOver({}, {names:?})", self.path.display())
    }
}

/// Whether a socket at `local` is what is asked for as `address`, whose port may be any.
fn is_asked_for(local: SocketAddr, address: SocketAddr) -> bool {
    local.ip() == address.ip() && (address.port() == 0 || local.port() == address.port())
}

/// What connecting says when nobody is at a path.
fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}
