//! A client of a simulated machine.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::answer::Answer;
use super::sim::Inside;
use crate::http::Method;
use crate::reactor::simulated::{Ends, Network};

/// One connection, at the client's end; closed when it is dropped.
///
/// It takes what comes as it comes, unless it is [paused](Client::pause).
pub struct Client<S = ()> {
    inside: Rc<Inside<S>>,
    network: Network,
    id: usize,
}

impl<S: 'static> Client<S> {
    pub(super) fn new(inside: Rc<Inside<S>>, network: Network, id: usize) -> Client<S> {
        Client {
            inside,
            network,
            id,
        }
    }

    /// Sends `bytes`. They are on their way; nothing happens until the simulation goes on, by
    /// [`reply`](Client::reply), [`Sim::settle`](super::Sim::settle) or
    /// [`Sim::advance`](super::Sim::advance).
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.network.send(self.id, bytes.as_ref());
    }

    /// Sends nothing more, but goes on reading (FIN).
    pub fn finish(&mut self) {
        self.network.finish(self.id);
    }

    /// Resets the connection (RST).
    pub fn reset(&mut self) {
        self.network.reset(self.id);
    }

    /// Takes nothing of what comes from now on, as a client does that never reads.
    pub fn pause(&mut self) {
        self.network.set_reading(self.id, false);
    }

    /// Takes everything again.
    pub fn resume(&mut self) {
        self.network.set_reading(self.id, true);
    }

    /// Takes up to `max` bytes of what has come, of one that is paused.
    pub fn take(&mut self, max: usize) {
        self.network.receive(self.id, max);
    }

    /// The next whole answer, when all that can be done without time passing has been done.
    /// Informational ones are skipped.
    ///
    /// # Panics
    ///
    /// When there is no whole answer, or what came is none.
    pub fn reply(&mut self) -> Answer {
        match self.try_reply() {
            Some(answer) => answer,
            None => panic!("no whole answer, but {:?}", self.peek()),
        }
    }

    /// As [`reply`](Client::reply); `None` when there is no whole answer.
    ///
    /// # Panics
    ///
    /// When what came is not an answer.
    pub fn try_reply(&mut self) -> Option<Answer> {
        self.reply_to(Method::Get)
    }

    /// As [`try_reply`](Client::try_reply), to a request with another method: the answer to HEAD has
    /// no body.
    ///
    /// # Panics
    ///
    /// When what came is not an answer.
    pub fn reply_to(&mut self, method: Method) -> Option<Answer> {
        self.inside.run(Duration::ZERO);
        self.next_answer(method)
    }

    /// The next whole answer among what has come already: runs nothing.
    ///
    /// # Panics
    ///
    /// When what came is not an answer.
    pub fn next_answer(&mut self, method: Method) -> Option<Answer> {
        let has_ended = !self.network.ends(self.id).is_open;
        self.network.with_received(self.id, |received| {
            match Answer::parse(received, method, has_ended) {
                Ok(found) => {
                    let (answer, len) = found?;
                    received.drain(..len);
                    Some(answer)
                }
                Err(error) => {
                    let text = String::from_utf8_lossy(received);
                    panic!("what came is not an answer: {error}: {text:?}")
                }
            }
        })
    }

    /// Takes what has come and was not given as an answer.
    pub fn take_received(&mut self) -> Vec<u8> {
        self.network.with_received(self.id, std::mem::take)
    }

    /// Whether the server has neither ended nor reset the connection, when all that can be done
    /// without time passing has been done.
    pub fn is_open(&mut self) -> bool {
        self.inside.run(Duration::ZERO);
        self.ends().is_open
    }

    /// What has become of the connection: runs nothing.
    #[must_use]
    pub fn ends(&self) -> Ends {
        self.network.ends(self.id)
    }

    fn peek(&self) -> String {
        self.network.with_received(self.id, |received| {
            String::from_utf8_lossy(received).into_owned()
        })
    }
}

impl<S> Drop for Client<S> {
    fn drop(&mut self) {
        self.network.close(self.id);
    }
}

impl<S> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("ends", &self.network.ends(self.id))
            .finish_non_exhaustive()
    }
}
