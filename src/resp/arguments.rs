//! The arguments of a command, where they stand in what was received.

use std::fmt;
use std::ops::Range;

/// Where an argument stands. Lengths are below 4 GiB, as the limits are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    start: u32,
    end: u32,
}

impl Place {
    pub fn of(start: usize, end: usize) -> Place {
        Place {
            start: start as u32,
            end: end as u32,
        }
    }

    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The arguments of a command, its name first.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    text: &'a [u8],
    places: &'a [Place],
}

impl<'a> Arguments<'a> {
    /// Those that stand at `places` in `text`.
    pub(super) fn new(text: &'a [u8], places: &'a [Place]) -> Arguments<'a> {
        Arguments { text, places }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none: the command says nothing, and is not answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The one at `index`, or `None` when there are fewer.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let place = self.places.get(index)?;
        self.text.get(place.range())
    }

    /// The one at `index`; empty when there are fewer.
    #[inline]
    pub(super) fn at(&self, index: usize) -> &'a [u8] {
        self.get(index).unwrap_or_default()
    }

    /// Those from `index` on.
    #[must_use]
    pub fn from(&self, index: usize) -> Arguments<'a> {
        Arguments {
            text: self.text,
            places: self.places.get(index..).unwrap_or_default(),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let text = self.text;
        self.places.iter().map(move |place| &text[place.range()])
    }
}

impl fmt::Debug for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self
            .iter()
            .map(|argument| argument.escape_ascii().to_string());
        f.debug_list().entries(shown).finish()
    }
}
