//! An operation as its driver gets it: all that it needs, owned.

use std::fs::File;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;

use super::operation::{Memory, Payload};
use crate::reactor::{Stream, StreamListener};

/// What is to be done, on what, with what.
#[derive(Debug)]
pub(super) enum Request {
    Accept {
        listener: Rc<StreamListener>,
        times: Times,
    },
    Connect {
        stream: Rc<Stream>,
        address: SocketAddr,
    },
    Receive {
        stream: Rc<Stream>,
        room: Room,
    },
    Send {
        stream: Rc<Stream>,
        payload: Payload,
    },
    File(FileRequest),
}

/// What is to be done with a file. Crosses threads.
#[derive(Debug)]
pub(super) enum FileRequest {
    Read {
        file: Arc<File>,
        room: BytesMut,
        at: u64,
    },
    Write {
        file: Arc<File>,
        payload: Payload,
        at: u64,
    },
    Sync {
        file: Arc<File>,
        what: Sync,
    },
}

/// Whether an operation is over after one completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Times {
    Once,
    /// Until it is cancelled or fails.
    Many,
}

/// Where received bytes go.
#[derive(Debug)]
pub(super) enum Room {
    /// The user's.
    Given(BytesMut),
    /// One of the proactor's, chosen when there are bytes.
    Chosen(Times),
}

/// What has to be on the disk when a sync completes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sync {
    /// The content, and what is needed to find it (`fdatasync`).
    Data,
    /// The content and all that is known of the file (`fsync`).
    All,
}

impl Request {
    /// The memory in it.
    pub(super) fn into_memory(self) -> Memory {
        match self {
            Request::Accept { .. } | Request::Connect { .. } => Memory::None,
            Request::Receive { room, .. } => match room {
                Room::Given(buffer) => Memory::Room(buffer),
                Room::Chosen(_) => Memory::None,
            },
            Request::Send { payload, .. } => Memory::Payload(payload),
            Request::File(request) => request.into_memory(),
        }
    }
}

impl FileRequest {
    pub(super) fn into_memory(self) -> Memory {
        match self {
            FileRequest::Read { room, .. } => Memory::Room(room),
            FileRequest::Write { payload, .. } => Memory::Payload(payload),
            FileRequest::Sync { .. } => Memory::None,
        }
    }
}
