//! The tables, in Markdown.

use std::fmt::Write;

use crate::results::Results;
use crate::rows::Row;
use crate::summary::{Figures, Outcome};

/// One table for each workload, with everything.
#[must_use]
pub fn full(results: &Results) -> String {
    let mut text = String::new();
    for (place, workload) in results.workloads.iter().enumerate() {
        let _ = write!(
            text,
            "## ({}) {}\n\n\
| server | CPU us | x floor | least | user | system | requests/s | x floor | p50 us | x floor \
| p99 us | x floor | memory KiB | x floor | busy | client us | answer B |\n\
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
            workload.letter, workload.what
        );
        let floor = results.floor(place);
        for (row, outcomes) in results.rows.iter().zip(&results.outcomes) {
            let _ = writeln!(
                text,
                "| {} | {} |",
                row.label(),
                cells(&outcomes[place], floor)
            );
        }
        let _ = writeln!(text, "\n{}\n", client_share(results, place));
    }
    text
}

/// Between what and what the client cost of the processor time of a server, for each server that had a
/// processor of its own.
fn client_share(results: &Results, place: usize) -> String {
    let shares = one_processor(results).filter_map(|(row, outcomes)| {
        let figures = outcomes[place].figures()?;
        Some((figures.client / figures.cpu, row.name))
    });
    let mut shares: Vec<(f64, &str)> = shares.collect();
    shares.sort_by(|one, other| one.0.total_cmp(&other.0));
    match (shares.first(), shares.last()) {
        (Some((least, of_least)), Some((most, of_most))) => format!(
            "A request cost the client {least:.2} ({of_least}) to {most:.2} ({of_most}) of what it cost \
the server."
        ),
        _ => String::new(),
    }
}

/// All cells of a row but the first.
fn cells(outcome: &Outcome, floor: Option<&Figures>) -> String {
    let own = match outcome {
        Outcome::Measured(figures) => figures,
        Outcome::Failed(problem) => return format!("failed: {problem}{}", " |".repeat(15)),
        Outcome::Absent => return format!("not here{}", " |".repeat(15)),
    };
    let ratio = |of: fn(&Figures) -> f64| {
        floor.map_or("-".into(), |floor| format!("{:.2}", of(own) / of(floor)))
    };
    let cells = [
        format!("{:.2}", own.cpu),
        cpu_ratio(outcome, floor),
        format!("{:.2}", own.cpu_min),
        format!("{:.2}", own.user),
        format!("{:.2}", own.cpu - own.user),
        thousands(own.rate),
        ratio(|figures| figures.rate),
        format!("{:.0}", own.p50),
        ratio(|figures| figures.p50),
        format!("{:.0}", own.p99),
        ratio(|figures| figures.p99),
        thousands(own.resident / 1024.0),
        ratio(|figures| figures.resident),
        format!("{:.0} %", own.busy * 100.0),
        format!("{:.2}", own.client),
        own.answer_octets.to_string(),
    ];
    cells.join(" | ")
}

/// What fits on a page: processor time as a ratio to the floor, and a few figures beside it.
#[must_use]
pub fn summary(results: &Results) -> String {
    let mut text = String::from("| server, one processor |");
    for workload in &results.workloads {
        let _ = write!(text, " ({}) |", workload.letter);
    }
    let after = " requests/s (a) | p50, p99 (a), us | idle connection, B |\n";
    text.push_str(after);
    text.push_str(&"|---".repeat(results.workloads.len() + 4));
    text.push_str("|\n");
    for (row, outcomes) in one_processor(results) {
        let _ = write!(text, "| {} |", row.name);
        for (place, outcome) in outcomes.iter().enumerate() {
            let _ = write!(text, " {} |", cpu_ratio(outcome, results.floor(place)));
        }
        let _ = writeln!(text, " {}", beside(results, outcomes));
    }
    match results.rows.iter().any(|row| !row.is_own()) {
        true => text + &best_peers(results),
        false => text,
    }
}

