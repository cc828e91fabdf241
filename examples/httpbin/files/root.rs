//! A folder that no path leads out of.
//!
//! The kernel is asked to resolve a path beneath the folder (`openat2` with `RESOLVE_BENEATH`, Linux
//! 5.6): symbolic links inside are followed, and any that leads out, by whatever way, is refused in
//! the same step that opens the file, so there is no moment between check and use. Where the kernel
//! or a container forbids that call, each component is opened by itself, and no symbolic link is
//! followed at all.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// How a path is resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// By the kernel, in one call.
    Beneath,
    /// Component by component; symbolic links are refused.
    ByComponent,
}

/// The folder, opened once: renaming it changes nothing.
pub struct Root {
    folder: OwnedFd,
    lookup: Lookup,
}

/// Nobody has so deep a tree; the other lookup makes a system call for each.
const DEPTH_MAX: usize = 64;
/// A rename somewhere on the machine may disturb the kernel's check; it asks to try again.
const TRIES: usize = 8;

/// The folder itself, or one on the way: not to be read, only to go on from.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// What may be served. Does not wait for a writer, if it is a pipe, nor become our terminal.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

impl Root {
    /// The folder at `path`.
    ///
    /// # Errors
    ///
    /// When it is no folder, or must not be opened.
    pub fn new(path: &Path) -> io::Result<Root> {
        let folder = openat(CWD, path, FOLDER, Mode::empty())?;
        let lookup = match openat2(&folder, ".", FOLDER, Mode::empty(), BENEATH) {
            Ok(_) => Lookup::Beneath,
            Err(_) => Lookup::ByComponent,
        };
        Ok(Root { folder, lookup })
    }

    /// The same with this way of resolving paths, for tests of both.
    #[allow(dead_code, reason = "the server takes the better one that there is")]
    pub fn with_lookup(self, lookup: Lookup) -> Root {
        Root { lookup, ..self }
    }

    /// Opens what the plain `names` lead to, without waiting, whatever it is.
    ///
    /// # Errors
    ///
    /// The kernel's. ENOENT as well when a name is not plain.
    pub fn open(&self, names: &[Cow<'_, [u8]>]) -> Result<File, Errno> {
        if names.len() > DEPTH_MAX || !names.iter().all(|name| is_plain(name)) {
            return Err(Errno::NOENT);
        }
        let file = match self.lookup {
            Lookup::Beneath => self.open_beneath(&names.join(&b'/')),
            Lookup::ByComponent => self.open_by_component(names),
        };
        file.map(File::from)
    }

    fn open_beneath(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let mut result = Err(Errno::AGAIN);
        for _ in 0..TRIES {
            result = openat2(&self.folder, path, FILE, Mode::empty(), BENEATH);
            if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        result
    }

    fn open_by_component(&self, names: &[Cow<'_, [u8]>]) -> Result<OwnedFd, Errno> {
        let Some((last, before)) = names.split_last() else {
            return openat(&self.folder, ".", FILE, Mode::empty());
        };
        let mut folder: Option<OwnedFd> = None;
        for name in before {
            let from = folder.as_ref().unwrap_or(&self.folder).as_fd();
            folder = Some(openat(
                from,
                &name[..],
                FOLDER | OFlags::NOFOLLOW,
                Mode::empty(),
            )?);
        }
        let from = folder.as_ref().unwrap_or(&self.folder);
        openat(from, &last[..], FILE | OFlags::NOFOLLOW, Mode::empty())
    }
}

/// Whether it can only be the name of something in a folder. Hidden files stay hidden, `.` and `..`
/// among them; a backslash is a separator to some who read our links.
fn is_plain(name: &[u8]) -> bool {
    !name.is_empty()
        && !name.starts_with(b".")
        && !name.iter().any(|octet| matches!(octet, b'/' | b'\\' | 0))
}
