//! Sockets, as the loop's own sources use them: the only file of the reactor that makes one or
//! calls one.
//!
//! All are non-blocking and close-on-exec. A write to a peer that is gone is an error, never
//! SIGPIPE, whatever the program's disposition is. A call that a signal interrupts is repeated.
//!
//! In tests, and with the feature `testing`, streams and listeners have a second kind of socket, of a
//! simulated machine (`simulated/`). Without it there is one variant, and the `match` vanishes.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendFlags, SocketAddrAny, SocketFlags, acceptfrom_with, recv, send, shutdown,
};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::error::{Error, Result};
#[cfg(feature = "testing")]
use super::simulated::SimulatedSocket;

/// A connected byte stream: TCP or a Unix stream socket.
#[derive(Debug)]
pub struct Stream {
    end: End,
}

/// Whose socket it is.
#[derive(Debug)]
enum End {
    Kernel(OwnedFd),
    #[cfg(feature = "testing")]
    Simulated(SimulatedSocket),
}

impl Stream {
    /// Reads what has arrived into `buffer`; 0 is the end of the stream. One `recv`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing has arrived; otherwise the stream is broken.
    #[inline]
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let received = match &self.end {
                End::Kernel(fd) => recv(fd, &mut *buffer, RecvFlags::empty()),
                #[cfg(feature = "testing")]
                End::Simulated(socket) => socket.read(buffer),
            };
            match received {
                #[cfg(trine_planted)]
                Err(_) if crate::planted::has(crate::planted::Bug::WouldBlockIsTheEnd) => {
                    return Ok(0);
                }
                Err(Errno::INTR) => {}
                result => return result.map_err(io::Error::from),
            }
        }
    }

    /// Writes as much of `bytes` as there is room for. One `send`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is no room; otherwise the stream is broken.
    #[inline]
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let sent = match &self.end {
                End::Kernel(fd) => send(fd, bytes, SendFlags::NOSIGNAL),
                #[cfg(feature = "testing")]
                End::Simulated(socket) => socket.write(bytes),
            };
            match sent {
                #[cfg(trine_planted)]
                Ok(_) if crate::planted::has(crate::planted::Bug::ShortWriteLoses) => {
                    return Ok(bytes.len());
                }
                Err(Errno::INTR) => {}
                result => return result.map_err(io::Error::from),
            }
        }
    }

    /// Says to the peer that no more comes (FIN); reading goes on.
    ///
    /// # Errors
    ///
    /// When the peer is gone already.
    pub fn shutdown_write(&self) -> io::Result<()> {
        let shut = match &self.end {
            End::Kernel(fd) => shutdown(fd, rustix::net::Shutdown::Write),
            #[cfg(feature = "testing")]
            End::Simulated(socket) => socket.shutdown_write(),
        };
        shut.map_err(io::Error::from)
    }

    /// Makes the coming close abortive: what the peer has not taken is dropped and it gets RST.
    pub fn abort_on_close(&self) {
        match &self.end {
            End::Kernel(fd) => {
                // It can only fail on what is not a socket.
                let _ = SockRef::from(fd).set_linger(Some(Duration::ZERO));
            }
            #[cfg(feature = "testing")]
            End::Simulated(socket) => socket.abort_on_close(),
        }
    }

    /// Begins to connect to `address`: done, or refused, when the stream is writable; then
    /// [`take_error`](Stream::take_error) says which.
    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<()> {
        match SockRef::from(self).connect(&SockAddr::from(address)) {
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => Ok(()),
            result => result,
        }
    }

    /// A socket of the kind that reaches `address`.
    pub(crate) fn unconnected(address: SocketAddr) -> io::Result<Stream> {
        let socket = stream_socket(Domain::for_address(address))?;
        Ok(Stream::from(OwnedFd::from(socket)))
    }

    /// What is wrong with the stream, for example why it could not be connected. Says it once.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(self).take_error()
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> io::Result<Peer> {
        let address = SockRef::from(self).peer_addr()?.as_socket();
        Ok(address.map_or(Peer::Local, Peer::Network))
    }

    /// Whether calls that would have to wait do so: what io_uring wants, and the loop does not.
    pub(crate) fn set_waiting(&self, waiting: bool) -> io::Result<()> {
        SockRef::from(self).set_nonblocking(!waiting)
    }

    #[cfg(feature = "testing")]
    pub(super) fn as_simulated(&self) -> Option<&SimulatedSocket> {
        self.end.as_simulated()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            End::Kernel(fd) => fd.as_fd(),
            #[cfg(feature = "testing")]
            End::Simulated(socket) => socket.as_fd(),
        }
    }
}

#[cfg(feature = "testing")]
impl End {
    fn as_simulated(&self) -> Option<&SimulatedSocket> {
        match self {
            End::Kernel(_) => None,
            End::Simulated(socket) => Some(socket),
        }
    }
}

/// Takes over a connected, non-blocking stream socket.
impl From<OwnedFd> for Stream {
    fn from(fd: OwnedFd) -> Stream {
        Stream {
            end: End::Kernel(fd),
        }
    }
}

/// Who is at the other end of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Peer {
    /// An address on the network.
    Network(SocketAddr),
    /// A process of this machine, by a Unix socket.
    Local,
}

impl Peer {
    /// What a read that gave less than there was room for says of the socket. On a Unix socket a
    /// passed descriptor ends a read in the middle, and no edge follows for what stands behind it.
    #[must_use]
    pub fn short_read(&self) -> ShortRead {
        match self {
            Peer::Network(_) => ShortRead::Empties,
            Peer::Local => ShortRead::SaysNothing,
        }
    }
}

