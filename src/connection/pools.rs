//! Memory that connections borrow while they have something in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::input::Input;
use crate::buffer::{Buffer, BufferPool, Charge, Meter, Spare};

/// Where connections take their buffers from and give them back to. One for each loop.
///
/// Bounded: unused buffers beyond `spare_max`, and buffers that grew, go back to the allocator.
/// Nothing here blocks or allocates once the pools are warm.
///
/// Counted: [`memory`](Pools::memory) is what the connections hold now, to the byte. The count moves
/// when the allocator is asked, not when a buffer changes hands.
#[derive(Debug)]
pub struct Pools {
    inputs: Spare<Input>,
    outputs: BufferPool,
    /// In bytes, for each new buffer.
    capacity: usize,
    /// All buffers that were made here, and the answers of services that connections keep.
    meter: Meter,
    /// In bytes: with more than that held, no body that is collected gets another byte of memory.
    memory_max: usize,
    /// With whom, if the bytes are counted together with those of other pools.
    common: Option<Common>,
}

/// What the pools of several threads have in common: one limit on the memory, counted together.
#[derive(Debug, Default)]
pub(crate) struct Common {
    meter: Meter,
    /// In bytes, what all of them keep unused, as far as they have [told](Pools::tell).
    spare: Arc<AtomicUsize>,
    /// How much of it these pools have told.
    told: usize,
}

impl Common {
    /// In bytes, what the others keep unused.
    fn spare_elsewhere(&self) -> usize {
        self.spare.load(Ordering::Relaxed).saturating_sub(self.told)
    }

    /// The pools with it keep `spare` bytes unused.
    fn tell(&mut self, spare: usize) {
        if self.told != spare {
            self.spare.fetch_add(spare, Ordering::Relaxed);
            self.spare.fetch_sub(self.told, Ordering::Relaxed);
            self.told = spare;
        }
    }
}

/// For other pools, which have told nothing.
impl Clone for Common {
    fn clone(&self) -> Common {
        Common {
            meter: self.meter.clone(),
            spare: Arc::clone(&self.spare),
            told: 0,
        }
    }
}

impl Drop for Common {
    fn drop(&mut self) {
        self.tell(0);
    }
}

/// A full pool has at most this part of a limit on the memory beside what connections hold.
const SPARE_SHARE: usize = 8;

impl Pools {
    /// Pools of buffers of `capacity` bytes which keep at most `spare_max` unused ones for input
    /// and as many for output.
    #[must_use]
    pub fn new(capacity: usize, spare_max: usize) -> Pools {
        Pools::metered(capacity, spare_max, Meter::default())
    }

    fn metered(capacity: usize, spare_max: usize, meter: Meter) -> Pools {
        Pools {
            inputs: Spare::new(spare_max),
            outputs: BufferPool::metered(capacity, spare_max, meter.clone()),
            capacity,
            meter,
            memory_max: usize::MAX,
            common: None,
        }
    }

    /// The default pools for connections that may hold `memory_max` bytes together. What is kept
    /// unused is at most an eighth of that.
    #[must_use]
    pub fn within(memory_max: usize) -> Pools {
        let spare_max = memory_max / SPARE_SHARE / (2 * CAPACITY);
        Pools {
            memory_max,
            ..Pools::new(CAPACITY, spare_max.min(SPARE_MAX))
        }
    }

    /// The same for one thread of `threads` whose connections may hold `memory_max` bytes together. What
    /// they keep unused is an eighth of that together.
    ///
    /// A limit that several threads reach at the same moment may be exceeded by what each of them is
    /// just about to take: one read.
    pub(crate) fn in_common(memory_max: usize, threads: usize, common: &Common) -> Pools {
        let spare_max = memory_max / SPARE_SHARE / (2 * CAPACITY) / threads.max(1);
        let meter = common.meter.clone();
        Pools {
            memory_max,
            common: Some(common.clone()),
            ..Pools::metered(CAPACITY, spare_max.min(SPARE_MAX), meter)
        }
    }

    /// Tells those with whom the bytes are counted together how many are kept unused here.
    pub(crate) fn tell(&mut self) {
        let spare = self.spare_memory();
        if let Some(common) = &mut self.common {
            common.tell(spare);
        }
    }

    /// How many unused buffers are kept now: for input, for output.
    #[must_use]
    pub fn spare(&self) -> (usize, usize) {
        (self.inputs.len(), self.outputs.spare())
    }

    /// In bytes, the buffers that are kept unused.
    #[must_use]
    pub fn spare_memory(&self) -> usize {
        (self.inputs.len() + self.outputs.spare()) * self.capacity
    }

    /// In bytes, the unused buffers of those pools that are counted together with these.
    pub(crate) fn spare_elsewhere(&self) -> usize {
        self.common.as_ref().map_or(0, Common::spare_elsewhere)
    }

    /// In bytes, what connections hold now: their buffers, and the rest of answers that the service
    /// gave whole, if nobody else has those.
    #[must_use]
    pub fn memory(&self) -> usize {
        let spare = self.spare_memory() + self.spare_elsewhere();
        self.meter.bytes().saturating_sub(spare)
    }

    /// In bytes, at least [`memory`](Pools::memory), at most that and what is kept unused. One load.
    #[inline]
    pub(crate) fn memory_at_most(&self) -> usize {
        self.meter.bytes()
    }

    /// What all buffers that come from here, or end here, are counted by.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Whether the limit leaves room for `more` bytes of a body.
    pub(super) fn has_room(&self, more: usize) -> bool {
        more == 0 || self.memory().saturating_add(more) <= self.memory_max
    }

    /// Counts an answer that the service gave whole, unless others have it too: what is shared is
    /// the service's memory, however many connections send it.
    pub(super) fn charge(&self, content: &Bytes) -> Charge {
        match content.is_unique() {
            true => self.meter.charge(content.len()),
            false => Charge::default(),
        }
    }

    #[inline]
    pub(super) fn take_input(&mut self) -> Box<Input> {
        self.inputs
            .take()
            .unwrap_or_else(|| Box::new(Input::with_capacity(self.capacity, &self.meter)))
    }

    /// `input` has no bytes and its machines are at the beginning of a message.
    #[inline(always)]
    pub(super) fn give_input(&mut self, input: Box<Input>) {
        if input.capacity() == self.capacity {
            self.inputs.give(input);
        }
    }

    /// A partial message that occupies a whole pool buffer is moved to one of its own size.
    pub(super) fn shrink(&mut self, mut input: Box<Input>) -> Box<Input> {
        match input.shrink(self.capacity, &self.meter) {
            Some(small) => {
                self.give_input(input);
                Box::new(small)
            }
            None => input,
        }
    }

    #[inline]
    pub(super) fn take_output(&mut self) -> Box<Buffer> {
        self.outputs.take()
    }

    #[inline]
    pub(super) fn give_output(&mut self, output: Box<Buffer>) {
        self.outputs.give(output);
    }
}

/// In bytes, of a buffer as it comes from the default pools.
const CAPACITY: usize = 16 * 1024;
/// Buffers that the default pools keep unused, for input and for output each.
const SPARE_MAX: usize = 256;

/// 16 KiB each, 256 unused at most, and no limit on what connections hold.
impl Default for Pools {
    fn default() -> Pools {
        Pools::within(usize::MAX)
    }
}
