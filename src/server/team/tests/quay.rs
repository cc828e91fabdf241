//! Where a connection and its ferry meet, in every order of events: run by `.ci/loom`.

use loom::sync::{Arc, Notify};
use loom::thread;

use super::{Farewell, Heard, Note, Quay, Side};
use crate::connection::CloseReason;
use crate::proactor::Came;
use crate::reactor::{Remote, Waker};
use crate::server::driver::Counted;
use crate::slab::Token;

fn hear(quay: &Quay) -> Heard {
    quay.hear(|| Waker::new(Remote::new(None), Token::from_bits(1 << 32)))
}

fn farewell() -> Farewell {
    Farewell {
        resets: false,
        note: Note {
            reason: CloseReason::PeerClosed,
            counted: Counted::Served,
        },
    }
}

#[test]
fn loom_each_wish_is_done_and_heard_of_and_the_ferry_leaves_last() {
    loom::model(|| {
        let quay = Arc::new(Quay::new());
        let (ferry, handler) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let other = {
            let (quay, ferry, handler) =
                (Arc::clone(&quay), Arc::clone(&ferry), Arc::clone(&handler));
            thread::spawn(move || {
                loop {
                    let wishes = quay.take_wishes();
                    if wishes.leave {
                        return quay.close().is_some();
                    }
                    if wishes.receive.is_some() {
                        quay.land(Side::Incoming, Came::End);
                        handler.notify();
                    }
                    ferry.wait();
                }
            })
        };
        for _ in 0..2 {
            while hear(&quay).incoming.is_none() {
                handler.wait();
            }
            quay.wish(Some(None), None);
            ferry.notify();
        }
        assert!(quay.leave(farewell()).is_ok());
        ferry.notify();
        assert!(other.join().unwrap(), "it has the last word");
    });
}

#[test]
fn loom_what_is_wished_of_a_ferry_that_goes_is_answered() {
    loom::model(|| {
        let quay = Arc::new(Quay::new());
        assert!(quay.take_wishes().receive.is_some());
        quay.land(Side::Incoming, Came::End);
        assert!(hear(&quay).incoming.is_some());
        let handler = Arc::new(Notify::new());
        let other = {
            let (quay, handler) = (Arc::clone(&quay), Arc::clone(&handler));
            thread::spawn(move || {
                assert!(quay.close().is_none());
                handler.notify();
            })
        };
        quay.wish(Some(None), None);
        let heard = loop {
            match hear(&quay) {
                Heard {
                    incoming: Some(incoming),
                    outgoing: Some(outgoing),
                    ..
                } => break [incoming, outgoing],
                _ => handler.wait(),
            }
        };
        assert!(heard.iter().all(|came| matches!(came, Came::Failed(_))));
        other.join().unwrap();
    });
}

#[test]
fn loom_an_end_is_written_into_the_books_by_exactly_one_of_the_two() {
    loom::model(|| {
        let quay = Arc::new(Quay::new());
        let other = {
            let quay = Arc::clone(&quay);
            thread::spawn(move || quay.close().is_some())
        };
        let is_given_back = quay.leave(farewell()).is_err();
        let is_taken = other.join().unwrap();
        assert!(is_given_back != is_taken);
    });
}
