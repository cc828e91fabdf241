//! A connection of a team by the operations of its ferry: what has come is fetched before a call, and what
//! the call wishes is left behind after it.

use super::on_team::OnTeam;
use crate::reactor::{Event, Next, Readiness};
use crate::server::present::Present;
use crate::server::team::{Bench, Carrier};
use crate::service::Service;

impl<S: 'static> OnTeam<S> {
    /// Reacts to what the thread is told for it, when that is about more than its socket.
    pub(super) fn visit_ferried<V: Service<S>>(
        &mut self,
        event: Event,
        bench: &mut Bench<S, V>,
        cx: &mut impl Present,
    ) -> Next {
        let mut next = Next::Wait;
        for event in self.hear(event, cx).into_iter().flatten() {
            next = self.visit(event, bench, cx);
            if next == Next::Close {
                return next;
            }
        }
        let Carrier::Ferried(ferried) = &mut self.stream else {
            return next;
        };
        let output = self.connection.output();
        ferried.wish(output, |bytes| bench.host.pools.meter().charge(bytes));
        match next {
            // A deadline that has passed would come again, and again, until the ferry has looked.
            Next::Until(_) if ferried.is_asking() => Next::Wait,
            next => next,
        }
    }

    /// What `event`, and what has come, are to the driver.
    fn hear(&mut self, event: Event, cx: &impl Present) -> [Option<Event>; 2] {
        let Carrier::Ferried(ferried) = &mut self.stream else {
            return [Some(event), None];
        };
        let news = ferried.hear(|| cx.waker());
        self.ready = self.ready.union(news.readiness);
        let is_to_be_judged = match event {
            Event::Deadline | Event::Drain => true,
            Event::Resumed => cx.is_draining() || self.connection.is_asked_for_place(),
            _ => false,
        };
        if is_to_be_judged && ferried.ask(event) {
            return [None, news.judged];
        }
        let has_come = news.readiness != Readiness::default();
        match event {
            // An exchange in pieces asks whether it was woken; a promised answer is found either way.
            Event::Woken if has_come && !self.connection.is_streaming() => {
                [Some(Event::Ready(news.readiness)), news.judged]
            }
            event => [Some(event), news.judged],
        }
    }
}
