//! What operations work on, as the user holds it: a socket, a listener, a file.
//!
//! A handle is the right to start operations, not the descriptor. The descriptor is the proactor's, and
//! stays open while an operation works on it; a handle that is dropped cancels those and then closes it.
//! So a descriptor's number is never another's while the kernel works on it, and a handle that is
//! leaked leaks a descriptor and nothing else.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use crate::reactor::Waker;
use crate::slab::Token;

/// A connected stream that operations work on. Dropped: they are cancelled, and it is closed.
#[derive(Debug)]
pub struct Socket(pub(super) Handle);

/// A listening socket that operations work on. Dropped: they are cancelled, and it is closed.
#[derive(Debug)]
pub struct Listening(pub(super) Handle);

/// A file that operations work on. Dropped: it is closed when those under way have completed.
#[derive(Debug)]
pub struct DiskFile(pub(super) Handle);

pub(super) struct Handle {
    pub(super) token: Token,
    /// `None` when the proactor has been told that the handle is gone.
    releases: Option<Rc<Releases>>,
}

impl Handle {
    pub(super) fn new(token: Token, releases: &Rc<Releases>) -> Handle {
        let releases = Some(Rc::clone(releases));
        Handle { token, releases }
    }

    /// Gives the token to who tells the proactor itself that the handle is gone.
    pub(super) fn disarm(mut self) -> Token {
        self.releases = None;
        self.token
    }

    /// Whether it was made by the proactor that `releases` belong to.
    #[inline]
    pub(super) fn is_of(&self, releases: &Rc<Releases>) -> bool {
        let own = self.releases.as_ref();
        own.is_some_and(|own| Rc::ptr_eq(own, releases))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(releases) = &self.releases {
            releases.push(self.token);
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.token)
    }
}

/// The handles that were dropped, for the proactor to look at. A handle may be dropped anywhere, where
/// there is no loop at hand, so it leaves a word here and wakes the proactor.
pub(super) struct Releases {
    dropped: Cell<Vec<Token>>,
    waker: Waker,
}

impl Releases {
    pub(super) fn new(waker: Waker) -> Rc<Releases> {
        let dropped = Cell::default();
        Rc::new(Releases { dropped, waker })
    }

    fn push(&self, token: Token) {
        let mut dropped = self.dropped.take();
        dropped.push(token);
        self.dropped.set(dropped);
        self.waker.wake();
    }

    pub(super) fn take(&self) -> Vec<Token> {
        self.dropped.take()
    }
}
