//! Memory that connections borrow while they have something in it.

use super::input::Input;
use crate::buffer::{Buffer, BufferPool, Spare};

/// Where connections take their buffers from and give them back to. One for each loop.
///
/// Bounded: unused buffers beyond `spare_max`, and buffers that grew, go back to the allocator.
/// Nothing here blocks or allocates once the pools are warm.
#[derive(Debug)]
pub struct Pools {
    inputs: Spare<Input>,
    outputs: BufferPool,
    /// In bytes, for each new buffer.
    capacity: usize,
}

impl Pools {
    /// Pools of buffers of `capacity` bytes which keep at most `spare_max` unused ones for input
    /// and as many for output.
    #[must_use]
    pub fn new(capacity: usize, spare_max: usize) -> Pools {
        Pools {
            inputs: Spare::new(spare_max),
            outputs: BufferPool::new(capacity, spare_max),
            capacity,
        }
    }

    /// How many unused buffers are kept now: for input, for output.
    #[must_use]
    pub fn spare(&self) -> (usize, usize) {
        (self.inputs.len(), self.outputs.spare())
    }

    #[inline]
    pub(super) fn take_input(&mut self) -> Box<Input> {
        self.inputs
            .take()
            .unwrap_or_else(|| Box::new(Input::with_capacity(self.capacity)))
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
        match input.shrink(self.capacity) {
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

/// 16 KiB each, 256 unused at most.
impl Default for Pools {
    fn default() -> Pools {
        Pools::new(16 * 1024, 256)
    }
}
