//! Who is compared: a line for each.

/// How a server is come by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `src/bin/floor.rs`.
    Floor,
    /// `src/bin/trine.rs` with these two flags.
    Trine {
        model: &'static str,
        pattern: &'static str,
    },
    /// The package `peer-` and this.
    Peer(&'static str),
    /// A program of the machine, as `installed.rs` sets it up.
    Installed(&'static str),
}

/// A server in the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    pub name: &'static str,
    pub kind: Kind,
    /// Processors that it may use, and the threads or loops or workers it is told to have.
    pub processors: usize,
}

const fn row(name: &'static str, kind: Kind, processors: usize) -> Row {
    Row {
        name,
        kind,
        processors,
    }
}

const fn trine(model: &'static str, pattern: &'static str) -> Kind {
    Kind::Trine { model, pattern }
}

/// All of them. The first is what the others are ratios to. A name that comes with one processor
/// and with two is a line of the table of scaling.
#[rustfmt::skip] // a line each
pub const ROWS: &[Row] = &[
    row("floor", Kind::Floor, 1),
    row("trine single", trine("single", "reactor"), 1),
    row("trine single proactor", trine("single", "proactor"), 1),
    row("trine single io-uring", trine("single", "io-uring"), 1),
    row("trine half-sync", trine("half-sync", "reactor"), 1),
    row("trine half-sync proactor", trine("half-sync", "proactor"), 1),
    row("trine half-sync io-uring", trine("half-sync", "io-uring"), 1),
    row("trine leader-followers", trine("leader-followers", "reactor"), 1),
    row("trine leader-followers proactor", trine("leader-followers", "proactor"), 1),
    row("trine leader-followers io-uring", trine("leader-followers", "io-uring"), 1),
    row("trine loop-per-core", trine("loop-per-core", "reactor"), 1),
    row("trine loop-per-core proactor", trine("loop-per-core", "proactor"), 1),
    row("trine loop-per-core io-uring", trine("loop-per-core", "io-uring"), 1),
    row("hyper", Kind::Peer("hyper"), 1),
    row("actix-web", Kind::Peer("actix-web"), 1),
    row("ntex", Kind::Peer("ntex"), 1),
    row("may_minihttp", Kind::Peer("may_minihttp"), 1),
    row("monoio", Kind::Peer("monoio"), 1),
    row("nginx", Kind::Installed("nginx"), 1),
    row("haproxy", Kind::Installed("haproxy"), 1),
    row("h2o", Kind::Installed("h2o"), 1),
    row("floor", Kind::Floor, 2),
    row("trine half-sync", trine("half-sync", "reactor"), 2),
    row("trine leader-followers", trine("leader-followers", "reactor"), 2),
    row("trine loop-per-core", trine("loop-per-core", "reactor"), 2),
    row("trine loop-per-core io-uring", trine("loop-per-core", "io-uring"), 2),
];

impl Row {
    /// Whether `--only NAME` means it: by its name, with spaces or hyphens, or by its first word.
    #[must_use]
    pub fn is_meant_by(&self, name: &str) -> bool {
        let wanted = name.replace(' ', "-");
        let own = self.name.replace(' ', "-");
        own == wanted || self.name.split(' ').next() == Some(name)
    }

    /// Whether it is the project's own: then its failure is one of the run.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self.kind, Kind::Floor | Kind::Trine { .. })
    }

    /// How the log names it.
    #[must_use]
    pub fn label(&self) -> String {
        match self.processors {
            1 => self.name.to_owned(),
            processors => format!("{} on {processors}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_are_the_same_and_the_first_is_the_floor_on_one_processor() {
        assert_eq!(ROWS[0], row("floor", Kind::Floor, 1));
        for (number, row) in ROWS.iter().enumerate() {
            assert!(
                ROWS[..number]
                    .iter()
                    .all(|other| other.label() != row.label())
            );
        }
    }

    #[test]
    fn a_row_is_meant_by_its_name_or_by_that_of_its_family() {
        let row = row("trine loop-per-core", trine("loop-per-core", "reactor"), 2);
        for name in ["trine", "trine loop-per-core", "trine-loop-per-core"] {
            assert!(row.is_meant_by(name), "{name}");
        }
        assert!(!row.is_meant_by("trine-loop"));
    }
}
