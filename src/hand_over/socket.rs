//! The sockets of the protocol: the only file of this folder that calls one.
//!
//! They keep the bounds of messages (SOCK_SEQPACKET), are close-on-exec, and descriptors come with
//! messages (SCM_RIGHTS). The file of the offer is readable and writable for its owner only, from its
//! first moment on, and who connects is asked for by SO_PEERCRED all the same.

use std::fs::{self, File, Permissions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::sockopt::{
    Timeout, get_socket_acceptconn, get_socket_peercred, get_socket_type, set_socket_timeout,
};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, accept_with, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};

use super::message::{MESSAGE_BYTES_MAX, Message, SOCKETS_MAX, Unreadable};

/// Successors that wait for their turn in the kernel's queue.
const BACKLOG: i32 = 16;

/// What was received: a message, and the descriptors that came with it.
pub(super) type Received = (Result<Message, Unreadable>, Vec<OwnedFd>);

/// One connection between a process and its successor.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

impl Channel {
    /// Connects to whoever offers at `path`; each call waits for `patience` at most.
    pub(super) fn connect(path: &Path, patience: Duration) -> io::Result<Channel> {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?; // close-on-exec
        set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(patience))?;
        socket.connect(&SockAddr::unix(path)?)?;
        Ok(Channel(socket.into()))
    }

    /// From now on calls never wait: for use on a loop.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        Ok(ioctl_fionbio(&self.0, true)?)
    }

    /// Refuses the other process unless it runs as our user, or as root.
    pub(super) fn check_user(&self) -> io::Result<()> {
        let user = get_socket_peercred(&self.0)?.uid;
        if user.is_root() || user == geteuid() {
            return Ok(());
        }
        let what = format!("the process there runs as user {}", user.as_raw());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
    }

    pub(super) fn send(&self, message: &Message, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = message.encode();
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Errno::MSGSIZE.into());
        }
        let mut space = vec![0; rustix::cmsg_space!(ScmRights(sockets.len()))];
        loop {
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(sockets)) {
                return Err(Errno::NOBUFS.into());
            }
            let slices = [IoSlice::new(&bytes)];
            match sendmsg(&self.0, &slices, &mut control, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                sent => return sent.map(drop).map_err(io::Error::from), // whole, or not at all
            }
        }
    }

    /// The next message, and the descriptors that came with it; `None` at the end.
    ///
    /// Of a process that closed with something unread the kernel tells first, once, and of what it said
    /// before that afterwards: its last word may be the one that matters.
    pub(super) fn receive(&self) -> io::Result<Option<Received>> {
        let mut bytes = vec![0; MESSAGE_BYTES_MAX];
        // Room for the descriptor of the protocol too. The kernel closes those beyond it.
        let mut space = vec![0; rustix::cmsg_space!(ScmRights(SOCKETS_MAX + 1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut resets = 0;
        let received = loop {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match recvmsg(&self.0, &mut slices, &mut control, flags) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) if resets == 0 => resets += 1,
                result => break result?,
            }
        };
        let mut sockets = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                sockets.extend(rights);
            }
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        Ok(Some((Message::decode(&bytes[..received.bytes]), sockets)))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The listening socket at which successors ask.
#[derive(Debug)]
pub(super) struct Offer(OwnedFd);

impl Offer {
    /// Listens at `path`. A socket file that a dead process left there is replaced.
    ///
    /// `AddrInUse` when another process is there.
    pub(super) fn bind(path: &Path) -> io::Result<Offer> {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        socket.set_nonblocking(true)?;
        // The file gets the mode of the socket: there is no moment in which others may connect.
        let file = File::from(OwnedFd::from(socket));
        file.set_permissions(Permissions::from_mode(0o600))?;
        let socket = Socket::from(OwnedFd::from(file));
        let address = SockAddr::unix(path)?;
        if let Err(error) = socket.bind(&address) {
            if error.kind() != io::ErrorKind::AddrInUse || !is_left_behind(path) {
                return Err(error);
            }
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        socket.listen(BACKLOG)?;
        Ok(Offer(socket.into()))
    }

    /// The socket of the process before, checked.
    pub(super) fn inherited(fd: OwnedFd) -> io::Result<Offer> {
        let is_one = get_socket_type(&fd)? == SocketType::SEQPACKET && get_socket_acceptconn(&fd)?;
        if !is_one {
            let what = "the first descriptor is not the socket of the hand-over";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        ioctl_fionbio(&fd, true)?;
        Ok(Offer(fd))
    }

    /// The next successor. `WouldBlock` when there is none.
    pub(super) fn accept(&self) -> io::Result<Channel> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        loop {
            match accept_with(&self.0, flags) {
                Err(Errno::INTR) => {}
                accepted => return Ok(Channel(accepted?)),
            }
        }
    }
}

impl AsFd for Offer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether `path` is a socket at which nobody listens any more. Any doubt is somebody's.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = |metadata: fs::Metadata| metadata.file_type().is_socket();
    fs::symlink_metadata(path).is_ok_and(is_socket)
        && Channel::connect(path, Duration::from_millis(100))
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
