//! Whether what several threads saw of one key is explained by some order of their operations
//! (linearizability: Herlihy and Wing, TOPLAS 1990; the search is that of Wing and Gong, 1993).
//!
//! ```text
//!   thread 1   |--- put a ---|        |--- get: a ---|
//!   thread 2         |--- put b ---|                       an order that explains it: b, a, get
//! ```

use std::collections::HashSet;

use crate::storage::{Condition, Operation, Reply};

/// One operation of one thread: when it was called, and when it returned, by a clock of all threads.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) called: u64,
    pub(super) returned: u64,
    pub(super) operation: Operation,
    pub(super) reply: Reply,
}

/// The index of the write that made the present value.
type State = Option<usize>;

/// Whether an order explains `history`, which begins with no value and has at most 64 events.
pub(super) fn is_linearizable(history: &[Event]) -> bool {
    let mut search = Search {
        history,
        tried: HashSet::new(),
    };
    search.explains(0, None)
}

struct Search<'a> {
    history: &'a [Event],
    /// What was done, as bits, with the state after it; each is tried once.
    tried: HashSet<(u64, State)>,
}

impl Search<'_> {
    /// Whether the events that are not in `done` can follow on `state`.
    fn explains(&mut self, done: u64, state: State) -> bool {
        let is_open = |index: &usize| done & (1 << index) == 0;
        let open: Vec<usize> = (0..self.history.len()).filter(is_open).collect();
        let Some(first_return) = open.iter().map(|&index| self.history[index].returned).min()
        else {
            return true;
        };
        // Who was called after another had returned cannot come before it.
        let may_be_next = |index: &usize| self.history[*index].called < first_return;
        let next: Vec<usize> = open.into_iter().filter(may_be_next).collect();
        next.into_iter().any(|index| {
            let Some(after) = self.after(index, state) else {
                return false;
            };
            let done = done | (1 << index);
            self.tried.insert((done, after)) && self.explains(done, after)
        })
    }

    /// The state after the event at `index`, if its reply is the one that `state` gives.
    fn after(&self, index: usize, state: State) -> Option<State> {
        let value = state.and_then(|writer| self.value_of(writer));
        let revision = value.as_ref().map(|(revision, _)| *revision);
        let condition = match &self.history[index].operation {
            Operation::Put { condition, .. } | Operation::Delete { condition, .. } => *condition,
            _ => Condition::Any,
        };
        let holds = condition.holds(revision);
        match &self.history[index].reply {
            Reply::Got(None) => state.is_none().then_some(state),
            Reply::Got(Some(entry)) => {
                let is_same = value.is_some_and(|(revision, value)| {
                    entry.revision == revision && entry.value == value
                });
                is_same.then_some(state)
            }
            Reply::Written(written) => {
                let is_right = holds && written.replaced == state.is_some();
                is_right.then_some(Some(index))
            }
            Reply::Deleted(was_there) => (holds && *was_there == state.is_some()).then_some(None),
            Reply::Conflict(told) => (!holds && *told == revision).then_some(state),
            Reply::Page(_) => None,
        }
    }

    /// The revision and the value that the event at `writer` made.
    fn value_of(&self, writer: usize) -> Option<(crate::storage::Revision, bytes::Bytes)> {
        let event = &self.history[writer];
        match (&event.operation, &event.reply) {
            (Operation::Put { value, .. }, Reply::Written(written)) => {
                Some((written.revision, value.clone()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::conformance::subject::{get, put};
    use crate::storage::{Entry, Revision, Written};
    use bytes::Bytes;

    const KEY: Bytes = Bytes::from_static(b"key");

    fn revision(number: u64) -> Revision {
        Revision::new(number).expect("not zero")
    }

    fn wrote(called: u64, returned: u64, number: u64, replaced: bool) -> Event {
        Event {
            called,
            returned,
            operation: put(&KEY, format!("{number}")),
            reply: Reply::Written(Written {
                revision: revision(number),
                replaced,
            }),
        }
    }

    fn read(called: u64, returned: u64, number: u64) -> Event {
        let entry = Entry {
            key: KEY,
            value: format!("{number}").into(),
            revision: revision(number),
            expires: None,
        };
        Event {
            called,
            returned,
            operation: get(&KEY),
            reply: Reply::Got(Some(entry)),
        }
    }

    #[test]
    fn writes_at_the_same_time_may_be_in_either_order() {
        for (last, is_possible) in [(1, false), (2, true)] {
            // The second one says that it replaced a value, so it was not the first.
            let history = [
                wrote(1, 9, 1, false),
                wrote(2, 8, 2, true),
                read(10, 11, last),
            ];
            assert_eq!(is_linearizable(&history), is_possible);
        }
    }

    #[test]
    fn a_read_after_a_write_does_not_see_what_was_before() {
        let history = [wrote(1, 2, 1, false), wrote(3, 4, 2, true), read(5, 6, 1)];
        assert!(!is_linearizable(&history));
        let at_the_same_time = [wrote(1, 2, 1, false), wrote(3, 7, 2, true), read(5, 6, 1)];
        assert!(is_linearizable(&at_the_same_time));
    }
}
