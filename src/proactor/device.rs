//! What a descriptor of the proactor is, and what the emulation knows of it.

use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;

use super::request::Request;
use crate::reactor::{OperationId, Readiness, ShortRead, Stream, StreamListener};
use crate::slab::Token;

#[derive(Debug)]
pub(super) struct Device {
    pub(super) resource: Resource,
    pub(super) station: Station,
}

/// Shared with the operations under way, so that it stays open for as long as one works on it.
#[derive(Clone, Debug)]
pub(super) enum Resource {
    Stream(Rc<Stream>),
    Listener(Rc<StreamListener>),
    File(Arc<File>),
}

/// Where emulated operations wait for a socket. With io_uring they wait in the kernel, and this is empty.
#[derive(Debug)]
pub(super) struct Station {
    /// What watches the socket.
    pub(super) source: Option<Token>,
    /// What the kernel said and no call has used up.
    pub(super) ready: Readiness,
    pub(super) short_read: ShortRead,
    pub(super) input: Option<(OperationId, Request)>,
    pub(super) output: Option<(OperationId, Request)>,
}

impl Device {
    pub(super) fn new(resource: Resource, short_read: ShortRead) -> Device {
        Device {
            resource,
            station: Station {
                source: None,
                ready: Readiness::default(),
                short_read,
                input: None,
                output: None,
            },
        }
    }

    pub(super) fn is_listener(&self) -> bool {
        matches!(self.resource, Resource::Listener(_))
    }
}
