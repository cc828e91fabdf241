//! Children that end before anybody watches them.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, WaitId, WaitOptions, WaitidOptions, waitid, waitpid};

use super::super::child::ChildSource;
use super::super::{ChildExit, Context, EventLoop};

fn exit_with_7() -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", "exit 7"]).stdin(Stdio::null());
    command.spawn().unwrap()
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32).unwrap()
}

#[test]
fn a_child_that_ended_before_it_was_watched_is_reported_with_its_status() {
    let child = exit_with_7();
    // Until it is a zombie; its status stays.
    waitid(
        WaitId::Pid(pid(&child)),
        WaitidOptions::EXITED | WaitidOptions::NOWAIT,
    )
    .unwrap();
    let mut events = EventLoop::<Option<i32>>::new().unwrap();
    let source = ChildSource::new(
        child,
        |code: &mut Option<i32>, exit, _: &mut Context<'_, _>| match exit {
            ChildExit::Exited(status) => *code = status.code(),
            ChildExit::Stolen => panic!("nobody stole it"),
        },
    );
    events.insert(source.unwrap()).unwrap();
    let mut code = None;
    events.run(&mut code).unwrap();
    assert_eq!(code, Some(7));
}

#[test]
fn a_child_whose_status_somebody_else_took_is_reported_as_stolen() {
    let mut command = Command::new("sh");
    command
        .args(["-c", "read line; exit 7"])
        .stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (hold, pid) = (child.stdin.take(), pid(&child));
    let mut events = EventLoop::<bool>::new().unwrap();
    let source = ChildSource::new(child, |stolen: &mut bool, exit, _: &mut Context<'_, _>| {
        *stolen = matches!(exit, ChildExit::Stolen);
    });
    drop(hold);
    waitpid(Some(pid), WaitOptions::empty()).unwrap();
    events.insert(source.unwrap()).unwrap();
    let mut stolen = false;
    events.run(&mut stolen).unwrap();
    assert!(stolen);
}

#[test]
fn a_child_whose_status_somebody_else_took_before_it_could_be_watched_is_stolen_too() {
    let child = exit_with_7();
    waitpid(Some(pid(&child)), WaitOptions::empty()).unwrap(); // its id is anybody's now
    let source = ChildSource::new(child, |stolen: &mut bool, exit, _: &mut Context<'_, _>| {
        *stolen = matches!(exit, ChildExit::Stolen);
    });
    let mut events = EventLoop::<bool>::new().unwrap();
    events.insert(source.unwrap()).unwrap();
    let mut stolen = false;
    events.run(&mut stolen).unwrap();
    assert!(stolen);
}
