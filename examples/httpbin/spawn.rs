//! Child processes as answers: `/spawn` runs `ls -l /proc/self/fd`, `/spawn/signals` tells the child's
//! signal mask and dispositions. So a client sees what a child inherits: three descriptors, and nothing
//! that the server does with signals.
//!
//! The service is called on the loop or on a worker; children belong to the loop, which is asked by
//! an inbox. There the child is one source and its output another, so nobody waits for either.
//!
//! ```text
//!   service ── Deferred ──> inbox ──> start ──> child ── exit ──┐
//!                                       └─────> Output ── EOF ──┴──> Deferred::send
//! ```
//!
//! What a client can make us do is bounded: so many children at one time, so much output, so long;
//! and a child of whom nobody wants to know any more is killed.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use trine::http::Status;
use trine::reactor::{ChildExit, Event, EventSource, InboxSender, Local, Mail, Registry, Removed};
use trine::reactor::{Context, Next, SendError, Sources};
use trine::service::{Answered, Deferred, Reply};
use trine::time::{Span, Tick};
use trine::{EventLoop, Response};

/// How much clients can make us do.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// At one time; as many more wait for the loop to look at them.
    pub children_max: usize,
    /// In bytes, of one child.
    pub output_max: usize,
    /// How long a child may run.
    pub time: Span,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            children_max: 8,
            output_max: 64 * 1024,
            time: Span::from_secs(5),
        }
    }
}

/// How often it is looked whether anybody still waits.
const LOOK: Span = Span::from_millis(50);

/// What the path of a request has run, if anything. Fixed words: nothing of a request gets into a
/// command line.
pub fn command_of(path: &str) -> Option<Command> {
    let (program, arguments): (_, &[&str]) = match path {
        "/spawn" => ("ls", &["-l", "/proc/self/fd"]),
        "/spawn/signals" => ("sed", &["-n", "/^Sig/p", "/proc/self/status"]),
        _ => return None,
    };
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C");
    Some(command)
}

/// Who asks the loop for children, on any thread.
#[derive(Clone)]
pub struct Spawner {
    requests: InboxSender<(Command, Deferred)>,
}

impl Spawner {
    /// Makes `event_loop` start children for whoever asks.
    ///
    /// # Errors
    ///
    /// When the table of sources is full.
    pub fn new(event_loop: &mut EventLoop<()>, bounds: Bounds) -> trine::Result<Spawner> {
        let live = event_loop.context().share(0);
        let call = move |(): &mut (), mail: Mail<(Command, Deferred)>, cx: &mut Context<'_, ()>| {
            if let Mail::Message((command, deferred)) = mail {
                start(command, deferred, (live, bounds), cx);
            }
        };
        let requests = event_loop.inbox(bounds.children_max, call)?;
        Ok(Spawner { requests })
    }

    /// Answers with what `command` says.
    pub fn run(&self, command: Command, reply: Reply<'_>) -> Answered {
        let (deferred, answered) = reply.defer();
        if let Err(SendError::Full((_, deferred))) = self.requests.try_send((command, deferred)) {
            deferred.send(busy());
        }
        answered
    }
}

/// The number of children that run.
type Live = Local<usize>;

fn start(
    mut command: Command,
    deferred: Deferred,
    (live, bounds): (Live, Bounds),
    cx: &mut Context<'_, ()>,
) {
    let is_admitted = cx.with(live, |live, _| {
        let is_admitted = *live < bounds.children_max;
        *live += usize::from(is_admitted);
        is_admitted
    });
    if is_admitted != Some(true) {
        return deferred.send(busy());
    }
    let watched = Output::new(deferred, bounds, cx.now()).and_then(|(output, ends)| {
        command.stdin(Stdio::null()).stdout(ends.0).stderr(ends.1);
        watch(&mut command, output, live, cx)
    });
    if let Err((deferred, error)) = watched {
        cx.with(live, |live, _| *live -= 1);
        if let Some(deferred) = deferred {
            let status = Status::INTERNAL_SERVER_ERROR;
            deferred.send(Response::text(format!("{error}\n")).with_status(status));
        }
    }
}

/// Nothing was started, and why.
type Refused = (Option<Deferred>, String);

