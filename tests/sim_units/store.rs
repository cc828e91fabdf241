//! A key-value server in front of the durable store, on a disk that fails and a machine that loses
//! power: what it acknowledged is there when it is started again, and what it shows is nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use trine::http::{Response, Status};
use trine::server::Ladder;
use trine::service::{Answered, Reply, Service};
use trine::storage::durable::{Durable, Options, Recovery};
use trine::storage::{
    Condition, Fault, Operation, Outcome, Reply as Stored, Request as Job, StorageUnit, Submission,
    UnitOptions,
};
use trine::testing::{Answer, Dice, Disk, Faults, Sim};
use trine::{Request, Signal};

use super::asker::{Asker, Told};

const ASKERS: usize = 6;
/// Keys of one client; nobody else writes them.
const KEYS: usize = 3;
const HANDLER: Duration = Duration::from_secs(20);

/// GET, PUT and DELETE of the path.
struct KeyValue {
    unit: StorageUnit,
}

impl Service for KeyValue {
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
        let key = Bytes::copy_from_slice(request.path().as_bytes());
        let condition = Condition::Any;
        let operation = match request.method_name() {
            "GET" => Operation::Get { key },
            "DELETE" => Operation::Delete { key, condition },
            _ => Operation::Put {
                key,
                value: Bytes::copy_from_slice(request.body()),
                ttl: None,
                condition,
            },
        };
        match self.unit.submit(Job::new(operation)) {
            Submission::Done(outcome) => reply.send(respond(outcome)),
            Submission::Queued(place) => {
                let (deferred, answered) = reply.defer();
                place.answer(deferred, respond);
                answered
            }
        }
    }
}

/// 503 says that it was not done, 500 that nobody knows.
fn respond(outcome: Outcome) -> Response {
    let (status, why) = match outcome {
        Ok(Stored::Got(Some(entry))) => return Response::bytes(entry.value.to_vec()),
        Ok(Stored::Got(None)) => (Status::NOT_FOUND, String::new()),
        Ok(_) => (Status::NO_CONTENT, String::new()),
        Err(fault @ (Fault::Retry { .. } | Fault::Fenced(_))) => {
            (Status::SERVICE_UNAVAILABLE, fault.to_string())
        }
        Err(fault) => (Status::INTERNAL_SERVER_ERROR, fault.to_string()),
    };
    Response::text(why).with_status(status)
}

type Value = Option<Vec<u8>>;

#[derive(Clone, Debug)]
enum Question {
    Get(usize),
    Put(usize, Value),
}

/// What may be there: one of these, for each key.
struct Model {
    possible: Vec<Vec<Value>>,
}

impl Model {
    /// Nobody knows whether it happened.
    fn doubts(&mut self, question: Question) {
        if let Question::Put(key, value) = question {
            self.possible[key].push(value);
        }
    }

    fn knows(&mut self, key: usize, value: Value) {
        self.possible[key] = vec![value];
    }

    /// It was read: so it may have been there, and now it is. Except on a disk that has failed to keep a
    /// write: what a restart finds of that, no read before it can say.
    fn reads(&mut self, key: usize, value: Value, has_failed: bool) {
        let begins = |value: &Value| {
            let value = value.as_ref();
            value.map(|value| String::from_utf8_lossy(&value[..value.len().min(8)]).into_owned())
        };
        let possible = &self.possible[key];
        assert!(
            possible.contains(&value),
            "key {key} is {:?}, not one of {:?}",
            begins(&value),
            possible.iter().map(begins).collect::<Vec<_>>()
        );
        if !has_failed {
            self.knows(key, value);
        }
    }
}

/// One machine, from its start to the loss of power.
struct Life {
    sim: Sim,
    disk: Disk,
    unit: StorageUnit,
    address: SocketAddr,
    askers: Vec<Asker<Question>>,
}

pub struct Run {
    seed: u64,
    model: Model,
    image: Vec<u8>,
    recovery: Recovery,
    numbers: u64,
    dice: Dice,
}

fn open(disk: &Disk, sim: &Sim, recovery: Recovery) -> Option<Durable> {
    let (disk, options) = (
        disk.clone(),
        Options {
            cache_bytes: 16 * 1024, // so that most pages are written and read in the middle of things
            recovery,
            clock: sim.clock(),
            ..Options::default()
        },
    );
    Durable::open_on(move || Ok(disk.clone()), options).ok()
}

