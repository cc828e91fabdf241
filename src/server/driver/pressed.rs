//! A connection of a server that is short of something: see the ladder in
//! [`server`](crate::server#overload).

use super::super::host::Host;
use super::super::ladder::Rung;
use super::super::unit::Unit;
use super::Driver;
use crate::connection::{Step, Turn};
use crate::reactor::{Event, Held, Local, Next, Readiness};
use crate::server::present::Present;
use crate::server::transport::Transport;
use crate::service::Service;
use crate::time::Tick;

impl<S: 'static, V: Service<S>, T: Transport> Driver<S, Held<Host<S, V>>, T> {
    /// Since when it has been idle, if it is, and is a connection of `host`, which is at `local`.
    pub(in crate::server) fn idle_since(
        &self,
        local: Local<Host<S, V>>,
        host: &Host<S, V>,
        now: Tick,
    ) -> Option<Tick> {
        let (deadlines, before) = host.deadlines();
        match self.home.key() == local {
            true => self.connection.idle_since(now, deadlines, before),
            false => None,
        }
    }
}

impl<S: 'static, H, T: Transport> Driver<S, H, T> {
    /// Asks it to go when it is resumed, if it is idle then.
    pub(in crate::server) fn ask_for_place(&mut self) {
        self.connection.ask_for_place();
    }

    /// The client's next request may have come meanwhile: it is looked for first.
    #[cold]
    pub(super) fn handle_asked_for_place(&mut self, turn: &mut Turn<'_>) -> Step {
        if self.connection.is_reading() {
            self.ready = self.ready.union(Readiness::READABLE);
            self.read_all(turn);
        }
        self.connection.handle_eviction(turn.pools);
        self.connection.poll(turn)
    }

    /// In place of [`run`](Driver::run), or before it, while the server is short of memory or descriptors:
    /// the next answer is the last. When requests are refused, this is all there is to do.
    ///
    /// It says again what `run` says, on purpose: one way for both costs every request of a server that is
    /// short of nothing 9 instructions more.
    #[cold]
    #[inline(never)]
    pub(super) fn run_pressed<V: Service<S>>(
        &mut self,
        event: Event,
        host: &mut Host<S, V>,
        state: &mut S,
        cx: &mut impl Present,
    ) -> Option<Next> {
        self.connection.handle_no_keep_alive();
        if host.overload.rung() < Rung::Refuse {
            return None;
        }
        let Host {
            service,
            config,
            pools,
            date,
            metrics,
            observer,
            recorder,
            ..
        } = host;
        let is_observed = observer.is_some();
        let mut turn = Turn::new(cx.now(), date.at(cx.unix_seconds()), config, pools);
        turn.admit_nobody();
        if let Some(observer) = observer {
            turn.journal = observer.journal(cx.token());
        }
        let mut unit = Unit {
            service,
            state,
            metrics,
        };
        if let Event::Ready(readiness) = event {
            self.ready = self.ready.union(readiness);
        }
        let mut written = 0;
        let step = self.handle_event(event, cx.is_draining(), &mut turn, &mut written);
        let next = self.drive_refusing(step, &mut written, &mut turn, &mut unit, cx);
        if let Some(recorder) = recorder {
            self.record(recorder, event, &turn, written, cx);
        }
        if self.exchange.is_some() {
            self.let_go_if_over(&mut unit);
        }
        if is_observed {
            host.report(None, cx);
        }
        Some(next)
    }

    /// As [`drive`](Driver::drive), with every request turned away.
    fn drive_refusing<V: Service<S>>(
        &mut self,
        mut step: Step,
        written: &mut usize,
        turn: &mut Turn<'_>,
        unit: &mut Unit<'_, S, V>,
        cx: &impl Present,
    ) -> Next {
        loop {
            match self.go_on(step, written, turn, unit, cx) {
                Ok(()) => step = self.connection.turn_away(turn),
                Err(next) => return next,
            }
        }
    }
}