/// Starts the child, with both ends of it as sources of the loop.
fn watch(
    command: &mut Command,
    output: Output,
    live: Live,
    cx: &mut Context<'_, ()>,
) -> Result<(), Refused> {
    let token = match cx.insert(output) {
        Ok(token) => token,
        Err(refused) => return Err((refused.source.deferred, refused.error.to_string())),
    };
    let ended = move |(): &mut (), exit: ChildExit, cx: &mut Context<'_, ()>| {
        cx.with(live, |live, _| *live -= 1);
        if let Some(output) = cx.source_mut::<Output>(token) {
            output.child = Child::Ended(exit);
            cx.resume(token);
        }
    };
    let started = cx.child(command, ended);
    let output = cx.source_mut::<Output>(token);
    match (started, output) {
        (Ok(id), Some(output)) => {
            let id = i32::try_from(id).ok().and_then(Pid::from_raw);
            output.child = id.map_or(Child::Unknown, Child::Runs);
            Ok(())
        }
        (Ok(_), None) => Ok(()), // it cannot have ended yet
        (Err(error), output) => {
            let deferred = output.and_then(|output| output.deferred.take());
            cx.remove(token);
            Err((deferred, error.to_string()))
        }
    }
}

/// What a child says, until it has said all and ended.
struct Output {
    pipe: PipeReader,
    said: Vec<u8>,
    /// Nobody has the other end of the pipe any more.
    is_whole: bool,
    child: Child,
    until: Tick,
    /// In bytes.
    most: usize,
    deferred: Option<Deferred>,
}

enum Child {
    Unknown,
    /// Not waited for yet, so the id is its own.
    Runs(Pid),
    Ended(ChildExit),
}

impl Output {
    /// With the ends of its pipe that the child gets.
    fn new(
        deferred: Deferred,
        bounds: Bounds,
        now: Tick,
    ) -> Result<(Output, (PipeWriter, PipeWriter)), Refused> {
        let pipe = io::pipe().and_then(|(reader, writer)| {
            rustix::io::ioctl_fionbio(&reader, true)?;
            Ok((reader, (writer.try_clone()?, writer)))
        });
        let (pipe, ends) = match pipe {
            Ok(pipe) => pipe,
            Err(error) => return Err((Some(deferred), format!("no pipe: {error}"))),
        };
        let output = Output {
            pipe,
            said: Vec::new(),
            is_whole: false,
            child: Child::Unknown,
            until: now.after(bounds.time),
            most: bounds.output_max,
            deferred: Some(deferred),
        };
        Ok((output, ends))
    }

    fn read(&mut self) {
        let mut piece = [0; 4096];
        while !self.is_whole && self.said.len() <= self.most {
            match self.pipe.read(&mut piece) {
                Ok(0) => self.is_whole = true,
                Ok(len) => self.said.extend_from_slice(&piece[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.is_whole = true,
            }
        }
    }

    /// The answer, if there is one to be given now.
    fn answer(&mut self, now: Tick) -> Option<Response> {
        let failed = |why, status| Some(Response::text(why).with_status(status));
        if self.said.len() > self.most {
            return failed("the child says too much\n", Status::INTERNAL_SERVER_ERROR);
        }
        if self.until <= now {
            return failed("the child takes too long\n", Status::GATEWAY_TIMEOUT);
        }
        let Child::Ended(exit) = &self.child else {
            return None;
        };
        let succeeded = matches!(exit, ChildExit::Exited(status) if status.success());
        match self.is_whole {
            false => None,
            true if succeeded => Some(Response::text(std::mem::take(&mut self.said))),
            true => failed("the child failed\n", Status::INTERNAL_SERVER_ERROR),
        }
    }
}

impl EventSource<()> for Output {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.readable_descriptor(&self.pipe)
    }

    /// A drain changes nothing: the request is answered first.
    fn handle(&mut self, _: Event, (): &mut (), cx: &mut Context<'_, ()>) -> Next {
        self.read();
        if self.deferred.as_ref().is_none_or(Deferred::is_cancelled) {
            return Next::Close;
        }
        match (self.answer(cx.now()), self.deferred.take()) {
            (Some(response), Some(deferred)) => {
                deferred.send(response);
                Next::Close
            }
            (_, deferred) => {
                self.deferred = deferred;
                Next::Until(self.until.min(cx.now().after(LOOK)))
            }
        }
    }

    /// However it ends, no child is left behind.
    fn removed(self: Box<Self>, _: Removed, (): &mut (), _: &mut Context<'_, ()>) {
        if let Child::Runs(id) = self.child {
            let _ = kill_process(id, Signal::Kill); // it may be ending just now
        }
    }

    fn name(&self) -> &'static str {
        "output of a child"
    }
}

fn busy() -> Response {
    let busy = Response::text("too many children\n").with_status(Status::SERVICE_UNAVAILABLE);
    let busy = busy.with_field("Retry-After", "1");
    busy.unwrap_or_else(|_| unreachable!("literals"))
}
