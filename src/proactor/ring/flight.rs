//! An operation on its way through the kernel: what it may touch, and the submission that says so.
//!
//! Building a submission is safe; handing it over is not, and is done in `kernel.rs` only, which owns
//! the flight until its last completion. What a submission points to is on the heap and does not move
//! with the flight: the bytes of a `BytesMut` or a `Bytes`, the address behind a `Vec`.

use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use bytes::BytesMut;
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{opcode, squeue};
use rustix::net::{SendFlags, SocketFlags};

use super::super::pool::Pool;
use super::super::request::{FileRequest, Request, Room, Sync, Times};
use super::address::SocketAddress;
use crate::reactor::OperationId;

/// The group of the provided buffers; there is one.
pub(super) const GROUP: u16 = 0;

/// `IORING_RECVSEND_POLL_FIRST` (as old as provided buffers): who asks for bytes of a conversation has
/// mostly had all there were, so the kernel need not try before it waits.
const POLL_FIRST: u16 = 1;

/// One operation in the kernel's hands, and all that it may touch.
pub(super) struct Flight {
    pub(super) id: OperationId,
    pub(super) request: Request,
    /// Where to connect to.
    address: Option<SocketAddress>,
    /// The room of a receive without provided buffers.
    pub(super) room: Option<BytesMut>,
    /// What the kernel was taken to know when it was put.
    pub(super) able: Ability,
}

/// How an operation is put to the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ability {
    pub(super) multishot_accept: bool,
    pub(super) multishot_receive: bool,
}

impl Flight {
    pub(super) fn new(id: OperationId, request: Request, able: Ability) -> Flight {
        Flight {
            id,
            request,
            address: None,
            room: None,
            able,
        }
    }

    /// The submission that points into this flight, which keeps its place on the heap.
    pub(super) fn entry(&mut self, provided: bool, pool: &mut Pool) -> squeue::Entry {
        match &mut self.request {
            Request::Accept { listener, times } => {
                let flags = SocketFlags::CLOEXEC.bits() as i32;
                let fd = Fd(listener.as_fd().as_raw_fd());
                match times {
                    Times::Many if self.able.multishot_accept => {
                        opcode::AcceptMulti::new(fd).flags(flags).build()
                    }
                    _ => opcode::Accept::new(fd, ptr::null_mut(), ptr::null_mut())
                        .flags(flags)
                        .build(),
                }
            }
            Request::Connect { stream, address } => {
                let address = self.address.insert(SocketAddress::from(*address));
                let (start, len) = address.as_ptr();
                opcode::Connect::new(Fd(stream.as_fd().as_raw_fd()), start, len).build()
            }
            Request::Receive { stream, room } => {
                let fd = Fd(stream.as_fd().as_raw_fd());
                match room {
                    Room::Given(buffer) => receive_into(fd, buffer),
                    Room::Chosen(Times::Many) if provided && self.able.multishot_receive => {
                        opcode::RecvMulti::new(fd, GROUP).build()
                    }
                    Room::Chosen(_) if provided => opcode::Recv::new(fd, ptr::null_mut(), 0)
                        .buf_group(GROUP)
                        .ioprio(POLL_FIRST)
                        .build()
                        .flags(squeue::Flags::BUFFER_SELECT),
                    Room::Chosen(_) => receive_into(fd, self.room.insert(pool.take())),
                }
            }
            Request::Send { stream, payload } => {
                let bytes = payload.remaining();
                let fd = Fd(stream.as_fd().as_raw_fd());
                opcode::Send::new(fd, bytes.as_ptr(), length(bytes.len()))
                    .flags(SendFlags::NOSIGNAL.bits() as i32)
                    .build()
            }
            Request::File(request) => file_entry(request),
        }
    }
}

fn receive_into(fd: Fd, buffer: &mut BytesMut) -> squeue::Entry {
    opcode::Recv::new(fd, buffer.as_mut_ptr(), length(buffer.len())).build()
}

fn file_entry(request: &mut FileRequest) -> squeue::Entry {
    match request {
        FileRequest::Read { file, room, at } => {
            let fd = Fd(file.as_raw_fd());
            opcode::Read::new(fd, room.as_mut_ptr(), length(room.len()))
                .offset(*at)
                .build()
        }
        FileRequest::Write { file, payload, at } => {
            let bytes = payload.remaining();
            opcode::Write::new(Fd(file.as_raw_fd()), bytes.as_ptr(), length(bytes.len()))
                .offset(*at)
                .build()
        }
        FileRequest::Sync { file, what } => {
            let flags = match what {
                Sync::Data => FsyncFlags::DATASYNC,
                Sync::All => FsyncFlags::empty(),
            };
            opcode::Fsync::new(Fd(file.as_raw_fd()))
                .flags(flags)
                .build()
        }
    }
}

/// What the kernel moves with one call at most.
pub(super) fn length(len: usize) -> u32 {
    len.min(1 << 30) as u32
}
