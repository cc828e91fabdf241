//! A bounded inbox: messages from other threads as events of the loop.
//!
//! The queue is the standard library's bounded channel; what is added is that a message wakes the
//! loop, and that the loop can be told from the threads that may wait. Senders that come too fast
//! are told so; they never make the loop's memory grow, nor keep it from its other sources, which
//! have their turn after [`MESSAGES_PER_CALL`].

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError};
use std::thread::{self, ThreadId};

use super::context::Context;
use super::source::{Event, EventSource, Next};
use super::waker::Waker;

/// Messages taken before other sources have their turn.
const MESSAGES_PER_CALL: usize = 256;

/// What an inbox has to say.
#[derive(Debug)]
pub enum Mail<T> {
    /// Somebody sent this.
    Message(T),
    /// Every sender is gone. Said once; the inbox closes then.
    Closed,
}

/// The receiving end: a source of the loop.
pub(super) struct Inbox<T, F> {
    pub(super) receiver: Receiver<T>,
    pub(super) call: F,
}

impl<S, T, F> EventSource<S> for Inbox<T, F>
where
    S: 'static,
    T: 'static,
    F: FnMut(&mut S, Mail<T>, &mut Context<'_, S>) + 'static,
{
    fn handle(&mut self, _event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        for _ in 0..MESSAGES_PER_CALL {
            match self.receiver.try_recv() {
                Ok(message) => {
                    (self.call)(state, Mail::Message(message), cx);
                    if !cx.contains(cx.token()) {
                        return Next::Close; // the call removed it
                    }
                }
                Err(TryRecvError::Empty) => return Next::Wait,
                Err(TryRecvError::Disconnected) => {
                    (self.call)(state, Mail::Closed, cx);
                    return Next::Close;
                }
            }
        }
        Next::Again
    }

    fn name(&self) -> &'static str {
        "inbox"
    }

    fn is_background(&self) -> bool {
        true
    }
}

/// The sending end, for any thread. Clones share the inbox.
pub struct InboxSender<T> {
    queue: SyncSender<T>,
    /// Dropped after `queue`, and wakes the loop when the last clone goes.
    bell: Arc<Bell>,
}

impl<T> Clone for InboxSender<T> {
    fn clone(&self) -> InboxSender<T> {
        InboxSender {
            queue: self.queue.clone(),
            bell: Arc::clone(&self.bell),
        }
    }
}

/// Rings when the last sender is gone, so that the loop finds the channel closed.
struct Bell {
    waker: Waker,
    loop_thread: ThreadId,
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.waker.wake();
    }
}

/// Why a message was not sent, and the message.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError<T> {
    /// The inbox holds as many messages as it may.
    Full(T),
    /// The inbox or its loop is gone.
    Closed(T),
    /// The loop's own thread may not wait for the loop; [`InboxSender::try_send`] does not wait.
    WouldDeadlock(T),
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Full(_) => "the inbox is full: try later, or drop the message",
            SendError::Closed(_) => "the inbox is closed: its loop has ended",
            SendError::WouldDeadlock(_) => "the loop's thread cannot wait for itself: use try_send",
        })
    }
}

/// Says which error, and needs no `T: Debug`.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T> std::error::Error for SendError<T> {}

impl<T> InboxSender<T> {
    pub(super) fn new(queue: SyncSender<T>, waker: Waker) -> InboxSender<T> {
        let bell = Bell {
            waker,
            loop_thread: thread::current().id(),
        };
        InboxSender {
            queue,
            bell: Arc::new(bell),
        }
    }

    /// Sends `message` without ever waiting.
    ///
    /// # Errors
    ///
    /// Gives `message` back when the inbox is full or gone.
    pub fn try_send(&self, message: T) -> Result<(), SendError<T>> {
        match self.queue.try_send(message) {
            Ok(()) => {
                self.bell.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(message)) => Err(SendError::Full(message)),
            Err(TrySendError::Disconnected(message)) => Err(SendError::Closed(message)),
        }
    }

    /// Sends `message`, and waits while the inbox is full.
    ///
    /// # Errors
    ///
    /// Gives `message` back when the inbox is gone, and when it is full on the loop's own thread,
    /// where waiting would be for ever.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        if thread::current().id() == self.bell.loop_thread {
            return match self.try_send(message) {
                Err(SendError::Full(message)) => Err(SendError::WouldDeadlock(message)),
                result => result,
            };
        }
        // A full queue has a wake-up under way already: whoever filled it rang.
        match self.queue.send(message) {
            Ok(()) => {
                self.bell.waker.wake();
                Ok(())
            }
            Err(error) => Err(SendError::Closed(error.0)),
        }
    }
}

impl<T> fmt::Debug for InboxSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InboxSender({:?})", self.bell.waker)
    }
}