/// What follows from a read that gave less than there was room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShortRead {
    /// There is no more, unless the peer's end of file or the mark of urgent data ended it.
    Empties,
    /// There may be more.
    SaysNothing,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Network(address) => address.fmt(f),
            Peer::Local => f.write_str("local"),
        }
    }
}

/// A listening stream socket.
#[derive(Debug)]
pub struct StreamListener {
    end: End,
    /// The file of a Unix socket; removed when the listener is dropped.
    _file: Option<SocketFile>,
}

/// The file a Unix socket made, by its path and what tells it from a successor's.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// The process that made it; a forked child that drops its copy removes nothing.
    process: u32,
}

/// Bytes the kernel keeps unsent for a slow peer. Little enough that each part it takes makes room
/// soon, so that a deadline for its progress sees the progress; more would be no faster.
const UNSENT_BYTES: u32 = 128 * 1024;

/// Connections the kernel queues before it turns clients away; it lowers this to
/// `net.core.somaxconn` (4096 by default).
const BACKLOG: i32 = 4096;

impl StreamListener {
    /// Listens on `address`. Accepted sockets inherit: no delay for small writes (TCP_NODELAY),
    /// urgent data in line (SO_OOBINLINE).
    ///
    /// # Errors
    ///
    /// When there is no such address, or what the kernel says: it is in use, not of this machine,
    /// or not allowed.
    pub fn bind_tcp(address: impl ToSocketAddrs) -> Result<StreamListener> {
        let address = resolve(address)?;
        let listener = StreamListener::tcp(address);
        listener.map_err(|error| Error::io("listen on", address.to_string(), error))
    }

    fn tcp(address: SocketAddr) -> io::Result<StreamListener> {
        let socket = stream_socket(Domain::for_address(address))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_out_of_band_inline(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        Ok(StreamListener {
            end: End::Kernel(socket.into()),
            _file: None,
        })
    }

    /// Listens on a Unix socket at `path`. A socket file that a dead program left there is
    /// replaced; one that answers is not.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when another program serves that path; what the kernel says otherwise.
    pub fn bind_unix(path: impl AsRef<Path>) -> Result<StreamListener> {
        let path = path.as_ref();
        let listener = StreamListener::unix(path);
        listener.map_err(|error| Error::io("listen on", path.display().to_string(), error))
    }

    fn unix(path: &Path) -> io::Result<StreamListener> {
        let socket = stream_socket(Domain::UNIX)?;
        let address = SockAddr::unix(path)?;
        if let Err(error) = socket.bind(&address) {
            if error.kind() != io::ErrorKind::AddrInUse || !is_left_behind(path, &address) {
                return Err(error);
            }
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        let file = Some(SocketFile {
            path: path.to_owned(),
            identity: identity(path)?,
            process: std::process::id(),
        });
        socket.listen(BACKLOG)?;
        Ok(StreamListener {
            end: End::Kernel(socket.into()),
            _file: file,
        })
    }

    /// The next connection in the queue. One `accept4`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the queue is empty; otherwise see the listener source, which knows which
    /// errors are this connection's and which are the machine's.
    pub(crate) fn accept(&self) -> std::result::Result<(Stream, Peer), Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let listening = match &self.end {
            End::Kernel(fd) => fd,
            #[cfg(feature = "testing")]
            End::Simulated(socket) => {
                let (accepted, peer) = socket.accept()?;
                let end = End::Simulated(accepted);
                return Ok((Stream { end }, peer));
            }
        };
        let (fd, address) = acceptfrom_with(listening, flags)?;
        let peer = match address {
            Some(SocketAddrAny::V4(address)) => Peer::Network(address.into()),
            Some(SocketAddrAny::V6(address)) => Peer::Network(address.into()),
            _ => Peer::Local,
        };
        Ok((Stream::from(fd), peer))
    }

    /// As [`Stream::set_waiting`].
    pub(crate) fn set_waiting(&self, waiting: bool) -> io::Result<()> {
        SockRef::from(self).set_nonblocking(!waiting)
    }

    /// The address it listens on: the port the kernel chose for port 0. `None` for Unix sockets.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.end {
            End::Kernel(fd) => SockRef::from(fd).local_addr().ok()?.as_socket(),
            #[cfg(feature = "testing")]
            End::Simulated(socket) => socket.local_address(),
        }
    }

    #[cfg(feature = "testing")]
    pub(super) fn simulated(socket: SimulatedSocket) -> StreamListener {
        StreamListener {
            end: End::Simulated(socket),
            _file: None,
        }
    }

    #[cfg(feature = "testing")]
    pub(super) fn as_simulated(&self) -> Option<&SimulatedSocket> {
        self.end.as_simulated()
    }
}

impl AsFd for StreamListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = identity(&self.path).is_ok_and(|found| found == self.identity);
        if is_ours && self.process == std::process::id() {
            let _ = fs::remove_file(&self.path); // or somebody else has just done it
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The first address that `address` stands for. Names are looked up, which blocks: set things up
/// before the loop runs.
pub(super) fn resolve(address: impl ToSocketAddrs) -> Result<SocketAddr> {
    let none = || io::Error::new(io::ErrorKind::NotFound, "no address has that name");
    let resolved = address
        .to_socket_addrs()
        .and_then(|mut all| all.next().ok_or_else(none));
    resolved.map_err(|error| Error::io("resolve", "the address to listen on", error))
}

fn stream_socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?; // close-on-exec
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether `path` is a socket that nobody listens on any more: what a dead program leaves. Any
/// other file, and any doubt, is somebody's.
fn is_left_behind(path: &Path, address: &SockAddr) -> bool {
    let is_socket = |metadata: fs::Metadata| metadata.file_type().is_socket();
    fs::symlink_metadata(path).is_ok_and(is_socket)
        && stream_socket(Domain::UNIX)
            .and_then(|socket| socket.connect(address))
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
