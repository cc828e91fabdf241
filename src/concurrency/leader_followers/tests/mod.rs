//! The lead and the seat, in every order of events: run by `.ci/loom`.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize as Counter, Ordering::SeqCst};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::baton::Baton;
use super::seat::{First, Parked, Seat};
use super::{Handler, TeamContext};
use crate::reactor::{Event, Next, Readiness};
use crate::slab::Token;
use crate::time::Tick;

/// Takes the lead until `left` events are taken; the one that takes the last ends it for all.
fn follows(baton: &Arc<Baton<usize>>) -> thread::JoinHandle<usize> {
    let baton = Arc::clone(baton);
    thread::spawn(move || {
        let mut served = 0;
        while let Some(mut lead) = baton.take() {
            let left = lead.held().unwrap();
            if *left == 0 {
                drop(lead);
                baton.end();
                break;
            }
            *left -= 1;
            drop(lead);
            served += 1;
        }
        served
    })
}

#[test]
fn loom_the_lead_is_never_lost_nor_with_two_and_at_the_end_nobody_waits() {
    loom::model(|| {
        let baton = Arc::new(Baton::new(2));
        let others = [follows(&baton), follows(&baton)];
        let served: usize = others.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(served, 2);
        assert!(baton.take().is_none());
    });
}

#[test]
fn loom_a_leader_that_panics_does_not_take_the_lead_along() {
    loom::model(|| {
        let baton = Arc::new(Baton::new(1));
        let lost = {
            let baton = Arc::clone(&baton);
            thread::spawn(move || {
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let _lead = baton.take();
                    std::panic::resume_unwind(Box::new(()));
                }));
            })
        };
        assert_eq!(baton.take().unwrap().held(), Some(&mut 1));
        lost.join().unwrap();
    });
}

/// Somebody to be handed around.
struct Nobody;

impl Handler<()> for Nobody {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn handle(&mut self, _: Event, (): &mut (), _: &TeamContext<'_>) -> Next {
        unreachable!("there is no team in a model")
    }
}

const READY: Event = Event::Ready(Readiness::READABLE);

/// What a thread of a team does with one edge: takes the handler if it is there, reads, parks.
fn serves(seat: &Seat<()>, token: Token, there: &AtomicUsize, read: &Counter) {
    let Some(mut handler) = seat.seize(token, READY).0 else {
        return;
    };
    loop {
        read.fetch_add(there.swap(0, Ordering::SeqCst), SeqCst);
        match seat.park(handler, Some(Tick::NEVER), false, false) {
            Parked::Missed(again, _) => handler = again,
            Parked::In { is_to_queue, .. } => return assert!(!is_to_queue),
        }
    }
}

#[test]
fn loom_an_edge_that_comes_while_a_handler_is_served_is_served_too() {
    loom::model(|| {
        let there = Arc::new(AtomicUsize::new(0));
        let read = std::sync::Arc::new(Counter::new(0));
        let seat = Arc::new(Seat::new());
        let generation = seat.occupy(First::Anything).unwrap();
        let token = Token::from_bits(u64::from(generation) << 32);
        let _ = seat.park(Box::new(Nobody), Some(Tick::NEVER), false, false);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (seat, there) = (Arc::clone(&seat), Arc::clone(&there));
                let read = std::sync::Arc::clone(&read);
                thread::spawn(move || {
                    there.fetch_add(1, Ordering::SeqCst); // then comes the edge
                    serves(&seat, token, &there, &read);
                })
            })
            .collect();
        threads.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(read.load(SeqCst), 2);
    });
}

#[test]
fn loom_an_edge_that_comes_while_a_handler_is_seated_is_served() {
    loom::model(|| {
        let there = Arc::new(AtomicUsize::new(0));
        let read = std::sync::Arc::new(Counter::new(0));
        let seat = Arc::new(Seat::new());
        let generation = seat.occupy(First::Anything).unwrap();
        let token = Token::from_bits(u64::from(generation) << 32);
        let leader = {
            let (seat, there) = (Arc::clone(&seat), Arc::clone(&there));
            let read = std::sync::Arc::clone(&read);
            thread::spawn(move || {
                there.fetch_add(1, Ordering::SeqCst); // it is registered: then comes the edge
                serves(&seat, token, &there, &read);
            })
        };
        // As `Team::insert` does it, and the next leader with what stands in the queue.
        let parked = seat.park(Box::new(Nobody), None, true, false);
        let is_queued = matches!(
            parked,
            Parked::In {
                is_to_queue: true,
                ..
            }
        );
        leader.join().unwrap();
        if is_queued {
            let handler = seat.seize(token, Event::Resumed).0;
            assert!(handler.is_some(), "it stands in the queue and is gone");
            read.fetch_add(there.swap(0, Ordering::SeqCst), SeqCst);
        }
        assert_eq!(read.load(SeqCst), 1);
    });
}