/// The rows that share nothing with the client.
pub fn one_processor(results: &Results) -> impl Iterator<Item = (&Row, &Vec<Outcome>)> {
    let rows = results.rows.iter().zip(&results.outcomes);
    rows.filter(|(row, _)| row.processors == 1)
}

fn beside(results: &Results, outcomes: &[Outcome]) -> String {
    let under = |letter| outcomes[results.workload(letter)?].figures();
    let kept = under('a').map_or("- | -".into(), |figures| {
        let (rate, p50, p99) = (thousands(figures.rate), figures.p50, figures.p99);
        format!("{rate} | {p50:.0}, {p99:.0}")
    });
    let idle = results
        .workload('e')
        .map(|place| results.workloads[place].idle);
    let idle = under('e').zip(idle).map_or("-".into(), |(figures, idle)| {
        thousands(figures.grown / idle as f64)
    });
    format!("{kept} | {idle} |")
}

/// The peer that costs least under each workload, and trine's single loop in its terms.
fn best_peers(results: &Results) -> String {
    let mut text = String::from("| the best peer |");
    let mut ours = String::from("| trine single, x the best peer |");
    let mut aims = String::from("| aim of trine single |");
    for place in 0..results.workloads.len() {
        let best = results.best_peer(place);
        let name = best.map_or("-", |(row, _)| row.name);
        let _ = write!(text, " {name} |");
        let _ = write!(aims, " {} |", results.workloads[place].aim);
        let own = results
            .find("trine single", 1, place)
            .zip(results.floor(place));
        let ratio = own
            .zip(best)
            .map(|((own, floor), best)| own.cpu_ratio(floor) / best.1);
        let _ = write!(
            ours,
            " {} |",
            ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"))
        );
    }
    let rest = " | | |\n";
    text + rest + &ours + rest + &aims + " | | 160 |\n"
}

/// From one processor to two: requests a second and processor time of a request, as ratios to the same
/// server on one.
#[must_use]
pub fn scaling(results: &Results) -> String {
    let mut text = String::from("| from one processor to two, ratios |");
    for workload in &results.workloads {
        let _ = write!(text, " ({}) requests/s | CPU |", workload.letter);
    }
    text.push('\n');
    text.push_str(&"|---".repeat(results.workloads.len() * 2 + 1));
    text.push_str("|\n");
    for row in results.rows.iter().filter(|row| row.processors == 2) {
        let _ = write!(text, "| {} |", row.name);
        for place in 0..results.workloads.len() {
            let both = results
                .find(row.name, 1, place)
                .zip(results.find(row.name, 2, place));
            let cells = both.map_or("- | -".into(), |(one, two)| {
                format!("{:.2} | {:.2}", two.rate / one.rate, two.cpu_ratio(one))
            });
            let _ = write!(text, " {cells} |");
        }
        text.push('\n');
    }
    text
}

fn cpu_ratio(outcome: &Outcome, floor: Option<&Figures>) -> String {
    match (outcome, floor) {
        (Outcome::Measured(own), Some(floor)) => format!("{:.2}", own.cpu_ratio(floor)),
        (Outcome::Measured(_), None) => "-".into(),
        (Outcome::Failed(_), _) => "failed".into(),
        (Outcome::Absent, _) => "not here".into(),
    }
}

/// Rounded, with a comma for each three digits.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_commas() {
        let texts = [7.4, 123.0, 1234.0, 1_234_567.0].map(thousands);
        assert_eq!(texts, ["7", "123", "1,234", "1,234,567"]);
    }

    #[test]
    fn a_row_without_figures_has_as_many_cells() {
        let count = |text: String| text.matches('|').count();
        let failed = Outcome::Failed("it is silent".into());
        assert_eq!(count(cells(&failed, None)), 15);
        assert_eq!(count(cells(&Outcome::Absent, None)), 15);
    }
}
