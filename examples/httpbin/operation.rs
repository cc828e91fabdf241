//! How the server is operated: restarted without loss, given new settings, run as somebody else.

use std::net::SocketAddr;
use std::path::PathBuf;

use trine::Server;
use trine::server::OnReload;

use super::support::server_flags::ServerFlags;

/// What was said on the command line.
#[derive(Default)]
pub struct Operation {
    hand_over: Option<PathBuf>,
    settings: Option<PathBuf>,
    #[cfg(feature = "privileges")]
    user: Option<String>,
}

impl Operation {
    /// For the text that `--help` prints.
    pub const USAGE: &str = "  \
  --hand-over PATH      take the listening socket over from the process that offers it there, if
                        there is one, and offer it in turn: start another to restart without loss
  --settings FILE       flags of those below, read at the start and again on SIGHUP, for deadlines
                        and limits
  --user NAME           become this user when the socket is bound (feature privileges)";

    /// Takes the value of `--name`, if it is one of these flags.
    pub fn take(&mut self, name: &str, from: &mut lexopt::Parser) -> Result<bool, lexopt::Error> {
        match name {
            "hand-over" => self.hand_over = Some(from.value()?.into()),
            "settings" => {
                let file: PathBuf = from.value()?.into();
                read(&file)?;
                self.settings = Some(file);
            }
            #[cfg(feature = "privileges")]
            "user" => self.user = Some(from.value()?.to_string_lossy().into_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The server, listening; as the user that it is to be.
    pub fn bind(&self, address: SocketAddr) -> trine::Result<Server> {
        let server = match &self.hand_over {
            Some(path) => Server::bind_or_take_over(address, path)?,
            None => Server::bind(address)?,
        };
        #[cfg(feature = "privileges")]
        if let Some(user) = &self.user {
            trine::privileges::drop_privileges(user, None)?;
        }
        Ok(server)
    }

    /// The server with the settings of the file, and with those that it has when SIGHUP comes.
    pub fn reloading<S>(self, mut server: Server) -> Server<OnReload<S>> {
        if let Some(Ok(flags)) = self.settings.as_ref().map(read) {
            server = flags.apply(server);
        }
        server.on_reload(move |live, _| {
            let Some(file) = &self.settings else {
                return Ok(()); // the signal is for the log
            };
            let read = read(file);
            match &read {
                Ok(_) => eprintln!("httpbin: settings read again"),
                Err(error) => eprintln!("httpbin: {error}: the old settings stay"),
            }
            let flags = read?;
            flags.configure(&mut live.config);
            live.connections_max = flags.connections_max().unwrap_or(live.connections_max);
            Ok::<(), lexopt::Error>(())
        })
    }
}

/// The flags in `file`, as they stand on a command line.
fn read(file: &PathBuf) -> Result<ServerFlags, lexopt::Error> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("--settings {}: {error}", file.display()))?;
    let mut flags = ServerFlags::default();
    let mut words = lexopt::Parser::from_args(text.split_whitespace());
    while let Some(word) = words.next()? {
        let lexopt::Arg::Long(name) = word else {
            return Err(word.unexpected());
        };
        let name = name.to_owned();
        if !flags.take(&name, &mut words)? {
            return Err(format!("--settings {}: no flag --{name}", file.display()).into());
        }
    }
    Ok(flags)
}
