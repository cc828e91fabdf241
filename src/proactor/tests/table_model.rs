//! The operation table against a model, by seeded random operations in virtual time: each operation
//! has exactly one last word, what may begin is what the rules say, a descriptor goes once.

use std::collections::{BTreeMap, BTreeSet};

use super::super::table::{Cancel, Lane, Refusal, Table};
use crate::reactor::OperationId;
use crate::slab::Token;
use crate::time::Tick;

const OPERATIONS_MAX: usize = 24;
const OWNER: Token = Token::from_bits(7 << 32 | 3);

/// What is known of an operation that is under way.
#[derive(Clone, Copy, Debug)]
struct Known {
    place: Option<Lane>,
    at: Tick,
    cancelling: bool,
}

#[derive(Default)]
struct Model {
    operations: BTreeMap<OperationId, Known>,
    /// By token, whether the handle is there.
    descriptors: BTreeMap<Token, bool>,
    ended: BTreeSet<OperationId>,
    freed: Vec<u32>,
    now: u64,
    next_device: u32,
}

fn token_of(lane: Lane) -> Token {
    let (Lane::In(token) | Lane::Out(token) | Lane::File(token)) = lane;
    token
}

impl Model {
    fn is_busy(&self, lane: Lane) -> bool {
        !matches!(lane, Lane::File(_))
            && self
                .operations
                .values()
                .any(|known| known.place == Some(lane))
    }

    fn works_on(&self, token: Token) -> bool {
        let mut lanes = self.operations.values().filter_map(|known| known.place);
        lanes.any(|lane| token_of(lane) == token)
    }

    fn expected(&self, lane: Lane) -> Option<Refusal> {
        if self.operations.len() >= OPERATIONS_MAX {
            return Some(Refusal::Full);
        }
        if self.descriptors.get(&token_of(lane)) != Some(&true) {
            return Some(Refusal::NoDescriptor);
        }
        self.is_busy(lane).then_some(Refusal::Busy)
    }

    fn began(&mut self, id: OperationId, place: Option<Lane>, at: Tick) {
        let known = Known {
            place,
            at,
            cancelling: false,
        };
        assert!(self.operations.insert(id, known).is_none());
    }

    /// The last word of `id` is said: in the table, and here.
    fn end(&mut self, table: &mut Table<u32>, id: OperationId) {
        let known = self.operations.remove(&id).expect("it is under way");
        assert!(self.ended.insert(id), "{id:?} ended before");
        let finished = table.finish(id, false).expect("it is under way");
        assert_eq!(finished.owner, OWNER);
        let freed = known
            .place
            .map(token_of)
            .filter(|token| self.descriptors.get(token) == Some(&false) && !self.works_on(*token));
        self.left(freed, finished.freed);
        assert!(table.finish(id, false).is_none(), "a second last word");
        assert_eq!(table.cancel(id), Cancel::Nothing);
    }

    fn left(&mut self, expected: Option<Token>, device: Option<u32>) {
        assert_eq!(expected.is_some(), device.is_some());
        if let Some(token) = expected {
            self.descriptors.remove(&token);
        }
        self.freed.extend(device);
    }
}

fn any_of<T: Copy>(all: impl ExactSizeIterator<Item = T>, random: &mut fastrand::Rng) -> Option<T> {
    let mut all = all;
    let len = all.len();
    (len > 0).then(|| all.nth(random.usize(..len)))?
}

fn step(table: &mut Table<u32>, model: &mut Model, random: &mut fastrand::Rng) {
    match random.u8(..9) {
        0 => {
            let device = model.next_device;
            model.next_device += 1;
            let token = table.attach(device).unwrap();
            assert_eq!(model.descriptors.insert(token, true), None);
        }
        1..4 => begin(table, model, random),
        4 => begin_timer(table, model, random),
        5 => cancel(table, model, random),
        6 => finish(table, model, random),
        7 => release(table, model, random),
        _ => pass_time(table, model, random),
    }
}

fn begin(table: &mut Table<u32>, model: &mut Model, random: &mut fastrand::Rng) {
    let Some(token) = any_of(model.descriptors.keys().copied(), random) else {
        return;
    };
    let lane = match random.u8(..3) {
        0 => Lane::In(token),
        1 => Lane::Out(token),
        _ => Lane::File(token),
    };
    let expected = model.expected(lane);
    let started = table.start(OWNER, lane);
    assert_eq!(started.err(), expected);
    if let Ok(id) = started {
        model.began(id, Some(lane), Tick::NEVER);
    }
}

