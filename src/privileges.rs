//! Privileges, dropped for good: bind as root, serve as somebody else.
//!
//! ```no_run
//! use trine::privileges::drop_privileges;
//! use trine::{Response, Server};
//!
//! fn main() -> trine::Result<()> {
//!     let server = Server::bind("0.0.0.0:80")?; // needs root
//!     drop_privileges("www-data", None)?;
//!     server.serve(|_| Response::text("hello, from nobody in particular"))
//! }
//! ```
//!
//! A service manager does this better where there is one (`User=`, with socket activation or
//! `AmbientCapabilities=CAP_NET_BIND_SERVICE`): then there is no root to begin with.

use std::ffi::CString;
use std::fs;
use std::io;

use nix::errno::Errno;
use nix::unistd::{self, Gid, Group, Uid, User};
use rustix::thread::{CapabilityFlags, capabilities, no_new_privs, set_no_new_privs};

use crate::reactor::{Error, ErrorKind, Result};

const OPERATION: &str = "drop privileges to";

/// Who to be.
struct Identity {
    /// As it was asked for.
    subject: String,
    user: Uid,
    group: Gid,
    /// The name by which further groups are found; a user known by number only has none.
    name: Option<CString>,
}

/// Becomes `user` (a name, or a number) with `group`, or the user's own group and its further ones,
/// and can never go back: sets groups, group and user (real, effective and saved), forbids that any
/// program it starts gains privileges (no_new_privs), and verifies all of that, by trying to regain them
/// too.
///
/// Call it when everything that needs privileges is open, and before any thread is started: a
/// process that runs as this user already, and has no capabilities, passes with no_new_privs set.
///
/// # Errors
///
/// When the process has more than one thread (no_new_privs belongs to a thread); when there is no such
/// user or group; when it is root; when the process may not change its user; when anything is left
/// afterwards. The process may have changed in part by then: end it.
pub fn drop_privileges(user: &str, group: Option<&str>) -> Result<()> {
    let identity = Identity::find(user, group)?;
    if threads() > 1 {
        let what = format!(
            "{}: there are other threads; do it before they are started",
            identity.subject
        );
        return Err(Error::new(ErrorKind::Invalid, OPERATION, what));
    }
    let step = |step: &'static str, error: io::Error| {
        let subject = format!("{} ({step})", identity.subject);
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                let what = format!("{subject}: {error}; start as root, or as that user");
                Error::new(ErrorKind::Invalid, OPERATION, what)
            }
            _ => Error::io(OPERATION, subject, error),
        }
    };
    if !identity.is_reached() {
        identity
            .change()
            .map_err(|(name, errno)| step(name, errno.into()))?;
    }
    set_no_new_privs(true).map_err(|errno| step("no_new_privs", errno.into()))?;
    identity.verify()
}

impl Identity {
    fn find(user: &str, group: Option<&str>) -> Result<Identity> {
        let subject = match group {
            None => user.to_owned(),
            Some(group) => format!("{user}:{group}"),
        };
        let fail = |why: &str| {
            let what = format!("{subject}: {why}");
            Err(Error::new(ErrorKind::Invalid, OPERATION, what))
        };
        let number = user.parse().ok().map(Uid::from_raw);
        let known = match number {
            None => User::from_name(user),
            Some(number) => User::from_uid(number),
        };
        let Ok(known) = known else {
            return fail("the users cannot be looked up");
        };
        let Some(uid) = known.as_ref().map(|known| known.uid).or(number) else {
            return fail("there is no such user; create it, or name another");
        };
        let gid = match (group, &known) {
            (Some(group), _) => find_group(group),
            (None, Some(known)) => Some(known.gid),
            (None, None) => return fail("a user without a name needs a group"),
        };
        let Some(gid) = gid else {
            return fail("there is no such group; create it, or name another");
        };
        if uid.is_root() || gid.as_raw() == 0 {
            return fail("it has the privileges that are to be dropped; name another");
        }
        let name = known.filter(|_| group.is_none());
        Ok(Identity {
            subject,
            user: uid,
            group: gid,
            name: name.and_then(|known| CString::new(known.name).ok()),
        })
    }

    /// Whether the process is this user already, and nothing more.
    fn is_reached(&self) -> bool {
        self.remains().is_none()
    }

    /// All of these hold for the whole process: the C library sees to the threads.
    fn change(&self) -> std::result::Result<(), (&'static str, Errno)> {
        match &self.name {
            Some(name) => unistd::initgroups(name, self.group),
            None => unistd::setgroups(&[self.group]),
        }
        .map_err(|errno| ("setgroups", errno))?;
        let Identity { user, group, .. } = *self;
        unistd::setresgid(group, group, group).map_err(|errno| ("setgid", errno))?;
        unistd::setresuid(user, user, user).map_err(|errno| ("setuid", errno))
    }

    /// What there is of another user, group, or capability.
    fn remains(&self) -> Option<&'static str> {
        let users = unistd::getresuid().map(|ids| [ids.real, ids.effective, ids.saved]);
        if users != Ok([self.user; 3]) {
            return Some("the user is another");
        }
        let groups = unistd::getresgid().map(|ids| [ids.real, ids.effective, ids.saved]);
        if groups != Ok([self.group; 3]) {
            return Some("the group is another");
        }
        let root = Gid::from_raw(0);
        if unistd::getgroups().is_ok_and(|groups| groups.contains(&root)) {
            return Some("the group of root is among its groups");
        }
        let none = CapabilityFlags::empty();
        match capabilities(None) {
            Ok(sets) if sets.effective == none && sets.permitted == none => None,
            _ => Some("it has capabilities"),
        }
    }

    fn verify(&self) -> Result<()> {
        let root = (Uid::from_raw(0), Gid::from_raw(0));
        let regained = unistd::setuid(root.0).is_ok() || unistd::setgid(root.1).is_ok();
        let remains = match regained {
            true => Some("it can become root again"),
            false => self.remains(),
        };
        let remains = remains.or_else(|| match no_new_privs() {
            Ok(true) => None,
            _ => Some("programs it starts may gain privileges"),
        });
        match remains {
            None => Ok(()),
            Some(what) => {
                let what = format!("{}: done, and {what}", self.subject);
                Err(Error::new(ErrorKind::Invalid, OPERATION, what))
            }
        }
    }
}

fn find_group(group: &str) -> Option<Gid> {
    match group.parse() {
        Ok(number) => Some(Gid::from_raw(number)),
        Err(_) => Some(Group::from_name(group).ok()??.gid),
    }
}

/// Threads of this process; where there is no /proc, nobody knows of any.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}
