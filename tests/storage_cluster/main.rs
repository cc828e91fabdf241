//! The cluster store against real nodes: `.ci/cluster` starts them, and says where they are.

#![cfg(all(feature = "redis", feature = "testing"))]

mod load;
mod loss;
mod moving;
mod nodes;

use std::panic::{AssertUnwindSafe, catch_unwind};

use nodes::Nodes;
use trine::storage::conformance::{CASES, Harness, Time};
use trine::storage::{ClusterOptions, Store};
use trine::time::Span;

struct Live {
    nodes: Nodes,
}

impl Harness for Live {
    fn open(&mut self) -> Box<dyn Store> {
        self.nodes.flush();
        self.nodes.open(ClusterOptions::default())
    }

    fn reopen(&mut self) -> Option<Box<dyn Store>> {
        Some(self.nodes.open(ClusterOptions::default()))
    }

    fn time(&self) -> Time {
        Time::Real {
            late: Span::from_millis(50),
        }
    }
}

#[test]
#[ignore = "needs a Redis Cluster: .ci/cluster"]
fn every_case_of_the_suite_holds() {
    let mut failed = Vec::new();
    for case in CASES {
        let mut live = Live {
            nodes: Nodes::find(),
        };
        let begun = std::time::Instant::now();
        match catch_unwind(AssertUnwindSafe(|| (case.run)(&mut live))) {
            Ok(verdict) => println!("{case:?}: {verdict:?} in {:?}", begun.elapsed()),
            Err(_) => failed.push(case.name),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
