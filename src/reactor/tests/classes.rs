//! Who goes first in a turn, and that nobody goes never.

use super::super::event_loop::BULK_PER_TURN;
use super::super::{Class, Context, Event, EventSource, Next, Readiness, Sources};
use super::virtual_loop::{MILLI, machine, virtual_loop};
use crate::slab::Token;
use crate::time::Tick;

/// Who was called, in order.
type Log = Vec<(Class, usize)>;

/// Notes its calls; has more work always, or never.
struct Worker {
    class: Class,
    number: usize,
    is_greedy: bool,
}

impl EventSource<Log> for Worker {
    fn handle(&mut self, event: Event, log: &mut Log, _: &mut Context<'_, Log>) -> Next {
        log.push((self.class, self.number));
        match self.is_greedy || matches!(event, Event::Ready(_)) && self.class == Class::Bulk {
            true => Next::Again,
            false => Next::Wait,
        }
    }

    fn class(&self) -> Class {
        self.class
    }
}

fn worker(on: &mut impl Sources<Log>, class: Class, number: usize, is_greedy: bool) -> Token {
    let worker = Worker {
        class,
        number,
        is_greedy,
    };
    on.context().insert(worker).unwrap()
}

#[test]
fn bulk_sources_have_their_share_of_every_turn_however_busy_the_others_are() {
    let (mut events, mut log) = (virtual_loop(), Log::new());
    for number in 0..100 {
        worker(&mut events, Class::Bulk, number, true);
    }
    let busy: Vec<Token> = (0..2_000)
        .map(|number| {
            let class = [Class::Control, Class::Normal][number % 2];
            worker(&mut events, class, number, number % 3 == 0)
        })
        .collect();
    for _ in 0..3 {
        let _ = events.turn_now(&mut log).unwrap(); // everybody is introduced
    }
    let mut calls = [0; 100];
    for _ in 0..100 {
        log.clear();
        let batch = busy.iter().map(|token| (*token, Readiness::READABLE));
        let batch = batch.collect();
        machine(&mut events).script.push_back(batch);
        let _ = events.turn_now(&mut log).unwrap();
        let bulk: Vec<usize> = log
            .iter()
            .filter_map(|(class, number)| (*class == Class::Bulk).then_some(*number))
            .collect();
        assert_eq!(bulk.len(), BULK_PER_TURN);
        bulk.iter().for_each(|number| calls[*number] += 1);
    }
    // 3,200 calls among 100, in turn.
    assert!(calls.iter().all(|calls| *calls == 32), "{calls:?}");
}

#[test]
fn a_control_source_goes_first_in_its_turn_and_bulk_keeps_no_turn_for_longer_than_its_share() {
    let (mut events, mut log) = (virtual_loop(), Log::new());
    let bulk: Vec<Token> = (0..500)
        .map(|number| worker(&mut events, Class::Bulk, number, true))
        .collect();
    let normal = worker(&mut events, Class::Normal, 0, false);
    let control = worker(&mut events, Class::Control, 0, false);
    for _ in 0..3 {
        let _ = events.turn_now(&mut log).unwrap();
    }
    for _ in 0..50 {
        log.clear();
        let tokens = bulk.iter().chain([&normal, &control]);
        let batch = tokens.map(|token| (*token, Readiness::READABLE)).collect();
        machine(&mut events).script.push_back(batch);
        let _ = events.turn_now(&mut log).unwrap();
        assert_eq!(log[0], (Class::Control, 0));
        assert_eq!(log[1], (Class::Normal, 0));
        assert_eq!(log.len(), 2 + BULK_PER_TURN);
    }
}

