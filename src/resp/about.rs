//! Commands that are about the connection and the server, not about keys.

use std::fmt::Write;

use super::arguments::Arguments;
use super::command::{Command, number};
use super::command_error::CommandError;
use super::conversation::Flow;
use super::encoder::Protocol;
use super::execute::Executor;
use super::glob;

/// The version of Redis whose commands these are, of those that are there.
const REDIS_VERSION: &str = "7.0.0";

/// What tools ask before they begin.
const CONFIG: [(&str, &str); 4] = [
    ("save", ""),
    ("appendonly", "no"),
    ("databases", "1"),
    ("maxmemory", "0"),
];

type Outcome = Result<(), CommandError>;

impl Executor<'_, '_> {
    /// Answers what needs no store.
    pub(super) fn about(&mut self, command: Command<'_>) -> Flow {
        let outcome = match command {
            Command::Ping { message: None } => {
                self.reply().simple("PONG");
                Ok(())
            }
            Command::Ping {
                message: Some(message),
            }
            | Command::Echo { message } => {
                self.reply().bulk(message);
                Ok(())
            }
            // What is owed is owed in the version that was spoken when it was asked for.
            Command::Hello { .. } if self.conversation.is_owing() => return Flow::Wait,
            Command::Hello { arguments } => self.hello(arguments),
            Command::Client { arguments } => self.client(arguments),
            Command::Config { arguments } => self.config(arguments),
            Command::Table { arguments } => self.table(arguments),
            Command::Info => {
                let text = self.info();
                self.reply().text(&text);
                Ok(())
            }
            Command::Quit => {
                self.reply().ok();
                return Flow::End;
            }
            _ => {
                self.reply().ok(); // SELECT 0
                Ok(())
            }
        };
        if let Err(error) = outcome {
            self.refuse(error);
        }
        Flow::Next
    }

    /// `HELLO [version [AUTH name password] [SETNAME name]]`.
    fn hello(&mut self, arguments: Arguments<'_>) -> Outcome {
        let protocol = match arguments.get(0).map(number) {
            None => self.conversation.protocol,
            Some(Ok(2)) => Protocol::Resp2,
            Some(Ok(3)) => Protocol::Resp3,
            Some(_) => return Err(CommandError::ProtocolVersion),
        };
        let mut name = None;
        let mut rest = arguments.from(1);
        while let Some(option) = rest.get(0) {
            if option.eq_ignore_ascii_case(b"auth") {
                return Err(CommandError::NoPassword);
            }
            if !option.eq_ignore_ascii_case(b"setname") || rest.len() < 2 {
                return Err(CommandError::Syntax);
            }
            name = rest.get(1);
            rest = rest.from(2);
        }
        if let Some(name) = name {
            self.name_client(name)?;
        }
        self.conversation.protocol = protocol;
        let id = self.conversation.id;
        let mut reply = self.reply();
        reply.map(7);
        let texts = [("server", "redis"), ("version", REDIS_VERSION)];
        for (key, value) in texts {
            reply.bulk(key.as_bytes());
            reply.bulk(value.as_bytes());
        }
        reply.bulk(b"proto");
        reply.integer(match protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        });
        reply.bulk(b"id");
        reply.integer(i64::try_from(id).unwrap_or(i64::MAX));
        let texts = [("mode", "standalone"), ("role", "master")];
        for (key, value) in texts {
            reply.bulk(key.as_bytes());
            reply.bulk(value.as_bytes());
        }
        reply.bulk(b"modules");
        reply.array(0);
        Ok(())
    }

    fn name_client(&mut self, name: &[u8]) -> Outcome {
        if !name.iter().all(u8::is_ascii_graphic) {
            return Err(CommandError::ClientName);
        }
        self.conversation.name = name.to_vec();
        Ok(())
    }

    fn client(&mut self, arguments: Arguments<'_>) -> Outcome {
        let subcommand = arguments.at(0);
        let is = |name: &str| subcommand.eq_ignore_ascii_case(name.as_bytes());
        let takes = |count: usize, name| match arguments.len() == count + 1 {
            true => Ok(()),
            false => Err(CommandError::Arity(name)),
        };
        if is("setname") {
            takes(1, "client|setname")?;
            self.name_client(arguments.at(1))?;
            self.reply().ok();
        } else if is("setinfo") {
            takes(2, "client|setinfo")?;
            self.reply().ok(); // nobody asks for it again
        } else if is("getname") {
            takes(0, "client|getname")?;
            let name = std::mem::take(&mut self.conversation.name);
            match &name[..] {
                [] => self.reply().null(),
                name => self.reply().bulk(name),
            }
            self.conversation.name = name;
        } else if is("id") {
            takes(0, "client|id")?;
            let id = i64::try_from(self.conversation.id).unwrap_or(i64::MAX);
            self.reply().integer(id);
        } else if is("list") || is("info") {
            let line = self.client_line();
            self.reply().text(&line);
        } else {
            return Err(CommandError::unknown_subcommand(subcommand, "CLIENT"));
        }
        Ok(())
    }

    /// This connection; no other one is listed.
    fn client_line(&self) -> String {
        let conversation = &*self.conversation;
        format!(
            "id={} addr={} name={} db=0 resp={}\n",
            conversation.id,
            self.turn.peer,
            conversation.name.escape_ascii(),
            match conversation.protocol {
                Protocol::Resp2 => 2,
                Protocol::Resp3 => 3,
            }
        )
    }

    fn config(&mut self, arguments: Arguments<'_>) -> Outcome {
        let subcommand = arguments.at(0);
        if !subcommand.eq_ignore_ascii_case(b"get") {
            return Err(CommandError::unknown_subcommand(subcommand, "CONFIG"));
        }
        if arguments.len() < 2 {
            return Err(CommandError::Arity("config|get"));
        }
        let is_meant = |(name, _): &&(&str, &str)| {
            let mut patterns = arguments.from(1).iter();
            patterns.any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
        };
        let mut reply = self.reply();
        reply.map(CONFIG.iter().filter(is_meant).count());
        for (name, value) in CONFIG.iter().filter(is_meant) {
            reply.bulk(name.as_bytes());
            reply.bulk(value.as_bytes());
        }
        Ok(())
    }

    /// What redis-cli asks for its help: nothing is told, so it uses what it knows.
    fn table(&mut self, arguments: Arguments<'_>) -> Outcome {
        let subcommand = arguments.at(0);
        let is = |name: &str| subcommand.eq_ignore_ascii_case(name.as_bytes());
        let mut reply = self.reply();
        match () {
            () if arguments.is_empty() || is("info") || is("list") => reply.array(0),
            () if is("docs") => reply.map(0),
            () if is("count") => reply.integer(Command::COUNT as i64),
            () => return Err(CommandError::unknown_subcommand(subcommand, "COMMAND")),
        }
        Ok(())
    }

    fn info(&mut self) -> String {
        let backend = &mut *self.turn.backend;
        let counters = backend.counters;
        let store = backend.capabilities().map_or("none", |can| can.name);
        let mut text = String::new();
        let _ = write!(
            text, // a String takes everything
            "# Server\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\n\
             trine_version:{}\r\nprocess_id:{}\r\n\r\n\
             # Clients\r\nconnected_clients:{}\r\n\r\n\
             # Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{}\r\n\
             total_error_replies:{}\r\n\r\n\
             # Storage\r\nstore:{store}\r\nhealth:{:?}\r\n",
            env!("CARGO_PKG_VERSION"),
            std::process::id(),
            counters.connected,
            counters.connections,
            counters.commands,
            counters.errors,
            backend.unit().health(),
        );
        text
    }
}
