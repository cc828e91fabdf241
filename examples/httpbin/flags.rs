//! The flags of this server alone.

use std::path::PathBuf;

/// What was said on the command line besides the [flags of every
/// server](super::support::server_flags::ServerFlags).
#[derive(Default)]
pub struct OwnFlags {
    pub is_anything: bool,
    pub access_log: Option<PathBuf>,
    pub root: Option<PathBuf>,
}

impl OwnFlags {
    /// For the text that `--help` prints.
    pub const USAGE: &str = "  \
  --access-log FILE     one line a request, in the combined format, with seconds and how it ended;
                        opened anew on SIGHUP
  --anything            answer every request as /anything is
  --root FOLDER         serve the files in it as /files/... (default: none)";

    /// Takes the value of `--name`, if it is one of these flags.
    pub fn take(&mut self, name: &str, from: &mut lexopt::Parser) -> Result<bool, lexopt::Error> {
        match name {
            "access-log" => self.access_log = Some(from.value()?.into()),
            "anything" => self.is_anything = true,
            "root" => self.root = Some(from.value()?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}
