//! The hand-over on the loop: the offer, one successor at a time, and the process before.
//!
//! All three only serve the others, so no drain waits for them. None of them ever waits for a process:
//! each state of the protocol has its deadline on the wheel.

use std::io;
use std::os::fd::AsFd;

use super::book::Book;
use super::message::Message;
use super::protocol::{Fact, Giving, Outcome, Saying, Taking};
use super::socket::{Channel, Offer};
use crate::reactor::{
    Context, Error, ErrorKind, Event, EventSource, Local, Next, Registry, Removed, Succession,
};
use crate::slab::Token;
use crate::time::Span;

/// How long the process before may take to say that it goes, before that is reported.
const GOING: Span = Span::from_secs(10);

/// Lets successors in, one after the other.
pub(super) struct OfferSource {
    pub(super) offer: Offer,
    pub(super) book: Local<Book>,
    /// The one that is being served.
    pub(super) successor: Option<Token>,
}

impl OfferSource {
    fn accept<S: 'static>(&mut self, cx: &mut Context<'_, S>) -> io::Result<()> {
        let channel = self.offer.accept()?;
        if let Err(error) = channel.check_user() {
            tracing::warn!(target: "trine::hand_over", %error, "successor turned away");
            let _ = channel.send(&Message::Refused("wrong user".to_owned()), &[]); // it may be gone
            return Ok(());
        }
        let offer = self.offer.as_fd().try_clone_to_owned()?;
        let successor = SuccessorSource {
            channel,
            offer,
            source: cx.token(),
            state: Giving::new(cx.now()),
            book: self.book,
        };
        self.successor = Some(cx.insert(successor).map_err(|refused| refused.error)?);
        Ok(())
    }

    fn accept_next<S: 'static>(&mut self, cx: &mut Context<'_, S>) -> Next {
        while self.successor.is_none_or(|token| !cx.contains(token)) {
            self.successor = None;
            match self.accept(cx) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::warn!(target: "trine::hand_over", %error, "cannot let a successor in");
                    return Next::Until(cx.now().after(Span::from_secs(1)));
                }
            }
        }
        Next::Wait
    }
}

impl<S: 'static> EventSource<S> for OfferSource {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.readable_descriptor(&self.offer)
    }

    fn handle(&mut self, _event: Event, _state: &mut S, cx: &mut Context<'_, S>) -> Next {
        if !cx.is_draining() {
            return self.accept_next(cx);
        }
        match self.successor.is_some_and(|token| cx.contains(token)) {
            true => Next::Wait, // it has not been told yet, and resumes us
            false => Next::Close,
        }
    }

    /// Closes the second descriptors, so that the last of the first ones closes the sockets.
    fn removed(self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        drop(cx.unshare(self.book));
    }

    fn name(&self) -> &'static str {
        "hand-over offer"
    }

    fn is_background(&self) -> bool {
        true
    }
}

/// A process that wants the sockets.
struct SuccessorSource {
    channel: Channel,
    offer: std::os::fd::OwnedFd,
    /// Whom to resume when this one has ended.
    source: Token,
    state: Giving,
    book: Local<Book>,
}

impl SuccessorSource {
    fn tell<S: 'static>(&mut self, fact: Fact, cx: &mut Context<'_, S>) {
        let (book, now) = (self.book, cx.now());
        cx.with(book, |book, _| {
            let (mut next, wish) = self.state.next(fact, now, book.patience);
            let said = match &wish {
                None => Ok(()),
                Some(Saying::Plain(message)) => self.channel.send(message, &[]),
                Some(Saying::Sockets) => {
                    let sockets: Vec<_> = [self.offer.as_fd()]
                        .into_iter()
                        .chain(book.sockets())
                        .collect();
                    self.channel.send(&Message::Sockets(book.names()), &sockets)
                }
            };
            if said.is_err() && !matches!(next, Giving::Over(Outcome::Stays(_))) {
                next = Giving::Over(Outcome::Stays("the successor is gone"));
            }
            self.state = next;
            if next == Giving::Over(Outcome::HandedOver) {
                book.let_go();
            }
        });
    }

    /// Takes what has arrived.
    fn receive<S: 'static>(&mut self, cx: &mut Context<'_, S>) {
        while !matches!(self.state, Giving::Over(_)) {
            let fact = match self.channel.receive() {
                Ok(Some((message, _))) => Fact::Received(message), // and no use for descriptors
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => Fact::Closed,
            };
            self.tell(fact, cx);
        }
    }
}

