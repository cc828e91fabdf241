//! A client that asks one thing at a time, and comes anew when its connection has ended.

use std::net::SocketAddr;
use std::time::Duration;

use trine::http::Method;
use trine::testing::{Answer, Client, Sim};

/// Connections older than this without a word are left, before the server closes them.
const IDLE_MAX: Duration = Duration::from_secs(60);

pub struct Asker<Q> {
    client: Option<Client>,
    /// What it waits for, and since when.
    pub asked: Option<(Q, Duration)>,
    spoke_at: Duration,
    /// It got an answer that says it is the last.
    is_told_the_end: bool,
}

/// What became of a question.
#[derive(Debug)]
pub enum Told<Q> {
    Answered(Q, Answer, Duration),
    /// The connection ended, at this time, unless a fault ended it.
    Cut(Q, Option<Duration>),
}

impl<Q> Asker<Q> {
    pub fn new() -> Asker<Q> {
        Asker {
            client: None,
            asked: None,
            spoke_at: Duration::ZERO,
            is_told_the_end: false,
        }
    }

    /// Asks `question` with `octets`, if it waits for nothing.
    pub fn ask(&mut self, question: Q, octets: &[u8], sim: &mut Sim, address: SocketAddr) {
        assert!(self.asked.is_none(), "one thing at a time");
        let now = sim.elapsed();
        let is_stale = |client: &Client| !client.ends().is_open;
        if self.is_told_the_end
            || now.saturating_sub(self.spoke_at) > IDLE_MAX
            || self.client.as_ref().is_none_or(is_stale)
        {
            self.client = Some(sim.connect(address));
            self.is_told_the_end = false;
        }
        if let Some(client) = &mut self.client {
            client.send(octets);
        }
        self.spoke_at = now;
        self.asked = Some((question, now));
    }

    /// Resets its connection: what it has asked may happen or not.
    pub fn leave(&mut self) -> Option<Q> {
        if let Some(client) = &mut self.client {
            client.reset();
        }
        self.client = None;
        self.asked.take().map(|(question, _)| question)
    }

    /// Looks at what has come: an answer to what was asked, or nothing.
    pub fn look(&mut self, sim: &Sim) -> Option<Told<Q>> {
        let client = self.client.as_mut()?;
        let answer = client.next_answer(Method::Get);
        let ends = client.ends();
        if let Some(answer) = answer {
            let asked = self.asked.take();
            let (question, at) = asked.unwrap_or_else(|| panic!("nobody asked for {answer:?}"));
            assert!(!self.is_told_the_end, "behind the last came {answer:?}");
            self.is_told_the_end = answer.field("connection") == Some(b"close");
            self.spoke_at = sim.elapsed();
            return Some(Told::Answered(question, answer, sim.elapsed() - at));
        }
        if !ends.is_open {
            // Out of descriptors, the listener turns clients away rather than let them wait.
            let moments = ends.moments;
            let was_turned_away = moments.closed.is_some() && moments.closed == moments.accepted;
            self.client = None;
            let (question, _) = self.asked.take()?;
            let is_bad_luck = ends.was_struck || was_turned_away;
            // One that was never accepted ends with the listener.
            let closed = moments.closed.map_or(Duration::MAX, Duration::from_nanos);
            return Some(Told::Cut(question, (!is_bad_luck).then_some(closed)));
        }
        None
    }
}
