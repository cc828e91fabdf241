//! Shared values come, and go.

use std::rc::Rc;
use std::time::Duration;

use super::super::{Context, EventLoop, Link, Sources, StreamListener, StreamOptions};
use super::virtual_loop::virtual_loop;

#[test]
fn a_key_finds_its_value_and_never_that_of_another_tenant_of_its_place() {
    let mut events = virtual_loop::<()>();
    let mut cx = events.context();
    let (first, second) = (cx.share(1_u32), cx.share(2_u32));
    assert_eq!(
        cx.with(first, |value, _| std::mem::replace(value, 7)),
        Some(1)
    );
    assert_eq!(cx.unshare(first), Some(7));
    assert_eq!(
        (cx.unshare(first), cx.with(first, |value, _| *value)),
        (None, None)
    );
    let third = cx.share(3_u32);
    assert_eq!(cx.core.locals.len(), 2, "the place is used again");
    assert_eq!(cx.with(first, |value, _| *value), None);
    assert_eq!(cx.with(second, |value, _| *value), Some(2));
    assert_eq!(cx.with(third, |value, _| *value), Some(3));
}

#[test]
fn a_value_that_is_in_use_cannot_be_taken_out_for_good() {
    let mut events = virtual_loop::<()>();
    let key = events.context().share(1_u32);
    let inside = events.context().with(key, |_, cx| cx.unshare(key));
    assert_eq!(inside, Some(None));
    assert_eq!(events.context().unshare(key), Some(1));
}

/// A listener on a path of its own whose handler holds `alive`.
fn listen(events: &mut EventLoop<()>, alive: &Rc<()>) -> (crate::slab::Token, std::path::PathBuf) {
    let path = std::env::temp_dir().join(format!("trine-{}-locals", std::process::id()));
    let held = Rc::clone(alive);
    let handler =
        move |(): &mut (), _: &mut Link<'_, '_, ()>, _: &[u8]| assert!(Rc::strong_count(&held) > 0);
    let listener = StreamListener::bind_unix(&path).unwrap();
    let token = events
        .streams(listener, StreamOptions::default(), handler)
        .unwrap();
    (token, path)
}

#[test]
fn what_the_streams_of_a_listener_share_goes_with_the_last_of_listener_and_streams() {
    let alive = Rc::new(());
    let mut events = EventLoop::<()>::new().unwrap();
    let stay = |(): &mut (), _: &mut Context<'_, ()>| ();
    events.call_after(Duration::from_secs(60), stay).unwrap();
    for clients in [0, 1, 3, 0] {
        let (listener, path) = listen(&mut events, &alive);
        let _ = events.turn_now(&mut ()).unwrap();
        let clients: Vec<_> = (0..clients)
            .map(|_| std::os::unix::net::UnixStream::connect(&path).unwrap())
            .collect();
        let _ = events.turn_now(&mut ()).unwrap();
        assert_eq!(events.len(), 2 + clients.len());
        assert!(events.context().remove(listener));
        let _ = events.turn_now(&mut ()).unwrap();
        assert_eq!(
            events.context().core.locals.len(),
            usize::from(!clients.is_empty())
        );
        drop(clients);
        let _ = events.turn_now(&mut ()).unwrap();
        assert_eq!((events.len(), events.context().core.locals.len()), (1, 0));
        assert_eq!(Rc::strong_count(&alive), 1, "the handler is dropped");
    }
    let (first, _path) = listen(&mut events, &alive);
    assert_eq!(events.context().core.locals.len(), 1);
    assert!(events.context().remove(first));
}

#[test]
fn a_value_that_is_held_is_not_taken_out_and_stays_whole() {
    let mut events = virtual_loop::<()>();
    let mut cx = events.context();
    let key = cx.share(vec![1_u32]);
    let held = cx.hold(key).unwrap();
    assert_eq!(cx.unshare(key), None, "it is held");
    held.lend().unwrap().push(2);
    assert!(held.lend().is_some(), "given back");
    assert_eq!(cx.with(key, |value, _| value.len()), Some(2), "still there");
    let second = held.clone();
    drop(held);
    assert_eq!(cx.unshare(key), None, "held by another");
    drop(second);
    assert_eq!(cx.unshare(key), Some(vec![1, 2]));
    assert!(cx.hold(key).is_none(), "it is gone");
}

#[test]
fn a_key_of_another_loop_holds_nothing() {
    let (mut events, mut others) = (virtual_loop::<()>(), virtual_loop::<()>());
    let key = events.context().share(1_u32);
    let _ = others.context().share(2_u32); // at the same place
    assert!(others.context().hold(key).is_none());
    assert!(events.context().hold(key).is_some());
}

#[test]
fn what_is_lent_is_not_lent_again_meanwhile() {
    let mut events = virtual_loop::<()>();
    let mut cx = events.context();
    let key = cx.share(1_u32);
    let held = cx.hold(key).unwrap();
    let lent = held.lend().unwrap();
    assert!(held.lend().is_none());
    assert_eq!(cx.with(key, |value, _| *value), None);
    drop(lent);
    assert_eq!(cx.with(key, |value, _| *value), Some(1));
}
