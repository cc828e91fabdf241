//! Makes room while a server is short: walks its connections and closes those that have been idle for
//! longest.
//!
//! There is no list of idle connections, which every request would have to keep in order. While there
//! is enough of everything there is no sweep either: it is a source that comes when the server goes up
//! the ladder, passes over all connections every 100 ms, some in each turn, and goes when the server is
//! back to normal.
//!
//! ```text
//!   normal ── up the ladder ──> pass: look at 1,024 slots a turn ──> close the oldest found ─┐
//!     ^                          ^                                                          │
//!     └── normal again ── judge ─┴──────── 100 ms later, or when a client needs room ───────┘
//! ```
//!
//! Invariant: at most one for each server; `Host::sweep` names it.

use std::collections::BinaryHeap;
use std::fmt;

use super::driver::{OnLoop, OnProactor};
use super::host::Host;
use super::ladder::Rung;
use crate::reactor::{Context, Event, EventSource, Local, Next, Removed};
use crate::service::Service;
use crate::slab::Token;
use crate::time::{Span, Tick};

/// Slots of the loop that are looked at in one turn.
const SLOTS_PER_TURN: u32 = 1024;
/// Between two passes, unless a client comes for whom there is no room.
const REST: Span = Span::from_millis(100);
/// Connections that one pass closes at most for having been idle too long.
const EVICTIONS_MAX: usize = 1024;

/// A pass over the connections of a server, or the rest before it.
pub(super) struct Sweep<S, V> {
    host: Local<Host<S, V>>,
    pass: Option<Pass>,
}

/// One walk over all slots.
struct Pass {
    /// The next slot.
    slot: u32,
    /// Who has been idle for as long goes at once.
    span: Span,
    /// How many of the others are to go.
    wanted: usize,
    /// Those of them that have been idle for longest, the youngest of these on top.
    oldest: BinaryHeap<(Tick, u64)>,
    evicted: usize,
}

impl<S: 'static, V: Service<S>> Sweep<S, V> {
    pub(super) fn new(host: Local<Host<S, V>>) -> Sweep<S, V> {
        Sweep { host, pass: None }
    }

    fn sweep(&mut self, host: &mut Host<S, V>, cx: &mut Context<'_, S>) -> Next {
        if self.pass.is_none() {
            host.handle_standing_wish(cx);
            host.judge(cx);
            if host.overload.rung() == Rung::Normal {
                host.sweep = None;
                host.wake_listener(cx); // whoever waits there is to ask anew
                return Next::Close;
            }
            self.pass = Some(Pass::new(host));
            host.overload.begin_pass();
        }
        let Some(pass) = &mut self.pass else {
            return Next::Until(cx.now().after(REST));
        };
        for _ in 0..SLOTS_PER_TURN {
            if pass.slot >= host.slots(cx) {
                return self.end_pass(host, cx);
            }
            if let Some((token, since)) = host.idle_in(pass.slot, self.host, cx) {
                pass.look(token, since, host, cx);
            }
            pass.slot += 1;
        }
        Next::Again
    }

    fn end_pass(&mut self, host: &mut Host<S, V>, cx: &mut Context<'_, S>) -> Next {
        let Some(mut pass) = self.pass.take() else {
            return Next::Again;
        };
        for (_, token) in std::mem::take(&mut pass.oldest) {
            pass.evict(Token::from_bits(token), host, cx);
        }
        if pass.wanted > 0 {
            host.overload.handle_pass(pass.evicted);
        }
        if pass.evicted == 0 {
            // Whoever waits for a place has to be told that there is none.
            host.wake_listener(cx);
        }
        Next::Until(cx.now().after(REST))
    }
}

impl Pass {
    fn new<S, V>(host: &Host<S, V>) -> Pass {
        Pass {
            slot: 0,
            span: host.idle_span(),
            wanted: host.places_wanted(),
            oldest: BinaryHeap::new(),
            evicted: 0,
        }
    }

    /// Judges a connection that has been idle since then.
    fn look<S: 'static, V: Service<S>>(
        &mut self,
        token: Token,
        since: Tick,
        host: &Host<S, V>,
        cx: &mut Context<'_, S>,
    ) {
        let idle = cx.now().since(since);
        if idle >= self.span && self.evicted < EVICTIONS_MAX {
            return self.evict(token, host, cx);
        }
        if self.wanted == 0 || idle < host.overload.ladder().idle_min {
            return;
        }
        let youngest = self.oldest.peek().map(|(since, _)| *since);
        if self.oldest.len() < self.wanted {
            self.oldest.push((since, token.to_bits()));
        } else if youngest.is_some_and(|youngest| since < youngest) {
            self.oldest.pop();
            self.oldest.push((since, token.to_bits()));
        }
    }

    fn evict<S: 'static, V: Service<S>>(
        &mut self,
        token: Token,
        host: &Host<S, V>,
        cx: &mut Context<'_, S>,
    ) {
        self.evicted += usize::from(host.ask_for_place(token, cx));
    }
}

impl<S: 'static, V: Service<S>> Host<S, V> {
    /// How many slots there are to look at for connections.
    fn slots(&self, cx: &Context<'_, S>) -> u32 {
        match &self.afar {
            Some(afar) => afar.slots(),
            None => cx.index_bound(),
        }
    }

    /// Who is in a slot, and since when it has been idle, if it is one of this server's and is.
    fn idle_in(
        &self,
        slot: u32,
        of: Local<Host<S, V>>,
        cx: &mut Context<'_, S>,
    ) -> Option<(Token, Tick)> {
        let now = cx.now();
        if let Some(afar) = &self.afar {
            return afar.idle_since(slot, now, self.deadlines());
        }
        let token = cx.token_at(slot)?;
        let since = if let Some(driver) = cx.source_mut::<OnLoop<S, V>>(token) {
            driver.idle_since(of, self, now)
        } else if let Some(driver) = cx.source_mut::<OnProactor<S, V>>(token) {
            driver.idle_since(of, self, now)
        } else {
            None
        };
        Some((token, since?))
    }

    /// Asks one to go if it is idle still. False when it is gone.
    fn ask_for_place(&self, token: Token, cx: &mut Context<'_, S>) -> bool {
        if let Some(afar) = &self.afar {
            return afar.ask_for_place(token);
        }
        if let Some(driver) = cx.source_mut::<OnLoop<S, V>>(token) {
            driver.ask_for_place();
        } else if let Some(driver) = cx.source_mut::<OnProactor<S, V>>(token) {
            driver.ask_for_place();
        } else {
            return false;
        }
        cx.resume(token)
    }
}

impl<S: 'static, V: Service<S>> EventSource<S> for Sweep<S, V> {
    fn handle(&mut self, event: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        let host = self.host;
        let next = cx.with(host, |host, cx| match event {
            Event::Drain => {
                host.handle_drain(cx);
                host.sweep = None;
                Next::Close
            }
            _ => self.sweep(host, cx),
        });
        next.unwrap_or(Next::Close)
    }

    fn removed(self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        let token = cx.token();
        cx.with(self.host, |host, _| {
            host.sweep = host.sweep.filter(|sweep| *sweep != token);
        });
    }

    fn name(&self) -> &'static str {
        "overload sweep"
    }

    /// It serves the connections.
    fn is_background(&self) -> bool {
        true
    }
}

impl<S, V> fmt::Debug for Sweep<S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sweep")
    }
}