impl Run {
    pub fn new(seed: u64) -> Run {
        let sim = Sim::seeded(seed);
        let mut dice = sim.dice();
        let recovery = [Recovery::Scan, Recovery::Fast][dice.below(2)];
        let disk = sim.disk();
        // That a new store is made whole or not at all is for the file system.
        drop(open(&disk, &sim, recovery).unwrap());
        Run {
            seed,
            model: Model {
                possible: vec![vec![None]; ASKERS * KEYS],
            },
            image: disk.image(),
            recovery,
            numbers: 0,
            dice,
        }
    }

    /// Some lives, and a last one in which nothing fails; a hash of their traces.
    pub fn run(mut self, steps: usize) -> u64 {
        let lives = 1 + self.dice.below(3) as u64;
        let mut trace = 0_u64;
        for life in 0..lives {
            trace = trace.rotate_left(7) ^ self.live(life, steps / lives as usize);
        }
        trace.rotate_left(7) ^ self.live_on(lives)
    }

    /// Starts the server; nothing, if it cannot open its store.
    fn begin(&mut self, life: u64, faults: Faults, opens_badly: bool) -> Option<Life> {
        let mut sim = Sim::seeded(self.seed ^ (life + 1) << 40);
        let disk = sim.disk_with(self.image.clone());
        if opens_badly {
            // While it is opened and repaired.
            sim.set_faults(faults.clone());
            if self.dice.below(2) == 0 {
                disk.lose_power_after(self.dice.below(60) as u64);
            }
        }
        let Some(store) = open(&disk, &sim, self.recovery) else {
            self.image = disk.image_after_power_loss();
            return None;
        };
        sim.set_faults(faults);
        let unit = sim.storage(Box::new(store), UnitOptions::default());
        let service = KeyValue { unit: unit.clone() };
        // What is done about being short of descriptors has a suite of its own.
        let server = sim.server().overload(Ladder::off());
        let server = server.handler_timeout(HANDLER);
        let address = sim.serve(server.drain_timeout(Duration::from_secs(5)), service);
        Some(Life {
            sim,
            disk,
            unit,
            address,
            askers: (0..ASKERS).map(|_| Asker::new()).collect(),
        })
    }

    fn live(&mut self, number: u64, steps: usize) -> u64 {
        let seed = self.seed ^ number << 20;
        let faults = match seed % 8 {
            0 => Faults::none(),
            1 => Faults::hostile(),
            _ => Faults::swarm(seed),
        };
        let opens_badly = self.dice.below(3) == 0;
        let Some(mut life) = self.begin(number, faults, opens_badly) else {
            return 0;
        };
        if self.dice.below(2) == 0 {
            life.disk.lose_power_after(self.dice.below(600) as u64);
        }
        let steps = self.dice.up_to(steps);
        for _ in 0..steps {
            self.act(&mut life);
            life.sim.turn();
            if !self.look(&mut life) {
                break;
            }
        }
        self.cut(life)
    }

    /// The power goes, or only the process. A disk that failed to sync is not trusted to have what it
    /// shows: it is looked at after it has lost power, too.
    fn cut(&mut self, mut life: Life) -> u64 {
        let is_killed = self.dice.below(3) == 0;
        let keeps_all = is_killed && life.disk.has_power() && life.disk.failed().is_none();
        self.image = match keeps_all {
            true => life.disk.image(),
            false => life.disk.image_after_power_loss(),
        };
        for asker in &mut life.askers {
            if let Some((question, _)) = asker.asked.take() {
                self.model.doubts(question);
            }
        }
        life.sim.trace()
    }

    fn act(&mut self, life: &mut Life) {
        match self.dice.below(100) {
            0..45 => self.ask(life),
            45..46 => {
                let index = self.dice.below(ASKERS);
                if let Some(question) = life.askers[index].leave() {
                    self.model.doubts(question);
                }
            }
            46..80 => {}
            80..99 => self.advance(life, 10_000),
            _ => self.advance(life, 3_000_000),
        }
    }

