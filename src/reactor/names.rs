//! The names of the kinds of sources that a loop has had. Each source is asked for its own once, when it
//! is inserted; from then on the loop knows its kind, which fits into a byte.

/// Kinds that are told apart by name; those beyond share one.
const NAMES_MAX: usize = 64;
const OTHER: &str = "one of many kinds of sources";

/// The place of a name.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Kind(u8);

#[derive(Default, Debug)]
pub(super) struct Names {
    names: Vec<&'static str>,
}

impl Names {
    /// The kind of the sources called `name`. O(kinds).
    pub(super) fn kind(&mut self, name: &'static str) -> Kind {
        let place = self.names.iter().position(|known| *known == name);
        let place = place.unwrap_or(self.names.len());
        if place == self.names.len() && place < NAMES_MAX {
            self.names.push(name);
        }
        Kind(place as u8) // at most NAMES_MAX
    }

    pub(super) fn name(&self, kind: Kind) -> &'static str {
        self.names
            .get(usize::from(kind.0))
            .copied()
            .unwrap_or(OTHER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_again_is_the_same_kind_and_those_beyond_the_table_share_one() {
        let mut names = Names::default();
        let many = (0..NAMES_MAX + 3).map(|n| &*format!("source {n}").leak());
        let many: Vec<&'static str> = many.collect();
        for _ in 0..2 {
            for (number, name) in many.iter().enumerate() {
                let kind = names.kind(name);
                let said = if number < NAMES_MAX { name } else { OTHER };
                assert_eq!(names.name(kind), said);
            }
        }
    }
}
