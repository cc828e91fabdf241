//! A service on workers that wait for a processor, panic, or hang, behind a queue that is soon full.

use std::net::SocketAddr;
use std::panic::panic_any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trine::concurrency::{Bounds, WorkerMeter, WorkerMetrics, WorkerOptions};
use trine::http::Response;
use trine::server::Ladder;
use trine::service::{Answered, Deferred, Reply, Service};
use trine::testing::{Answer, Dice, Faults, Sim};
use trine::{Request, Signal};

use super::MEANT;
use super::asker::{Asker, Told};

const ASKERS: usize = 12;
/// The shortest request there is.
const REQUEST_BYTES_MIN: usize = "GET /t/1 HTTP/1.1\r\nhost: x\r\n\r\n".len();
/// How long a drain may take.
const GRACE: Duration = Duration::from_secs(5);
const HANDLER: Duration = Duration::from_secs(20);

/// Answers that are owed, whoever owes them.
type Promises = Arc<Mutex<Vec<(Deferred, u32)>>>;

/// A payload that panics again when it is dropped.
pub struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic_any(MEANT);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Text,
    /// The service panics; or does after it has answered; or its payload does when it is dropped.
    Panic,
    PanicLate,
    PanicTwice,
    /// An answer is promised and not given.
    Abandoned,
    /// The test gives it.
    Promised,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Text, "t"),
    (Kind::Panic, "p"),
    (Kind::PanicLate, "l"),
    (Kind::PanicTwice, "b"),
    (Kind::Abandoned, "x"),
    (Kind::Promised, "d"),
];

struct Workshop {
    promises: Promises,
}

impl Service<u64> for Workshop {
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, calls: &mut u64) -> Answered {
        *calls += 1; // of this worker
        let mut parts = request.path().split('/').skip(1);
        let kind = parts.next().unwrap_or_default();
        let number: u32 = parts.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        match kind {
            "p" => panic_any(MEANT),
            "l" => {
                let _ = reply.text("never seen");
                panic_any(MEANT)
            }
            "b" => panic_any(Bomb),
            "x" => {
                let (deferred, answered) = reply.defer();
                drop(deferred);
                answered
            }
            "d" => {
                let (deferred, answered) = reply.defer();
                self.promises.lock().unwrap().push((deferred, number));
                answered
            }
            _ => reply.text(format!("t{number}\n")),
        }
    }
}

type Question = (Kind, u32);

pub struct Run {
    sim: Sim,
    address: SocketAddr,
    options: WorkerOptions,
    meter: WorkerMeter,
    before: WorkerMetrics,
    promises: Promises,
    askers: Vec<Asker<Question>>,
    numbers: u32,
    dice: Dice,
    faults: Faults,
    /// When the loop was told to end, once and again.
    told: [Option<Duration>; 2],
}

impl Run {
    pub fn new(seed: u64) -> Run {
        let mut sim = Sim::seeded(seed);
        let mut dice = sim.dice();
        let options = WorkerOptions {
            workers: dice.up_to(3),
            queue: Bounds {
                items_max: dice.up_to(5),
                bytes_max: [70, 1_000_000][dice.below(2)],
            },
            ..WorkerOptions::default()
        };
        let promises = Promises::default();
        let owing = Arc::clone(&promises);
        let workshop = move || Workshop {
            promises: Arc::clone(&owing),
        };
        let service = sim.workers_whole(&options, workshop, || 0);
        let meter = service.meter();
        // What is done about being short of descriptors has a suite of its own.
        let server = sim.server().overload(Ladder::off());
        let server = server.handler_timeout(HANDLER);
        let address = sim.serve(server.drain_timeout(GRACE), service);
        let faults = match seed % 8 {
            0 => Faults::none(),
            1 => Faults::hostile(),
            _ => Faults {
                // Without one that hangs, more is to be seen of what others do.
                vanishes: if seed.is_multiple_of(2) { 0.0 } else { 0.002 },
                ..Faults::swarm(seed)
            },
        };
        sim.set_faults(faults.clone());
        Run {
            sim,
            address,
            options,
            before: meter.read(),
            meter,
            promises,
            askers: (0..ASKERS).map(|_| Asker::new()).collect(),
            numbers: 0,
            dice,
            faults,
            told: [None; 2],
        }
    }

    pub fn run(mut self, steps: usize) -> u64 {
        let drain_at = self.dice.below(3 * steps);
        for step in 0..steps {
            if step == drain_at {
                self.drain();
            }
            match self.dice.below(100) {
                0..40 => self.ask(),
                40..55 => self.keep_promises(1),
                55..56 => {
                    let index = self.dice.below(ASKERS);
                    self.askers[index].leave();
                }
                56..89 => {}
                89 => self.force(),
                90..99 => self.advance(30_000),
                _ => self.advance(8_000_000),
            }
            self.before = self.meter.read();
            self.sim.turn();
            self.judge_the_queue();
            self.judge_the_drain();
            self.look();
        }
        self.end()
    }

    fn ask(&mut self) {
        let index = self.dice.below(ASKERS);
        if self.askers[index].asked.is_some() || self.told[0].is_some() {
            return;
        }
        self.numbers += 1;
        let (kind, path) = match self.dice.below(3) {
            0 => KINDS[self.dice.below(KINDS.len())],
            _ => KINDS[0],
        };
        let octets = format!("GET /{path}/{} HTTP/1.1\r\nhost: x\r\n\r\n", self.numbers);
        let question = (kind, self.numbers);
        self.askers[index].ask(question, octets.as_bytes(), &mut self.sim, self.address);
    }

