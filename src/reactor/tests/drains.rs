//! How drains end: who is told, who is removed, and that no panic is more than its source's end.

use std::time::Duration;

use super::super::dispatch::NAMELESS;
use super::super::{Context, ErrorKind, Event, EventLoop, EventSource, Next, Removed, Sources};
use super::virtual_loop::{probe, virtual_loop};

/// A source that notes what becomes of it.
#[derive(Default)]
struct Noted {
    is_background: bool,
    /// How many generations it leaves behind, each when the one before is removed.
    heirs: u32,
    panics: Option<&'static str>,
}

#[derive(Default, Debug, PartialEq, Eq)]
struct Seen {
    drains: u32,
    removed: Vec<Removed>,
}

impl EventSource<Seen> for Noted {
    fn handle(&mut self, event: Event, seen: &mut Seen, _: &mut Context<'_, Seen>) -> Next {
        seen.drains += u32::from(matches!(event, Event::Drain));
        Next::Wait
    }

    fn removed(self: Box<Self>, why: Removed, seen: &mut Seen, cx: &mut Context<'_, Seen>) {
        seen.removed.push(why);
        if let Some(heirs) = self.heirs.checked_sub(1) {
            cx.insert(Noted { heirs, ..*self }).unwrap();
        }
    }

    fn name(&self) -> &'static str {
        assert_ne!(self.panics, Some("name"));
        "noted"
    }

    fn is_background(&self) -> bool {
        self.is_background
    }

    fn is_settled(&self) -> bool {
        assert_ne!(self.panics, Some("is_settled"));
        false
    }
}

fn noted(events: &mut EventLoop<Seen>, source: Noted) {
    events.insert(source).unwrap();
}

#[test]
fn a_run_that_ends_by_a_drain_or_by_force_takes_no_wish_to_stop_into_the_next() {
    for forced in [false, true] {
        let mut events = virtual_loop::<u32>();
        let end = move |_: &mut u32, cx: &mut Context<'_, u32>| {
            cx.drain(Duration::from_secs(1));
            if forced {
                cx.force();
            }
            cx.stop();
        };
        events.call_after(Duration::ZERO, end).unwrap();
        probe(&mut events, |event, _, _| match event {
            Event::Drain => Next::Close,
            _ => Next::Wait,
        });
        assert_eq!(events.run(&mut 0).is_err(), forced);
        assert!(events.is_empty());

        let count = |fired: &mut u32, _: &mut Context<'_, u32>| *fired += 1;
        events.call_after(Duration::from_millis(1), count).unwrap();
        let mut fired = 0;
        events.run(&mut fired).unwrap();
        assert_eq!(fired, 1, "forced: {forced}");
    }
}

#[test]
fn every_source_is_told_of_a_drain_once_when_there_are_only_background_ones_too() {
    for introduced in [true, false] {
        let (mut events, mut seen) = (virtual_loop(), Seen::default());
        for _ in 0..5_000 {
            let source = Noted {
                is_background: true,
                ..Noted::default()
            };
            noted(&mut events, source);
        }
        while introduced && events.context().core.has_leftovers() {
            let _ = events.turn_now(&mut seen).unwrap();
        }
        events.context().drain(Duration::from_secs(1));
        events.run(&mut seen).unwrap();
        assert_eq!((seen.drains, seen.removed.len()), (5_000, 5_000));
        assert!(seen.removed.iter().all(|why| *why == Removed::Drained));
    }
}

#[test]
fn what_a_source_leaves_behind_when_the_drain_removes_it_goes_with_the_drain() {
    for forced in [false, true] {
        let (mut events, mut seen) = (virtual_loop(), Seen::default());
        for _ in 0..3 {
            let source = Noted {
                is_background: !forced,
                heirs: 4,
                ..Noted::default()
            };
            noted(&mut events, source);
        }
        events.context().drain(Duration::from_secs(1));
        if forced {
            events.context().force();
        }
        assert_eq!(events.run(&mut seen).is_err(), forced);
        assert!(events.is_empty(), "{} outlive it", events.len());
        assert_eq!(seen.removed.len(), 3 * 5);
    }
}

#[test]
fn a_source_that_always_leaves_another_behind_does_not_keep_a_drain_for_ever() {
    let (mut events, mut seen) = (virtual_loop(), Seen::default());
    let source = Noted {
        heirs: u32::MAX,
        ..Noted::default()
    };
    noted(&mut events, source);
    events.context().drain(Duration::from_secs(1));
    events.context().force();
    assert!(events.run(&mut seen).is_err());
    assert_eq!((events.len(), seen.removed.len()), (1, 16));
}

#[test]
fn a_source_that_panics_when_asked_whether_it_is_settled_is_unfinished_and_no_more() {
    let (mut events, mut seen) = (virtual_loop(), Seen::default());
    for panics in [None, Some("is_settled"), None] {
        let source = Noted {
            panics,
            ..Noted::default()
        };
        noted(&mut events, source);
    }
    events.context().drain(Duration::ZERO);
    let error = events.run(&mut seen).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DrainForced);
    assert!(error.to_string().contains("3 sources"), "{error}");
    let expected = [Removed::Forced, Removed::Panicked, Removed::Forced];
    assert_eq!(seen.removed, expected);
    assert_eq!(events.metrics().panics, 1);
    assert!(events.is_empty());
}

#[test]
fn a_source_that_panics_when_asked_for_its_name_works_without_one() {
    let (mut events, mut seen) = (virtual_loop(), Seen::default());
    for panics in [Some("name"), None] {
        let source = Noted {
            panics,
            ..Noted::default()
        };
        noted(&mut events, source);
    }
    let _ = events.turn_now(&mut seen).unwrap();
    assert_eq!((events.len(), events.metrics().panics), (2, 0));
    events.context().drain(Duration::ZERO);
    let error = events.run(&mut seen).unwrap_err();
    assert!(error.to_string().contains(NAMELESS), "{error}");
    assert_eq!((seen.drains, seen.removed.len()), (0, 2));
}
