//! One suite for every way to run a server: what a server must do, it does under each combination of a
//! pattern of events and a model of concurrency.
//!
//! A combination is a row at the end of this file, a behaviour a function in the file of its group.

#[path = "../http_cases/mod.rs"]
mod http_cases;
#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bodies;
mod clients;
mod combination;
mod conformance;
mod deadlines;
mod drain;
mod limits;
mod loops;
mod site;

use combination::{Combination, Kind, Pattern};

/// What a server must do, by name.
type Behaviour = (&'static str, fn(&Combination));

fn check(group: &[Behaviour], combination: &Combination) {
    for (name, behaviour) in group {
        println!("{combination:?}: {name}"); // the last line says which failed
        behaviour(combination);
    }
}

/// One test for each group and row.
macro_rules! combinations {
    ($($row:ident: $pattern:ident x $kind:ident;)*) => {$(
        mod $row {
            use super::*;

            const ROW: Combination = Combination {
                pattern: Pattern::$pattern,
                kind: Kind::$kind,
            };

            #[test]
            fn answers_requests() {
                check(answers::GROUP, &ROW);
            }

            #[test]
            fn takes_and_gives_bodies() {
                check(bodies::GROUP, &ROW);
            }

            #[test]
            fn holds_its_limits() {
                check(limits::GROUP, &ROW);
            }

            #[test]
            fn holds_its_deadlines() {
                check(deadlines::GROUP, &ROW);
            }

            #[test]
            fn survives_its_clients() {
                check(clients::GROUP, &ROW);
            }

            #[test]
            fn drains() {
                check(drain::GROUP, &ROW);
            }

            #[test]
            fn uses_all_its_threads() {
                check(loops::GROUP, &ROW);
            }

            #[test]
            fn keeps_to_the_grammar() {
                check(conformance::GROUP, &ROW);
            }
        }
    )*};
}

combinations! {
    reactor_single: Reactor x Single;
    reactor_half_sync: Reactor x HalfSync;
    reactor_leader_followers: Reactor x Team;
    reactor_loop_per_core: Reactor x LoopPerCore;
    reactor_loop_per_core_one_acceptor: Reactor x OneAcceptor;
    reactor_loop_per_core_rebalancing: Reactor x Rebalancing;
    proactor_single: Proactor x Single;
    proactor_half_sync: Proactor x HalfSync;
    proactor_leader_followers: Proactor x Team;
    proactor_loop_per_core: Proactor x LoopPerCore;
    proactor_loop_per_core_one_acceptor: Proactor x OneAcceptor;
}

#[cfg(feature = "io-uring")]
combinations! {
    io_uring_single: IoUring x Single;
    io_uring_half_sync: IoUring x HalfSync;
    io_uring_leader_followers: IoUring x Team;
    io_uring_loop_per_core: IoUring x LoopPerCore;
    io_uring_loop_per_core_one_acceptor: IoUring x OneAcceptor;
}