    fn advance(&mut self, life: &mut Life, micros_max: usize) {
        let micros = self.dice.below(micros_max) as u64;
        life.sim.advance(Duration::from_micros(micros));
    }

    fn ask(&mut self, life: &mut Life) {
        let index = self.dice.below(ASKERS);
        if life.askers[index].asked.is_some() {
            return;
        }
        let key = index * KEYS + self.dice.below(KEYS);
        self.numbers += 1;
        let question = match self.dice.below(8) {
            0..3 => Question::Get(key),
            3 => Question::Put(key, None),
            _ => {
                let mut value = format!("{} ", self.numbers).into_bytes();
                let len = [8, 100, 3_000][self.dice.below(3)];
                value.resize(8 + self.dice.below(len), b'.');
                Question::Put(key, Some(value))
            }
        };
        let octets = question.octets();
        life.askers[index].ask(question, &octets, &mut life.sim, life.address);
    }

    /// Whether the machine still has power; what happens after that, nobody sees.
    fn look(&mut self, life: &mut Life) -> bool {
        if !life.disk.has_power() {
            return false;
        }
        let metrics = life.unit.metrics();
        let parts = metrics.queued + metrics.running + metrics.done;
        let ends = metrics.late + metrics.cancelled;
        assert_eq!(
            metrics.accepted,
            parts + ends,
            "an operation is lost: {metrics:?}"
        );
        let has_failed = life.disk.failed().is_some();
        for asker in &mut life.askers {
            match asker.look(&life.sim) {
                None => {}
                Some(Told::Cut(question, None)) => self.model.doubts(question),
                Some(Told::Cut(question, Some(at))) => panic!("{question:?} was cut at {at:?}"),
                Some(Told::Answered(question, answer, after)) => {
                    self.model.judge(question, &answer, after, has_failed);
                }
            }
        }
        true
    }

    /// Nothing fails any more: all that was acknowledged is there, and everything ends.
    fn live_on(&mut self, number: u64) -> u64 {
        let begun = self.begin(number, Faults::none(), false);
        let mut life = begun.expect("a store that only lost power can be opened");
        for key in 0..ASKERS * KEYS {
            let question = Question::Get(key);
            let octets = question.octets();
            let asker = &mut life.askers[key / KEYS];
            asker.ask(question, &octets, &mut life.sim, life.address);
            life.sim.advance(Duration::from_millis(1));
            assert!(self.look(&mut life));
        }
        for _ in 0..100 {
            self.ask(&mut life);
            life.sim.advance(Duration::from_millis(1));
            assert!(self.look(&mut life));
        }
        let waiting = life.askers.iter().find_map(|asker| asker.asked.as_ref());
        assert!(waiting.is_none(), "{waiting:?} was never answered");
        life.askers.clear();
        life.sim.signal(Signal::TERM);
        life.sim.advance(Duration::from_secs(6));
        assert_eq!(life.sim.outcome(), Some(Ok(())));
        life.sim.trace()
    }
}

impl Question {
    fn octets(&self) -> Vec<u8> {
        match self {
            Question::Get(key) => format!("GET /{key} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes(),
            Question::Put(key, None) => {
                format!("DELETE /{key} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes()
            }
            Question::Put(key, Some(value)) => {
                let len = value.len();
                let head =
                    format!("PUT /{key} HTTP/1.1\r\nhost: x\r\ncontent-length: {len}\r\n\r\n");
                [head.as_bytes(), value].concat()
            }
        }
    }
}

impl Model {
    fn judge(&mut self, question: Question, answer: &Answer, after: Duration, has_failed: bool) {
        let is_ours = answer.field("content-type").is_some();
        match (answer.status(), question) {
            (200, Question::Get(key)) => self.reads(key, Some(answer.body().to_vec()), has_failed),
            (404, Question::Get(key)) => self.reads(key, None, has_failed),
            (204, Question::Put(key, value)) => self.knows(key, value),
            // Certainly not done.
            (503, _) if is_ours && !answer.body().is_empty() => {}
            (500, question) => self.doubts(question),
            (504, question) => {
                assert!(after >= HANDLER, "{answer:?} after {after:?}");
                self.doubts(question);
            }
            (_, question) => panic!("{answer:?} to {question:?}"),
        }
    }
}