impl<S: 'static> EventSource<S> for SuccessorSource {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.descriptor(&self.channel)
    }

    fn handle(&mut self, event: Event, _state: &mut S, cx: &mut Context<'_, S>) -> Next {
        self.receive(cx); // what came in time wins
        match event {
            Event::Deadline => self.tell(Fact::Deadline, cx),
            Event::Drain => self.tell(Fact::Drain, cx),
            _ => {}
        }
        match self.state {
            Giving::Over(Outcome::Stays(why)) => {
                tracing::warn!(target: "trine::hand_over", why, "not handed over: serving on");
                Next::Close
            }
            Giving::Over(Outcome::HandedOver) => {
                tracing::info!(target: "trine::hand_over", "handed over: draining");
                let grace = cx.with(self.book, |book, _| book.grace);
                cx.set_succession(Succession::PassedOn);
                cx.drain(grace.unwrap_or_default());
                Next::Close
            }
            state => Next::Until(state.deadline()),
        }
    }

    fn removed(self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        cx.resume(self.source);
    }

    fn name(&self) -> &'static str {
        "hand-over successor"
    }

    fn is_background(&self) -> bool {
        true
    }
}

/// The process before, as its successor sees it.
pub(super) struct PredecessorSource {
    pub(super) channel: Channel,
    pub(super) state: Announcing,
    pub(super) book: Local<Book>,
    /// Ours when the process before has gone.
    pub(super) offer: Option<Offer>,
}

/// What the process before knows of us.
#[derive(Debug)]
pub(super) enum Announcing {
    /// That we have the sockets.
    Silent,
    Said(Taking),
}

impl PredecessorSource {
    fn receive(&mut self) {
        while let Announcing::Said(Taking::Ready) = self.state {
            let fact = match self.channel.receive() {
                Ok(Some((message, _))) => Fact::Received(message),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => Fact::Closed,
            };
            self.state = Announcing::Said(Taking::Ready.next(fact));
        }
    }

    fn take_charge<S: 'static>(&mut self, cx: &mut Context<'_, S>) {
        let book = self.book;
        cx.with(book, |book, _| book.take_charge());
        cx.set_succession(Succession::InCharge);
        let Some(offer) = self.offer.take() else {
            return;
        };
        let source = OfferSource {
            offer,
            book,
            successor: None,
        };
        match cx.insert(source) {
            Ok(_) => tracing::info!(target: "trine::hand_over", "took over: in charge"),
            Err(refused) => {
                let error = refused.error;
                tracing::error!(target: "trine::hand_over", %error, "cannot offer the sockets in turn");
            }
        }
    }
}

impl<S: 'static> EventSource<S> for PredecessorSource {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.descriptor(&self.channel)
    }

    fn handle(&mut self, event: Event, _state: &mut S, cx: &mut Context<'_, S>) -> Next {
        if let Announcing::Silent = self.state {
            if cx.is_draining() {
                return Next::Close; // the process before sees us go, and stays
            }
            // The loop runs: what has been set up is served from now on. The other may be gone.
            let _ = self.channel.send(&Message::Ready, &[]);
            self.state = Announcing::Said(Taking::Ready);
        }
        self.receive();
        match (&self.state, event) {
            (Announcing::Said(Taking::InCharge), _) => {
                self.take_charge(cx);
                Next::Close
            }
            (Announcing::Said(Taking::Refused(why)), _) => {
                let what = format!("the process before, which goes on: {why}");
                let error = Error::new(ErrorKind::HandOver, "take over from", what);
                tracing::error!(target: "trine::hand_over", %error, "draining");
                let grace = cx.with(self.book, |book, _| book.grace);
                cx.fail(error, grace.unwrap_or_default());
                Next::Close
            }
            (_, Event::Drain) => Next::Close,
            (_, Event::Deadline) => {
                tracing::warn!(target: "trine::hand_over", "the process before does not say that it goes");
                Next::Wait
            }
            (_, Event::Resumed) => Next::Until(cx.now().after(GOING)),
            _ => Next::Wait,
        }
    }

    /// One that is not in charge leaves the sockets and their files to the process before.
    fn removed(self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        if self.offer.is_some() {
            drop(cx.unshare(self.book));
        }
    }

    fn name(&self) -> &'static str {
        "hand-over predecessor"
    }

    fn is_background(&self) -> bool {
        true
    }
}
