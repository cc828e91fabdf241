//! What nodes do as a whole: compare, choose a revision, write. In Lua, as Redis 7.0 has it.
//!
//! Each script does all its reading before its one write, so one that ends with an error has written
//! nothing. (A touch writes head and expiry; the second cannot fail where the first did not.)

use redis::Cmd;

/// The scripts, in the order of [`Script`].
const SOURCES: [&str; 4] = [
    concat!(
        include_str!("lua/condition.lua"),
        include_str!("lua/revision.lua"),
        include_str!("lua/put.lua")
    ),
    concat!(
        include_str!("lua/condition.lua"),
        include_str!("lua/revision.lua"),
        include_str!("lua/touch.lua")
    ),
    concat!(
        include_str!("lua/condition.lua"),
        include_str!("lua/delete.lua")
    ),
    include_str!("lua/page.lua"),
];

#[derive(Clone, Copy, Debug)]
pub(super) enum Script {
    Put,
    Touch,
    Delete,
    Page,
}

/// What a node calls the scripts, in the order of [`Script`].
pub(super) type Names = [Vec<u8>; SOURCES.len()];

/// The commands that hand a node the scripts; each is answered by a name.
pub(super) fn loading() -> [Cmd; SOURCES.len()] {
    SOURCES.map(|source| {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(source);
        command
    })
}

/// The call of `script`, to which its arguments are to be added.
pub(super) fn call(script: Script, names: &Names, key: Option<&[u8]>) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(&names[script as usize]);
    match key {
        Some(key) => command.arg(1).arg(key),
        None => command.arg(0),
    };
    command
}