fn begin_timer(table: &mut Table<u32>, model: &mut Model, random: &mut fastrand::Rng) {
    let at = Tick(model.now + 1 + random.u64(..300));
    let full = model.operations.len() >= OPERATIONS_MAX;
    match table.start_timer(OWNER, at) {
        Ok(id) => {
            assert!(!full);
            model.began(id, None, at);
        }
        Err(refusal) => assert!(full && refusal == Refusal::Full),
    }
}

fn cancel(table: &mut Table<u32>, model: &mut Model, random: &mut fastrand::Rng) {
    let Some(id) = any_of(model.operations.keys().copied(), random) else {
        return;
    };
    let known = model.operations.get_mut(&id).unwrap();
    let expected = match (known.cancelling, known.place) {
        (true, _) => Cancel::Nothing,
        (false, None) => Cancel::Finish,
        (false, Some(lane)) => Cancel::Ask(lane),
    };
    known.cancelling = true;
    assert_eq!(table.cancel(id), expected);
    assert!(!table.is_wanted(id));
    if expected == Cancel::Finish {
        model.end(table, id);
    }
}

fn finish(table: &mut Table<u32>, model: &mut Model, random: &mut fastrand::Rng) {
    let works = model.operations.iter();
    let works = works.filter(|(_, known)| known.place.is_some());
    let ids: Vec<_> = works.map(|(id, _)| *id).collect();
    let Some(id) = any_of(ids.iter().copied(), random) else {
        return;
    };
    match random.bool() {
        true => model.end(table, id),
        false => {
            let goes_on = table.finish(id, true).expect("it is under way");
            assert!(goes_on.freed.is_none());
        }
    }
}

fn release(table: &mut Table<u32>, model: &mut Model, random: &mut fastrand::Rng) {
    let Some(token) = any_of(model.descriptors.keys().copied(), random) else {
        return;
    };
    model.descriptors.insert(token, false);
    let free = !model.works_on(token);
    let (busy, device) = table.release(token);
    for lane in [Lane::In(token), Lane::Out(token)] {
        let told = busy.iter().flatten();
        let told = told.filter(|id| model.operations[id].place == Some(lane));
        assert_eq!(told.count(), usize::from(model.is_busy(lane)), "{lane:?}");
    }
    model.left(free.then_some(token), device);
}

fn pass_time(table: &mut Table<u32>, model: &mut Model, random: &mut fastrand::Rng) {
    model.now += random.u64(..100);
    let now = Tick(model.now);
    let due = |known: &Known| known.place.is_none() && known.at <= now;
    let late = model.operations.iter().filter(|(_, known)| due(known));
    let mut late: BTreeSet<_> = late.map(|(id, _)| *id).collect();
    while let Some(id) = table.expired(now) {
        assert!(late.remove(&id), "{id:?} before its time");
        model.end(table, id);
    }
    assert!(late.is_empty(), "{late:?} not told at {now:?}");
}

#[test]
fn each_operation_has_one_last_word_whatever_comes_in_which_order() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut table, mut model) = (Table::new(OPERATIONS_MAX), Model::default());
        for _ in 0..400 {
            step(&mut table, &mut model, &mut random);
            table.check();
            assert_eq!(table.len(), model.operations.len());
            assert_eq!(table.descriptors(), model.descriptors.len());
        }
        // At the end all is released and ended, and every device came out once.
        let tokens: Vec<Token> = model.descriptors.keys().copied().collect();
        for token in tokens {
            model.descriptors.insert(token, false);
            let free = !model.works_on(token);
            let (_, device) = table.release(token);
            model.left(free.then_some(token), device);
        }
        let ids: Vec<OperationId> = model.operations.keys().copied().collect();
        for id in ids {
            model.end(&mut table, id);
        }
        model.freed.sort_unstable();
        assert!(
            model.freed.iter().copied().eq(0..model.next_device),
            "seed {seed}"
        );
        assert_eq!((table.len(), table.descriptors()), (0, 0));
    }
}