    fn keep_promises(&mut self, count: usize) {
        for _ in 0..count {
            let kept = self.promises.lock().unwrap().pop();
            let Some((deferred, number)) = kept else {
                return;
            };
            deferred.send(Response::text(format!("d{number}\n")));
        }
    }

    /// Lets up to so much time pass.
    fn advance(&mut self, micros_max: usize) {
        let micros = self.dice.below(micros_max) as u64;
        self.sim.advance(Duration::from_micros(micros));
        self.look();
    }

    /// All that was sent has arrived by then, so all of it is owed an answer.
    fn drain(&mut self) {
        self.sim.settle();
        self.look();
        self.told[0] = Some(self.sim.elapsed());
        self.sim.signal(Signal::TERM);
    }

    /// A second signal, if there was a first.
    fn force(&mut self) {
        if self.told[0].is_some() && self.told[1].is_none() && self.dice.below(10) == 0 {
            self.told[1] = Some(self.sim.elapsed());
            self.sim.signal(Signal::TERM);
        }
    }

    /// Whether a connection may be cut at `at`: at the end of the drain, or when that is forced.
    fn may_be_cut(&self, at: Duration) -> bool {
        let [told, forced] = self.told;
        let is_over = told.is_some_and(|told| at.saturating_add(self.jumps()) >= told + GRACE);
        is_over || forced.is_some_and(|forced| at >= forced)
    }

    /// What the clock may jump over within a turn.
    fn jumps(&self) -> Duration {
        match self.faults.stalls > 0.0 {
            true => self.faults.stall_max * 4,
            false => Duration::ZERO,
        }
    }

    fn judge_the_drain(&self) {
        let (now, [told, forced]) = (self.sim.elapsed(), self.told);
        if let (Some(told), None) = (told, self.sim.outcome()) {
            let lasts = now - told;
            let most = GRACE + Duration::from_millis(1) + self.jumps();
            assert!(lasts <= most, "the drain goes on after {lasts:?}");
            let is_forced = forced.is_some_and(|forced| now > forced + self.jumps());
            assert!(!is_forced, "the drain was forced, and goes on");
        }
        assert!(
            told.is_some() || self.sim.outcome().is_none(),
            "nobody told it to end"
        );
    }

    /// What holds behind each turn of the loop, in which nothing leaves the queue.
    fn judge_the_queue(&self) {
        let (now, before, options) = (self.meter.read(), self.before, self.options);
        let parts = now.queued + now.running + now.done + now.cancelled;
        assert_eq!(
            now.accepted, parts,
            "a job is lost, or is there twice: {now:?}"
        );
        let items_max = options.queue.items_max as u64;
        assert!(now.queued <= items_max, "{now:?} in a queue of {items_max}");
        assert!(now.running <= options.workers as u64, "{now:?}");
        let bytes = now.queued as usize * REQUEST_BYTES_MIN;
        assert!(
            now.queued <= 1 || bytes <= options.queue.bytes_max,
            "{now:?}"
        );
        let is_full = now.queued == items_max || options.queue.bytes_max < 1_000;
        assert!(
            is_full || now.refused == before.refused,
            "refused, and there was room: {now:?}"
        );
    }

    fn look(&mut self) {
        let drains = self.told[0].is_some();
        for index in 0..ASKERS {
            match self.askers[index].look(&self.sim) {
                None | Some(Told::Cut(_, None)) => {}
                Some(Told::Cut(question, Some(at))) => {
                    assert!(self.may_be_cut(at), "{question:?} was cut at {at:?}");
                }
                Some(Told::Answered(question, answer, after)) => {
                    judge(question, &answer, after, drains)
                }
            }
        }
    }

    /// The faults end, and so does everything.
    fn end(mut self) -> u64 {
        self.sim.set_faults(Faults::none());
        for _ in 0..30 {
            self.keep_promises(usize::MAX);
            self.sim.advance(Duration::from_millis(500));
            self.look();
        }
        let (threads, lost) = self.sim.threads();
        assert_eq!((threads, lost), (self.options.workers, 0));
        let waiting = self.askers.iter().find_map(|asker| asker.asked.as_ref());
        assert!(waiting.is_none(), "{waiting:?} was never answered");
        let metrics = self.meter.read();
        assert_eq!((metrics.queued, metrics.running), (0, 0), "{metrics:?}");
        self.askers.clear();
        if self.told[0].is_none() {
            self.sim.signal(Signal::TERM);
            self.sim.advance(GRACE + Duration::from_secs(1));
            assert_eq!(self.sim.outcome(), Some(Ok(())));
        }
        assert!(self.sim.outcome().is_some(), "the drain never ends");
        self.sim.trace()
    }
}

fn judge((kind, number): Question, answer: &Answer, after: Duration, drains: bool) {
    let is_last = answer.field("connection") == Some(b"close");
    match (answer.status(), kind) {
        (200, Kind::Text) => assert_eq!(answer.text(), format!("t{number}\n")),
        (200, Kind::Promised) => assert_eq!(answer.text(), format!("d{number}\n")),
        // No room: said at once, with the time to come again.
        (503, _) if answer.field("retry-after") == Some(b"1") => assert!(drains || !is_last),
        // It took too long.
        (504, _) => assert!(after >= HANDLER, "{answer:?} after {after:?}"),
        (500, Kind::Panic | Kind::PanicLate | Kind::PanicTwice | Kind::Abandoned) => {
            assert!(is_last, "{answer:?}");
        }
        _ => panic!("{answer:?} to {kind:?}"),
    }
}
