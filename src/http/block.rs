//! The block classifier: sixteen octets judged at once.
//!
//! A scan asks one question, how many octets in front are of a class, and gets the answer block by
//! block: a comparison for each range of the class, one bit for each octet outside of it, and the
//! lowest of these bits is where the run ends. No branch depends on how long a run is within its
//! block, which is what makes heads of mixed traffic cheap.
//!
//! This is the one place that knows about vectors. They come from the crate `wide`, which has them
//! without unsafe code of ours on every processor (SSE2, NEON, plain words); wider registers or
//! another crate would be swapped in here. Beside it stands the portable path, the table of
//! [`grammar`](super::grammar), which also does what is left in front of a block's end; a test
//! compares the two octet by octet.
//!
//! A scan reads whole blocks only and says `None` when they end before the run does. So it is
//! fast where the buffer goes on behind the message, as it does in a connection, and what lies
//! there never decides: whoever scans compares where the run ended with the end of the message.

use wide::u8x16;

/// In octets.
pub(super) const BLOCK: usize = 16;

/// Octets behind a message with which every scan finds whole blocks. More are never of use, so
/// more are never read, however large the buffer is.
pub(super) const SLACK: usize = Controls::WINDOW + BLOCK;

/// The octets that a scan of the first `bound` ones may look at.
#[inline]
pub(super) fn reach(octets: &[u8], bound: usize) -> &[u8] {
    &octets[..octets.len().min(bound + SLACK)]
}

/// Where the control octets are, HTAB included: what ends a line, or may not be in one.
///
/// A window of octets is looked at once and leaves a bit for each, so that the way from one line
/// end to the next is a shift and a count of zeros, and what is in between can be judged
/// meanwhile: the processor need not wait for one scan to know where the next begins.
#[derive(Debug)]
pub(super) struct Controls {
    /// The first octet of the window.
    start: usize,
    marks: u64,
}

impl Controls {
    /// In octets.
    const WINDOW: usize = u64::BITS as usize;

    /// The window that begins at `start`.
    #[inline(always)]
    pub fn from(octets: &[u8], start: usize) -> Controls {
        let rest = octets.get(start..).unwrap_or_default();
        let marks = match rest.first_chunk() {
            Some(window) => controls_in(window),
            None => controls_in_last(rest),
        };
        Controls { start, marks }
    }

    /// The first control octet at `from` or behind it; somewhere behind the last octet if there is
    /// none. Never goes back: `from` is at least what it was before.
    #[inline(always)]
    pub fn next(&mut self, octets: &[u8], from: usize) -> usize {
        let passed = from - self.start;
        if passed < Controls::WINDOW {
            let marks = self.marks >> passed;
            if marks != 0 {
                return from + marks.trailing_zeros() as usize;
            }
        }
        self.next_beyond(octets, from)
    }

    /// The same where the window has none any more.
    #[inline(always)]
    fn next_beyond(&mut self, octets: &[u8], from: usize) -> usize {
        let mut start = from.max(self.start + Controls::WINDOW);
        loop {
            *self = Controls::from(octets, start);
            if self.marks != 0 {
                return start + self.marks.trailing_zeros() as usize;
            }
            start += Controls::WINDOW;
        }
    }
}

#[inline(always)]
fn controls_in(window: &[u8; Controls::WINDOW]) -> u64 {
    let (blocks, _) = window.as_chunks::<BLOCK>();
    let [first, second, third, fourth] = blocks else {
        return 0; // a window has four
    };
    let marks = |block: &[u8; BLOCK]| u64::from(controls(u8x16::new(*block)).to_bitmask());
    let (low, high) = (
        marks(first) | marks(second) << 16,
        marks(third) | marks(fourth) << 16,
    );
    low | high << 32
}

/// The end of the octets counts as a control octet.
#[inline(never)]
fn controls_in_last(octets: &[u8]) -> u64 {
    let mut window = [0; Controls::WINDOW];
    window[..octets.len()].copy_from_slice(octets);
    controls_in(&window)
}

#[inline(always)]
fn controls(block: u8x16) -> u8x16 {
    at_most(block, 0x1f) | equal(block, 0x7f)
}

/// The length of the text in front of `octets`: up to the first control octet, HTAB included.
#[inline(always)]
pub(super) fn text_len(octets: &[u8]) -> Option<usize> {
    run_len(octets, |block| at_most(block, 0x1f) | equal(block, 0x7f))
}

/// The length of what may be a request target: visible ASCII without `#`.
#[inline(always)]
pub(super) fn target_len(octets: &[u8]) -> Option<usize> {
    run_len(octets, beyond_target)
}

#[inline(always)]
fn beyond_target(block: u8x16) -> u8x16 {
    at_most(block, b' ') | at_least(block, 0x7f) | equal(block, b'#')
}

/// The length of a plain field name: letters and hyphens, as nearly all are. A name with other
/// octets of a token ends early here.
#[inline(always)]
pub(super) fn plain_name_len(octets: &[u8]) -> Option<usize> {
    run_len(octets, |block| !(letter(block) | equal(block, b'-')))
}

