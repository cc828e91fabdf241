//! Bytes in flight, and the pool they come from.
//!
//! A [`Buffer`] is filled at the back by reads and encoders and consumed at the front by parsers
//! and writes. A connection holds one only while it has bytes in it: an idle connection gives its
//! buffers back to the [`BufferPool`], so ten thousand idle connections share a handful.
//!
//! All bytes of a buffer are initialised, once, when it is made or grows: reads go into plain
//! `&mut [u8]`, which is what safe Rust can hand to the kernel.

mod meter;

use std::fmt;

use bytes::BytesMut;

pub(crate) use meter::Charge;
pub use meter::Meter;

/// Bytes in flight: filled at the back, consumed at the front.
///
/// ```text
///   0        start            end         capacity
///   | consumed |     data      |    space    |
/// ```
#[derive(Default)]
pub struct Buffer {
    /// Initialised to its full length.
    /// Invariant: `start <= end <= bytes.len()`.
    /// Invariant: an empty buffer has `start == end == 0`, so `space` is always the whole of it.
    bytes: BytesMut,
    start: usize,
    end: usize,
    charge: Charge,
}

impl Buffer {
    /// An empty buffer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Buffer {
        Buffer {
            bytes: BytesMut::zeroed(capacity),
            start: 0,
            end: 0,
            charge: Charge::default(),
        }
    }

    /// The same, counted by `meter` for as long as it lives, with all that it grows.
    #[must_use]
    pub fn metered(capacity: usize, meter: &Meter) -> Buffer {
        Buffer {
            charge: meter.charge(capacity),
            ..Buffer::with_capacity(capacity)
        }
    }

    /// Counts with `meter` from now on, if it counted with another.
    pub(crate) fn move_to(&mut self, meter: &Meter) {
        self.charge = meter.charge(self.charge.bytes());
    }

    /// How many bytes are held.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether no byte is held.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How many bytes fit without growing, the consumed ones included.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes held, oldest first.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// All bytes from the first one held to the end of the capacity, and how many of them are held;
    /// the others are initialised and mean nothing. For scans that read ahead.
    #[inline]
    #[must_use]
    pub fn data_within(&self) -> (&[u8], usize) {
        (&self.bytes[self.start..], self.len())
    }

    /// The bytes held, for decoding in place.
    #[inline]
    #[must_use]
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// The room behind the data, at least `least` bytes of it: moves the data to the front or
    /// grows (doubling) when there is less. Tell [`filled`](Buffer::filled) how much was used.
    #[inline]
    #[must_use]
    pub fn space(&mut self, least: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < least {
            self.make_room(least);
        }
        &mut self.bytes[self.end..]
    }

    /// All of the capacity of a buffer without data, as [`space`](Buffer::space).
    #[inline(always)]
    pub(crate) fn whole(&mut self) -> &mut [u8] {
        debug_assert!(self.is_empty());
        &mut self.bytes
    }

    /// Counts the first `len` bytes of [`whole`](Buffer::whole) as all the data there is.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    #[inline(always)]
    pub(crate) fn filled_whole(&mut self, len: usize) {
        debug_assert!(self.is_empty());
        if len > self.bytes.len() {
            filled_too_much(len);
        }
        self.end = len;
    }

    /// The first `most` bytes of [`space`](Buffer::space).
    #[inline(always)]
    pub(crate) fn space_of(&mut self, most: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < most {
            self.make_room(most);
        }
        let behind = self.end + most;
        &mut self.bytes[self.end..behind]
    }

    /// Counts all but the last `left` bytes of [`space_of`](Buffer::space_of) `most` as data.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    #[inline(always)]
    pub(crate) fn filled_but(&mut self, left: usize, most: usize) {
        debug_assert!(most <= self.bytes.len() - self.end);
        if left > most {
            filled_too_much(left);
        }
        self.end += most - left;
    }

    /// Counts the first `len` bytes of [`space`](Buffer::space) as data.
    ///
    /// # Panics
    ///
    /// When there is less space than that: the caller wrote where it was not allowed to.
    #[inline]
    pub fn filled(&mut self, len: usize) {
        if len > self.bytes.len() - self.end {
            filled_too_much(len);
        }
        self.end += len;
    }

    /// Appends `bytes`, growing as needed.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) {
        self.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Forgets the first `len` bytes.
    ///
    /// # Panics
    ///
    /// When fewer than `len` bytes are held: the caller consumed what it never had.
    #[inline]
    pub fn consume(&mut self, len: usize) {
        if len > self.len() {
            consumed_too_much(len, self.len());
        }
        self.start += len;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Forgets everything from byte `len` on. No effect when fewer bytes are held.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start.saturating_add(len));
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Forgets all data.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// How many bytes the capacity grows by when room for `least` bytes is asked for.
    #[must_use]
    pub fn growth(&self, least: usize) -> usize {
        match self.bytes.len() - self.len() {
            room if room >= least => 0,
            _ => self.grown(least) - self.bytes.len(),
        }
    }

    fn grown(&self, least: usize) -> usize {
        (self.len() + least).next_power_of_two().max(MIN_CAPACITY)
    }

    #[cold]
    fn make_room(&mut self, least: usize) {
        let len = self.len();
        if self.start > 0 && self.bytes.len() - len >= least {
            self.bytes.copy_within(self.start..self.end, 0);
        } else {
            let capacity = self.grown(least);
            let mut grown = BytesMut::zeroed(capacity);
            grown[..len].copy_from_slice(self.data());
            self.bytes = grown;
            self.charge.change(capacity);
        }
        (self.start, self.end) = (0, len);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} of {} bytes)", self.len(), self.capacity())
    }
}

