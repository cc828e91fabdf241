//! What is kept of a run in the repository: the tables, the chart, a part of the README.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::chart::chart;
use crate::results::Results;
use crate::table;

/// Between these two lines the README is ours.
const BEGIN: &str = "<!-- comparison: written by benches/compare -->";
const END: &str = "<!-- comparison: end -->";

/// How a figure came about; the same words stand above the tables.
const ABOUT: &str = "\
A server starts anew for each measurement, pinned to a processor of its own; the client has the last
one. Rows are measured in turn, round by round, and a ratio is the median of the ratios within each
round. Before and after each load the answer is read with care: status, content, Date, one for each of
pipelined requests, connection kept or closed as asked; a server that does otherwise fails. Under load
octets are counted, and no answer may be missing or too long at the end.

CPU is the time that all threads of the server were on a processor, the kernel's work for it included
(`/proc/PID/task/*/schedstat`), divided by the requests answered in the window; user and system share it
as the clock's samples do (`stat`). Memory is VmRSS at the end. Times are of a batch: from its first
octet sent to its last received; of (c) from before connecting to the server's close.

How it was checked that the client is cheaper than what it measures: *client us* is its own processor
time for a request, beside the server's, and a line below each table has the extremes; and where *busy* is
near 100 % the server had always something to do. It does the system calls of the floor and throws the
answers away in the kernel, so it costs about as much as the floor and less than whoever parses. Not so under
(c), where connecting costs more than answering: there requests/s and times are as much the client's, and only
CPU compares the servers. Work of others on the machine lowers *busy* and requests/s and raises the times.

What the servers do differently: nginx, haproxy, h2o and the encoder of monoio-http write each of pipelined
answers by itself, the others several at once; may_minihttp ignores `Connection: close`; h2o has the answer in a
file; actix-web and ntex accept on one thread and serve on another; half-sync/half-async puts each request into a
queue and wakes another thread, which is for services that wait and not for this one. *answer B* is the length of
what each says.

With two processors for the server and two in the machine the client shares one of them, so a gain of two
cannot be; the floor on two shows what can.";

/// Everything, for the file beside the chart.
#[must_use]
pub fn tables(results: &Results) -> String {
    format!(
        "# The loopback comparison\n\n{}\n\n{ABOUT}\n\n{}\n{}\n{}",
        provenance(results),
        table::summary(results),
        table::scaling(results),
        table::full(results).trim_end()
    ) + "\n"
}

/// Replaces the tables, the chart, and the part of the README, below the folder `root`.
///
/// # Errors
///
/// When one of them cannot be written, or the README has no place for them.
pub fn write(results: &Results, root: &Path) -> io::Result<Vec<PathBuf>> {
    let readme = root.join("README.md");
    let old = fs::read_to_string(&readme)?;
    let new = replace(&old, &part(results)).ok_or_else(|| {
        io::Error::other(format!(
            "{} lacks the lines {BEGIN} and {END}",
            readme.display()
        ))
    })?;
    let folder = root.join("benches/compare");
    let written = [
        (folder.join("results.md"), tables(results)),
        (folder.join("results.svg"), chart(results)),
        (readme, new),
    ];
    for (path, text) in &written {
        fs::write(path, text)?;
    }
    Ok(written.into_iter().map(|(path, _)| path).collect())
}

/// The part of the README.
fn part(results: &Results) -> String {
    let mut text = format!(
        "![Processor time of a request as a ratio to the floor](benches/compare/results.svg)\n\n\
{}\n\nThe first columns are processor time of a request, in that of the floor:\n",
        provenance(results)
    );
    for workload in &results.workloads {
        let _ = writeln!(text, "({}) {};", workload.letter, workload.what);
    }
    let _ = write!(
        text,
        "less is better.\n\n{}\n{}",
        table::summary(results),
        table::scaling(results)
    );
    text
}

fn provenance(results: &Results) -> String {
    let peers = match results.versions() {
        versions if versions.is_empty() => "none".into(),
        versions => versions,
    };
    let rounds = match results.rounds {
        1 => "one round".into(),
        rounds => format!("{rounds} rounds"),
    };
    format!(
        "{}; {rounds} of {} s; others had {:.0} % of a processor meanwhile.\nPeers: {peers}.",
        results.machine(),
        results.window,
        results.others() * 100.0,
    )
}

/// `document` with `part` between the two lines, if it has them in their order.
fn replace(document: &str, part: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n{}\n{END}{after}",
        part.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_two_lines_is_replaced() {
        let old = format!("one\n{BEGIN}\nold\n{END}\ntwo\n");
        let new = replace(&old, "new\n").unwrap();
        assert_eq!(new, format!("one\n{BEGIN}\nnew\n{END}\ntwo\n"));
        assert_eq!(replace(&new, "new"), Some(new.clone()));
        assert_eq!(replace("one\ntwo\n", "new"), None);
        assert_eq!(replace(&format!("{END}\n{BEGIN}\n"), "new"), None);
    }

    #[test]
    fn the_readme_has_a_place_for_the_tables() {
        let readme = include_str!("../../../README.md");
        assert!(replace(readme, "new").is_some());
    }
}