/// The length of a plain authority in front of `octets`: letters, digits, hyphens and dots, and
/// perhaps a port of so few digits that any are one. `None` if there is none, or if it takes a
/// closer look.
#[inline(never)]
pub(super) fn plain_authority_len(octets: &[u8]) -> Option<usize> {
    let host_len = run_len(octets, |block| !of_host(block)).filter(|&len| len > 0)?;
    if octets.get(host_len) != Some(&b':') {
        return Some(host_len);
    }
    let digits_len = run_len(octets.get(host_len + 1..)?, |block| !digit(block))?;
    (digits_len <= PLAIN_PORT_DIGITS_MAX).then_some(host_len + 1 + digits_len)
}

/// Any number of so few digits is a port.
const PLAIN_PORT_DIGITS_MAX: usize = 4;

/// Octets in which a short authority is found with four octets behind it.
pub(super) const AUTHORITY_WINDOW: usize = BLOCK + ":".len() + PLAIN_PORT_DIGITS_MAX + 4;

/// The same for one that is shorter than a block, port and all, by a single look at it. [`BLOCK`]
/// if it may be a longer one.
#[inline(always)]
pub(super) fn short_authority_len(octets: &[u8; AUTHORITY_WINDOW]) -> Option<usize> {
    let block = u8x16::new(*octets.first_chunk()?);
    let host_len = first_mark(!of_host(block));
    if octets[host_len] != b':' || host_len == BLOCK {
        return Some(host_len).filter(|&len| len > 0);
    }
    let beyond_port = (!digit(block)).to_bitmask() >> (host_len + 1); // 0: the port goes on
    let digits_len = beyond_port.trailing_zeros() as usize;
    let is_plain = host_len > 0 && digits_len <= PLAIN_PORT_DIGITS_MAX;
    is_plain.then_some(host_len + 1 + digits_len)
}

/// Where the first octet of the class is, or the length of the block if there is none.
#[inline(always)]
fn first_mark(class: u8x16) -> usize {
    (class.to_bitmask() | 1 << BLOCK).trailing_zeros() as usize
}

/// The same as [`target_len`] for one that ends within the block, or the length of that.
#[inline(always)]
pub(super) fn short_target_len(block: &[u8; BLOCK]) -> usize {
    first_mark(beyond_target(u8x16::new(*block)))
}

/// How many octets in front are none of `others`, or `None` when no whole block is left before
/// there is one. Most runs end in their first block.
#[inline(always)]
fn run_len(octets: &[u8], others: impl Fn(u8x16) -> u8x16) -> Option<usize> {
    let mut rest = octets;
    let mut passed = 0;
    loop {
        let (block, behind) = rest.split_first_chunk::<BLOCK>()?;
        let marks = others(u8x16::new(*block)).to_bitmask();
        if marks != 0 {
            return Some(passed + marks.trailing_zeros() as usize);
        }
        rest = behind;
        passed += BLOCK;
    }
}

#[inline(always)]
fn equal(block: u8x16, octet: u8) -> u8x16 {
    block.simd_eq(u8x16::splat(octet))
}

#[inline(always)]
fn at_most(block: u8x16, octet: u8) -> u8x16 {
    block.min(u8x16::splat(octet)).simd_eq(block)
}

#[inline(always)]
fn at_least(block: u8x16, octet: u8) -> u8x16 {
    block.max(u8x16::splat(octet)).simd_eq(block)
}

/// Whether octets are from `first` on, and `others` more: below `first` they wrap and are large.
#[inline(always)]
fn within(block: u8x16, first: u8, others: u8) -> u8x16 {
    at_most(block - u8x16::splat(first), others)
}

#[inline(always)]
fn digit(block: u8x16) -> u8x16 {
    within(block, b'0', 9)
}

/// Setting bit 5 makes capitals small and nothing else a letter.
#[inline(always)]
fn letter(block: u8x16) -> u8x16 {
    within(block | u8x16::splat(0x20), b'a', 25)
}

#[inline(always)]
fn of_host(block: u8x16) -> u8x16 {
    letter(block) | digit(block) | within(block, b'-', 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Scan = fn(&[u8]) -> Option<usize>;
    type Class = fn(u8) -> bool;

    #[test]
    fn blocks_and_single_octets_are_judged_alike() {
        let scans: [(Scan, Class); 3] = [
            (text_len, |octet| octet >= 0x20 && octet != 0x7f),
            (target_len, |octet| {
                octet.is_ascii_graphic() && octet != b'#'
            }),
            (plain_name_len, |octet| {
                octet.is_ascii_alphabetic() || octet == b'-'
            }),
        ];
        for (scan, belongs) in scans {
            for length in 0..3 * BLOCK {
                for at in 0..length {
                    for octet in 0..=255 {
                        let mut octets = vec![b'a'; length];
                        octets[at] = octet;
                        octets[length - 1 - at / 2] = 0x80 | octet;
                        let naive = octets.iter().position(|&octet| !belongs(octet));
                        let whole = length / BLOCK * BLOCK;
                        assert_eq!(scan(&octets), naive.filter(|&at| at < whole), "{octets:x?}");
                    }
                }
            }
        }
    }
}