#[cold]
#[track_caller]
fn filled_too_much(len: usize) -> ! {
    panic!("filled {len} bytes beyond the buffer");
}

#[cold]
#[track_caller]
fn consumed_too_much(len: usize, held: usize) -> ! {
    panic!("consumed {len} of {held} bytes");
}

/// The least a buffer grows to, in bytes.
const MIN_CAPACITY: usize = 256;

/// A bounded stock of empty buffers of one size.
///
/// Last in, first out, so a busy loop works in the same few warm pages. [`take`](BufferPool::take)
/// and [`give`](BufferPool::give) are O(1); only the first use of a buffer allocates.
#[derive(Debug)]
pub struct BufferPool {
    spare: Spare<Buffer>,
    /// In bytes, for each new buffer.
    capacity: usize,
    meter: Meter,
}

impl BufferPool {
    /// A pool of buffers of `capacity` bytes that keeps at most `spare_max` unused ones.
    #[must_use]
    pub fn new(capacity: usize, spare_max: usize) -> BufferPool {
        BufferPool::metered(capacity, spare_max, Meter::default())
    }

    /// The same, with its buffers counted by `meter`.
    #[must_use]
    pub fn metered(capacity: usize, spare_max: usize, meter: Meter) -> BufferPool {
        BufferPool {
            spare: Spare::new(spare_max),
            capacity,
            meter,
        }
    }

    /// An empty buffer.
    #[inline]
    #[must_use]
    pub fn take(&mut self) -> Box<Buffer> {
        self.spare
            .take()
            .unwrap_or_else(|| Box::new(Buffer::metered(self.capacity, &self.meter)))
    }

    /// Takes back a buffer nobody needs; its data is forgotten. A buffer that grew or shrank goes
    /// to the allocator, so one large request does not stay in memory for ever.
    #[inline(always)]
    pub fn give(&mut self, mut buffer: Box<Buffer>) {
        if buffer.capacity() == self.capacity {
            buffer.clear();
            self.spare.give(buffer);
        }
    }

    /// How many unused buffers are kept now.
    #[must_use]
    pub fn spare(&self) -> usize {
        self.spare.len()
    }
}

/// A bounded stack of boxes nobody needs.
///
/// Nearly always the one given last is taken before another is given. So the top has a place of its
/// own, and the stack below it is seldom touched.
#[derive(Debug)]
pub(crate) struct Spare<T> {
    top: Option<Box<T>>,
    below: Vec<Box<T>>,
    /// Boxes kept at most; further ones go back to the allocator.
    max: usize,
}

impl<T> Spare<T> {
    pub(crate) fn new(max: usize) -> Spare<T> {
        Spare {
            top: None,
            below: Vec::new(),
            max,
        }
    }

    /// The one given last.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Option<Box<T>> {
        match self.top.take() {
            Some(top) => Some(top),
            None => self.take_below(),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_below(&mut self) -> Option<Box<T>> {
        self.below.pop()
    }

    #[inline(always)]
    pub(crate) fn give(&mut self, spare: Box<T>) {
        if self.top.is_some() || self.max == 0 {
            return self.give_below(spare);
        }
        self.top = Some(spare);
    }

    #[cold]
    #[inline(never)]
    fn give_below(&mut self, spare: Box<T>) {
        if self.len() < self.max {
            self.below.extend(self.top.replace(spare));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.below.len() + usize::from(self.top.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_they_came_whatever_grows_or_moves() {
        let mut buffer = Buffer::with_capacity(8);
        buffer.append(b"abcdef");
        buffer.consume(4);
        buffer.append(b"ghij"); // moved to the front
        assert_eq!((buffer.data(), buffer.capacity()), (&b"efghij"[..], 8));
        buffer.append(&[b'x'; 300]); // grown
        assert_eq!(&buffer.data()[..8], b"efghijxx");
        buffer.consume(1);
        buffer.truncate(usize::MAX); // no effect
        assert_eq!(buffer.len(), 305);
        buffer.truncate(2);
        assert_eq!(buffer.data(), b"fg");
        buffer.consume(2);
        assert_eq!(buffer.space(1).len(), buffer.capacity());
    }

    #[test]
    #[should_panic(expected = "consumed 3 of 2 bytes")]
    fn consuming_more_than_is_held_is_a_bug_that_says_so() {
        let mut buffer = Buffer::default();
        buffer.append(b"ab");
        buffer.consume(3);
    }

    #[test]
    fn a_pool_keeps_a_bounded_number_of_buffers_of_its_own_size() {
        let mut pool = BufferPool::new(64, 1);
        let (first, second, mut grown) = (pool.take(), pool.take(), pool.take());
        grown.append(&[0; 100]);
        pool.give(grown);
        assert_eq!(pool.spare(), 0);
        pool.give(first);
        pool.give(second);
        assert_eq!(pool.spare(), 1);
    }
}
