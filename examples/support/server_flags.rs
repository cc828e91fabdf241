//! One flag for each deadline and limit of a server, and for who calls its service.

use std::str::FromStr;
use std::time::Duration;

use trine::Server;
use trine::concurrency::{Pinning, TeamOptions, WorkerOptions};
use trine::connection::{Config, Rate};
use trine::proactor::{Pattern, ProactorOptions};
use trine::server::{Accepting, CoreOptions, Model};
use trine::time::Span;

/// What was said on the command line; what was not keeps its default.
#[derive(Default)]
pub struct ServerFlags {
    head_timeout: Option<u64>,
    body_timeout: Option<u64>,
    handler_timeout: Option<u64>,
    write_timeout: Option<u64>,
    idle_timeout: Option<u64>,
    drain_timeout: Option<u64>,
    head_limit: Option<u32>,
    target_limit: Option<u32>,
    field_limit: Option<u16>,
    body_limit: Option<u64>,
    max_connections: Option<usize>,
    max_requests: Option<u32>,
    memory_limit: Option<usize>,
    pattern: Option<Pattern>,
    model: Option<Kind>,
    workers: Option<usize>,
    queue: Option<usize>,
    threads: Option<usize>,
    loops: Option<usize>,
    accepting: Option<Accepting>,
    is_pinned: bool,
    flight_recorder: Option<usize>,
    watch_stalls: Option<u64>,
}

/// What `--model` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    HalfSync,
    LeaderFollowers,
    LoopPerCore,
}

/// The lowest rates are judged over the timeout that is asked for, at so many bytes a second.
const BYTES_PER_SECOND: u64 = 500;

impl ServerFlags {
    /// For the text that `--help` prints.
    pub const USAGE: &str = "  \
  --head-timeout MS     for a whole request head (default 10000)
  --body-timeout MS     for a whole request body that is collected (default 60000); the lowest
                        rate of 500 bytes a second is judged over at most as long
  --handler-timeout MS  for the answer of the service (default 30000)
  --write-timeout MS    the lowest rate at which answers are taken, 500 bytes a second, is judged
                        over so long (default 60000)
  --idle-timeout MS     between two requests (default 75000)
  --drain-timeout MS    from SIGTERM to the end (default 30000)
  --head-limit BYTES    of a request head (default 16384)
  --target-limit BYTES  of a request target (default 8192)
  --field-limit N       fields of a request (default 100)
  --body-limit BYTES    of a request body (default 1048576 if it is collected, none in pieces; of kv
                        16777216)
  --max-connections N   at one time (default half of the descriptors)
  --max-requests N      on one connection (default 1000)
  --memory-limit BYTES  that connections hold in buffers together (default a quarter of the memory)
  --pattern PATTERN     what moves the bytes: reactor, by readiness (default), proactor, by operations
                        over epoll, or io-uring, by operations of the kernel, over epoll if it refuses
  --model MODEL         who calls the service: single, the loop (default); half-sync, worker threads
                        that may block (default with --workers or --queue); leader-followers,
                        threads that take turns at waiting for events (default with --threads); or
                        loop-per-core, each of several loops (default with --loops, --accept or --pin)
  --workers N           worker threads (default 8)
  --queue N             requests that wait for a worker; more are answered 503 (default 1024)
  --threads N           threads that take turns (default one for each processor)
  --loops N             loops, each on a thread of its own (default one for each processor)
  --accept WHO          who gives connections to the loops: kernel, by a hash (default), or one of the
                        loops, evenly
  --pin                 each loop on one processor
  --flight-recorder N   log the life of each connection that ends badly, its last N records
  --watch-stalls MS     log what keeps the loop for longer, while it does";

    /// Takes the value of `--name`, if it is one of these flags.
    pub fn take(&mut self, name: &str, from: &mut lexopt::Parser) -> Result<bool, lexopt::Error> {
        match name {
            "head-timeout" => self.head_timeout = positive(name, from)?,
            "body-timeout" => self.body_timeout = positive(name, from)?,
            "handler-timeout" => self.handler_timeout = positive(name, from)?,
            "write-timeout" => self.write_timeout = positive(name, from)?,
            "idle-timeout" => self.idle_timeout = positive(name, from)?,
            "drain-timeout" => self.drain_timeout = positive(name, from)?,
            "head-limit" => self.head_limit = positive(name, from)?,
            "target-limit" => self.target_limit = positive(name, from)?,
            "field-limit" => self.field_limit = positive(name, from)?,
            "body-limit" => self.body_limit = positive(name, from)?,
            "max-connections" => self.max_connections = positive(name, from)?,
            "max-requests" => self.max_requests = positive(name, from)?,
            "memory-limit" => self.memory_limit = positive(name, from)?,
            "pattern" => self.pattern = pattern(from)?,
            "model" => self.model = Some(model(from)?),
            "workers" => self.workers = positive(name, from)?,
            "queue" => self.queue = positive(name, from)?,
            "threads" => self.threads = positive(name, from)?,
            "loops" => self.loops = positive(name, from)?,
            "accept" => self.accepting = Some(accepting(from)?),
            "pin" => self.is_pinned = true,
            "flight-recorder" => self.flight_recorder = positive(name, from)?,
            "watch-stalls" => self.watch_stalls = positive(name, from)?,
            _ => return Ok(false),
        }
        self.check_model()
    }