#[test]
fn the_readiness_of_a_bulk_source_waits_for_its_turn_and_is_not_lost() {
    let (mut events, mut log) = (virtual_loop(), Log::new());
    let bulk: Vec<Token> = (0..500)
        .map(|number| worker(&mut events, Class::Bulk, number, false))
        .collect();
    let _ = events.turn_now(&mut log).unwrap();
    log.clear();
    let batch = bulk.iter().map(|token| (*token, Readiness::READABLE));
    let batch = batch.collect();
    machine(&mut events).script.push_back(batch);
    // Each is called for its readiness and once more for what it left; then the loop may sleep.
    for _ in 0..2 * 500_usize.div_ceil(BULK_PER_TURN) {
        assert!(events.context().core.has_leftovers() || log.is_empty());
        let _ = events.turn_now(&mut log).unwrap();
    }
    assert!(!events.context().core.has_leftovers());
    let order: Vec<usize> = log.iter().map(|(_, number)| *number).collect();
    let expected: Vec<usize> = (0..500).chain(0..500).collect();
    assert_eq!(order, expected);
}

/// A source of some class that answers its readiness and its deadline with `answer`; until then it
/// waits for tick 10.
struct Waiter {
    class: Class,
    answer: Next,
}

/// What each waiter was told, by its slot.
type Told = Vec<(u32, &'static str)>;

impl EventSource<Told> for Waiter {
    fn handle(&mut self, event: Event, told: &mut Told, cx: &mut Context<'_, Told>) -> Next {
        let what = match event {
            Event::Ready(_) => "ready",
            Event::Deadline => "deadline",
            _ => return Next::Until(Tick(10)),
        };
        told.push((cx.token().index(), what));
        self.answer
    }

    fn class(&self) -> Class {
        self.class
    }
}

#[test]
fn what_came_in_time_for_more_bulk_sources_than_have_their_turn_goes_before_their_deadlines() {
    const SOURCES: usize = 4 * BULK_PER_TURN;
    let answers = [
        (Next::Wait, 0),
        (Next::Until(Tick(99)), 0),       // what came moves its deadline
        (Next::Again, 3 * BULK_PER_TURN), // its deadline stays what it was
        (Next::Close, 0),
    ];
    for (answer, deadlines) in answers {
        let (mut events, mut told) = (virtual_loop(), Told::new());
        let class = Class::Bulk;
        let tokens: Vec<Token> = (0..SOURCES)
            .map(|_| events.insert(Waiter { class, answer }).unwrap())
            .collect();
        let _ = events.turn_now(&mut told).unwrap();
        let batch = tokens.iter().map(|token| (*token, Readiness::READABLE));
        let batch = batch.collect();
        machine(&mut events).script.push_back(batch);
        machine(&mut events).nanos = 10 * MILLI;
        let _ = events.turn_now(&mut told).unwrap();
        for token in tokens {
            let mut own = told.iter().filter(|(index, _)| *index == token.index());
            assert_eq!(own.next(), Some(&(token.index(), "ready")), "{answer:?}");
        }
        let late = told.iter().filter(|(_, what)| *what == "deadline").count();
        // Those that had their turn, among the bulk, answered with a deadline or without one.
        let had_their_turn = if answer == Next::Again {
            BULK_PER_TURN
        } else {
            0
        };
        assert_eq!(late, deadlines + had_their_turn, "{answer:?}");
    }
}

#[test]
fn an_event_that_was_delivered_is_not_stale_because_it_was_the_last_one() {
    let (mut events, mut told) = (virtual_loop(), Told::new());
    let closes = |class| Waiter {
        class,
        answer: Next::Close,
    };
    let tokens = [Class::Control, Class::Normal, Class::Bulk, Class::Control]
        .map(|class| events.insert(closes(class)).unwrap());
    events.insert(closes(Class::Control)).unwrap(); // stays
    let _ = events.turn_now(&mut told).unwrap();
    let batch = tokens.map(|token| (token, Readiness::READABLE));
    machine(&mut events).script.push_back(batch.to_vec());
    let _ = events.turn_now(&mut told).unwrap();
    assert_eq!((told.len(), events.len()), (4, 1));
    assert_eq!(events.metrics().stale_events, 0);
    // And one that finds nobody is stale once.
    machine(&mut events).script.push_back(batch.to_vec());
    let _ = events.turn_now(&mut told).unwrap();
    assert_eq!((told.len(), events.metrics().stale_events), (4, 4));
}
