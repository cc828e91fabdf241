//! The file that a Unix socket makes: who removes it, and when.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file of a socket of this process, by its path and what tells it from a successor's. Removed
/// when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// The process that made it; a forked child that drops its copy removes nothing.
    process: u32,
}

impl SocketFile {
    /// The file at `path`, which is ours from now on.
    pub(crate) fn at(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile {
            path: path.to_owned(),
            identity: identity(path)?,
            process: std::process::id(),
        })
    }

    /// Leaves the file to another process.
    pub(crate) fn leave(mut self) {
        self.process = 0; // nobody's
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = identity(&self.path).is_ok_and(|found| found == self.identity);
        if is_ours && self.process == std::process::id() {
            let _ = fs::remove_file(&self.path); // or somebody else has just done it
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