    /// Whether the flags of models are those of one.
    fn check_model(&self) -> Result<bool, lexopt::Error> {
        let [first, second, _] = self.implied();
        match (self.model, first, second) {
            (_, Some((flags, _)), Some((others, _))) => {
                Err(format!("{flags} and {others} are for two models").into())
            }
            (Some(model), Some((flags, kind)), None) if kind != model => {
                let (right, wrong) = (kind.name(), model.name());
                Err(format!("{flags}: for --model {right}, not for --model {wrong}").into())
            }
            _ => Ok(true),
        }
    }

    /// The models that flags were said of, those flags first.
    fn implied(&self) -> [Option<(&'static str, Kind)>; 3] {
        let workers = self.workers.or(self.queue).is_some();
        let mut implied = [
            workers.then_some(("--workers and --queue", Kind::HalfSync)),
            (self.threads.is_some()).then_some(("--threads", Kind::LeaderFollowers)),
            (self.has_loops()).then_some(("--loops, --accept and --pin", Kind::LoopPerCore)),
        ];
        implied.sort_by_key(Option::is_none);
        implied
    }

    /// Whether something was said of several loops.
    fn has_loops(&self) -> bool {
        self.loops.is_some() || self.accepting.is_some() || self.is_pinned
    }

    /// Who runs the loops and calls the service.
    pub fn model(&self) -> Model {
        let implied = self.implied()[0].map(|(_, kind)| kind);
        match self.model.or(implied).unwrap_or(Kind::Single) {
            Kind::Single => Model::Single,
            Kind::HalfSync => Model::HalfSyncHalfAsync(self.worker_options()),
            Kind::LeaderFollowers => Model::LeaderFollowers(self.team_options()),
            Kind::LoopPerCore => Model::LoopPerCore(self.core_options()),
        }
    }

    /// Whether calls may wait: on threads of which others are left meanwhile.
    pub fn may_block(&self) -> bool {
        matches!(
            self.model(),
            Model::HalfSyncHalfAsync(_) | Model::LeaderFollowers(_)
        )
    }

    fn worker_options(&self) -> WorkerOptions {
        let mut options = WorkerOptions::default();
        options.workers = self.workers.unwrap_or(options.workers);
        options.queue.items_max = self.queue.unwrap_or(options.queue.items_max);
        options
    }

    fn team_options(&self) -> TeamOptions {
        let mut options = TeamOptions::default();
        options.threads = self.threads.unwrap_or(options.threads);
        if let Some(connections) = self.max_connections {
            options.handlers_max = u32::try_from(connections).unwrap_or(u32::MAX);
        }
        options
    }

    fn core_options(&self) -> CoreOptions {
        let mut options = CoreOptions::default();
        options.loops = self.loops.unwrap_or(options.loops);
        options.accepting = self.accepting.unwrap_or(options.accepting);
        if self.is_pinned {
            options.pinning = Pinning::Each;
        }
        options
    }

    /// How long the service may take.
    pub fn handler_limit(&self) -> Span {
        Span::from_millis(self.handler_timeout.unwrap_or(30_000))
    }

    /// The server with what was said.
    pub fn apply(&self, mut server: Server) -> Server {
        self.configure(server.config_mut());
        if let Some(millis) = self.drain_timeout {
            server = server.drain_timeout(Duration::from_millis(millis));
        }
        let reports = [self.watch_stalls.is_some(), self.pattern.is_some()];
        if self.flight_recorder.is_some() || reports.contains(&true) {
            let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
            let _ = log.try_init(); // settings that are read again may ask for it again
        }
        if let Some(pattern) = self.pattern {
            server = server.proactor(ProactorOptions {
                pattern,
                ..ProactorOptions::default()
            });
        }
        if let Some(bytes) = self.memory_limit {
            server = server.memory_max(bytes);
        }
        if let Some(millis) = self.watch_stalls {
            server = server.watch_stalls(Duration::from_millis(millis));
        }
        if let Some(entries) = self.flight_recorder {
            server = server.flight_recorder(entries);
        }
        match self.max_connections {
            Some(connections) => server.connections_max(connections),
            None => server,
        }
    }

    /// How many connections there may be, if that was said.
    pub fn connections_max(&self) -> Option<usize> {
        self.max_connections
    }

    /// The settings of a connection with what was said.
    pub fn configure(&self, config: &mut Config) {
        let deadlines = &mut config.deadlines;
        let set = |span: &mut Span, millis: Option<u64>| {
            *span = millis.map_or(*span, Span::from_millis);
        };
        set(&mut deadlines.head, self.head_timeout);
        set(&mut deadlines.body, self.body_timeout);
        set(&mut deadlines.handler, self.handler_timeout);
        set(&mut deadlines.idle, self.idle_timeout);
        if let Some(millis) = self.body_timeout {
            let window = Span::from_millis(millis).min(deadlines.body_rate.window);
            deadlines.body_rate = slowest(window);
        }
        if let Some(millis) = self.write_timeout {
            deadlines.write_rate = slowest(Span::from_millis(millis));
        }
        let limits = &mut config.limits;
        limits.head_bytes_max = self.head_limit.unwrap_or(limits.head_bytes_max);
        limits.target_bytes_max = self.target_limit.unwrap_or(limits.target_bytes_max);
        limits.fields_max = self.field_limit.unwrap_or(limits.fields_max);
        limits.body_bytes_max = self.body_limit.unwrap_or(limits.body_bytes_max);
        limits.streamed_bytes_max = self.body_limit.unwrap_or(limits.streamed_bytes_max);
        config.requests_per_connection_max =
            (self.max_requests).unwrap_or(config.requests_per_connection_max);
    }
}

fn slowest(window: Span) -> Rate {
    let millis = u64::try_from(Duration::from(window).as_millis()).unwrap_or(u64::MAX);
    let bytes = millis.saturating_mul(BYTES_PER_SECOND) / 1_000;
    Rate {
        bytes_min: u32::try_from(bytes).unwrap_or(u32::MAX).max(1),
        window,
    }
}

/// A whole number above 0 that fits.
fn positive<T>(name: &str, from: &mut lexopt::Parser) -> Result<Option<T>, lexopt::Error>
where
    T: FromStr + PartialEq + Default,
{
    let text = from.value()?.to_string_lossy().into_owned();
    match text.parse() {
        Ok(number) if number != T::default() => Ok(Some(number)),
        _ => Err(format!("--{name} {text}: not a whole number above 0, or too large").into()),
    }
}

/// Who does the operations; nobody in the reactor.
fn pattern(from: &mut lexopt::Parser) -> Result<Option<Pattern>, lexopt::Error> {
    let text = from.value()?.to_string_lossy().into_owned();
    match text.as_str() {
        "reactor" => Ok(None),
        "proactor" => Ok(Some(Pattern::Emulated)),
        "io-uring" if cfg!(feature = "io-uring") => Ok(Some(Pattern::IoUring)),
        "io-uring" => Err("--pattern io-uring: build with --features io-uring".into()),
        _ => Err(format!("--pattern {text}: neither reactor, proactor nor io-uring").into()),
    }
}

fn model(from: &mut lexopt::Parser) -> Result<Kind, lexopt::Error> {
    let text = from.value()?.to_string_lossy().into_owned();
    match text.as_str() {
        "single" => Ok(Kind::Single),
        "half-sync" => Ok(Kind::HalfSync),
        "leader-followers" => Ok(Kind::LeaderFollowers),
        "loop-per-core" => Ok(Kind::LoopPerCore),
        _ => {
            let all = "single, half-sync, leader-followers, loop-per-core";
            Err(format!("--model {text}: not one of {all}").into())
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Single => "single",
            Kind::HalfSync => "half-sync",
            Kind::LeaderFollowers => "leader-followers",
            Kind::LoopPerCore => "loop-per-core",
        }
    }
}

fn accepting(from: &mut lexopt::Parser) -> Result<Accepting, lexopt::Error> {
    let text = from.value()?.to_string_lossy().into_owned();
    match text.as_str() {
        "kernel" => Ok(Accepting::Kernel),
        "one" => Ok(Accepting::One),
        _ => Err(format!("--accept {text}: neither kernel nor one").into()),
    }
}
