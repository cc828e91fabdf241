//! Sockets, as the loop's own sources use them: the only file of the reactor that makes one or
//! calls one.
//!
//! All are non-blocking and close-on-exec. A write to a peer that is gone is an error, never
//! SIGPIPE, whatever the program's disposition is. A call that a signal interrupts is repeated.
//!
//! In tests, and with the feature `testing`, streams and listeners have a second kind of socket, of a
//! simulated machine (`simulated/`). Without it there is one variant, and the `match` vanishes.

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::sockopt::{get_socket_acceptconn, get_socket_domain, get_socket_type};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with,
    recv, send, shutdown,
};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::error::{Error, Result};
use super::peer::Peer;
#[cfg(feature = "testing")]
use super::simulated::SimulatedSocket;
use super::socket_file::SocketFile;

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
    #[inline(always)]
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
    #[inline(always)]
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

/// A listening stream socket.
#[derive(Debug)]
pub struct StreamListener {
    end: End,
    /// The file of a Unix socket; removed when the listener is dropped.
    file: Option<SocketFile>,
    origin: Origin,
}

/// Where a listening socket comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// This process bound it.
    Own,
    /// Another process has it, or had: a service manager, a predecessor.
    TakenOver,
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
        StreamListener::listening(tcp_socket(address)?, &SockAddr::from(address))
    }

    pub(super) fn listening(socket: Socket, address: &SockAddr) -> io::Result<StreamListener> {
        socket.bind(address)?;
        socket.listen(BACKLOG)?;
        Ok(StreamListener {
            end: End::Kernel(socket.into()),
            file: None,
            origin: Origin::Own,
        })
    }

    /// Whether it came [as a descriptor](StreamListener::from_descriptor), so that another process may
    /// have it as well.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.origin == Origin::TakenOver
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
        let file = Some(SocketFile::at(path)?);
        socket.listen(BACKLOG)?;
        Ok(StreamListener {
            end: End::Kernel(socket.into()),
            file,
            origin: Origin::Own,
        })
    }

    /// Takes over a socket that listens already: from a service manager, or from the process before.
    /// Accepted sockets are as those of [`bind_tcp`](StreamListener::bind_tcp). The file of a Unix
    /// socket is left to whoever made it.
    ///
    /// # Errors
    ///
    /// When it is no socket, not a stream, does not listen, or is of another family than TCP and Unix
    /// sockets.
    pub fn from_descriptor(fd: impl Into<OwnedFd>) -> Result<StreamListener> {
        let fd = fd.into();
        let number = fd.as_raw_fd();
        StreamListener::adopt(fd)
            .map_err(|error| Error::io("listen on", format!("descriptor {number}"), error))
    }

    fn adopt(fd: OwnedFd) -> io::Result<StreamListener> {
        let unfit = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        match get_socket_type(&fd) {
            Ok(SocketType::STREAM) => {}
            Ok(_) => return unfit("it is a socket, but not of streams"),
            Err(Errno::NOTSOCK) => return unfit("it is no socket"),
            Err(error) => return Err(error.into()),
        }
        if !get_socket_acceptconn(&fd)? {
            return unfit("it is a socket that does not listen");
        }
        fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        ioctl_fionbio(&fd, true)?;
        match get_socket_domain(&fd)? {
            AddressFamily::INET | AddressFamily::INET6 => inherited(SockRef::from(&fd))?,
            AddressFamily::UNIX => {}
            _ => return unfit("it is neither a TCP nor a Unix socket"),
        }
        Ok(StreamListener {
            end: End::Kernel(fd),
            file: None,
            origin: Origin::TakenOver,
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

    /// Whether somebody may be in the queue. One `poll`.
    pub(super) fn has_waiting(&self) -> bool {
        match &self.end {
            End::Kernel(fd) => {
                let mut asked = [PollFd::new(fd, PollFlags::IN)];
                poll(&mut asked, 0) != Ok(0)
            }
            #[cfg(feature = "testing")]
            End::Simulated(socket) => socket.has_waiting(),
        }
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

    /// The path of a Unix socket; `None` for TCP.
    #[must_use]
    pub fn local_path(&self) -> Option<PathBuf> {
        match &self.end {
            End::Kernel(fd) => {
                let address = SockRef::from(fd).local_addr().ok()?;
                address.as_pathname().map(Path::to_owned)
            }
            #[cfg(feature = "testing")]
            End::Simulated(_) => None,
        }
    }

    /// The file of a Unix socket, to whoever removes it from now on.
    pub(crate) fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    #[cfg(feature = "testing")]
    pub(super) fn simulated(socket: SimulatedSocket) -> StreamListener {
        StreamListener {
            end: End::Simulated(socket),
            file: None,
            origin: Origin::Own,
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

/// The first address that `address` stands for. Names are looked up, which blocks: set things up
/// before the loop runs.
pub(crate) fn resolve(address: impl ToSocketAddrs) -> Result<SocketAddr> {
    let none = || io::Error::new(io::ErrorKind::NotFound, "no address has that name");
    let resolved = address
        .to_socket_addrs()
        .and_then(|mut all| all.next().ok_or_else(none));
    resolved.map_err(|error| Error::io("resolve", "the address to listen on", error))
}

/// A TCP socket with what those that it accepts inherit.
pub(super) fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = stream_socket(Domain::for_address(address))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    inherited(SockRef::from(&socket))?;
    Ok(socket)
}

/// Sets what the accepted sockets of a TCP listener are to inherit, and connected ones have.
pub(super) fn inherited(listening: SockRef<'_>) -> io::Result<()> {
    listening.set_out_of_band_inline(true)?;
    listening.set_tcp_nodelay(true)?;
    listening.set_tcp_notsent_lowat(UNSENT_BYTES)
}

pub(super) fn stream_socket(domain: Domain) -> io::Result<Socket> {
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
