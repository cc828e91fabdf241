//! The chart: processor time of a request in that of the floor, servers down, workloads across.

use std::fmt::Write;

use crate::results::Results;
use crate::rows::{Kind, Row};
use crate::summary::Outcome;
use crate::table::one_processor;

const LABEL: usize = 190;
const COLUMN: usize = 160;
const LINE: usize = 22;
const HEAD: usize = 66;
/// Pixels for the floor's own length, and how many of it a bar shows at most.
const UNIT: f64 = 40.0;
const SHOWN_MAX: f64 = 2.4;

/// An SVG that needs no style sheet, on white.
#[must_use]
pub fn chart(results: &Results) -> String {
    let rows: Vec<_> = one_processor(results).collect();
    let width = LABEL + COLUMN * results.workloads.len() + 10;
    let height = HEAD + LINE * rows.len() + 14;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
<text x=\"10\" y=\"20\" font-size=\"14\">Processor time of a request, in that of a server that \
reads, never parses, and writes a constant</text>\n"
    );
    for (place, workload) in results.workloads.iter().enumerate() {
        let x = LABEL + COLUMN * place;
        let words = short(workload.letter);
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"46\" font-weight=\"bold\">({}) {words}</text>",
            workload.letter
        );
    }
    for (number, (row, outcomes)) in rows.iter().enumerate() {
        let y = HEAD + LINE * number;
        let name_y = y + 12;
        let _ = writeln!(svg, "<text x=\"10\" y=\"{name_y}\">{}</text>", row.name);
        for (place, outcome) in outcomes.iter().enumerate() {
            let x = LABEL + COLUMN * place;
            svg.push_str(&bar(results, row, place, outcome, (x, y)));
        }
    }
    svg.push_str(&floor_lines(results.workloads.len(), height));
    svg.push_str("</svg>\n");
    svg
}

fn bar(
    results: &Results,
    row: &Row,
    place: usize,
    outcome: &Outcome,
    (x, y): (usize, usize),
) -> String {
    let text_y = y + 12;
    let ratio = outcome.figures().zip(results.floor(place));
    let Some(ratio) = ratio.map(|(own, floor)| own.cpu_ratio(floor)) else {
        let why = match outcome {
            Outcome::Absent => "not here",
            _ => "failed",
        };
        return format!("<text x=\"{x}\" y=\"{text_y}\" fill=\"#999\">{why}</text>\n");
    };
    let width = ratio.min(SHOWN_MAX) * UNIT;
    let end = x as f64 + width + 4.0;
    let colour = match row.kind {
        Kind::Floor => "#999",
        Kind::Trine { .. } => "#0b6e4f",
        Kind::Peer(_) | Kind::Installed(_) => "#7fa7d9",
    };
    let cut = if ratio > SHOWN_MAX { "\u{2026} " } else { "" };
    format!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width:.1}\" height=\"15\" fill=\"{colour}\"/>\
<text x=\"{end:.1}\" y=\"{text_y}\">{cut}{ratio:.2}</text>\n"
    )
}

/// Where the floor ends, down each column.
fn floor_lines(columns: usize, height: usize) -> String {
    let mut lines = String::new();
    for place in 0..columns {
        let x = (LABEL + COLUMN * place) as f64 + UNIT;
        let (top, bottom) = (HEAD - 6, height - 12);
        let _ = writeln!(
            lines,
            "<path d=\"M{x} {top}V{bottom}\" stroke=\"#c00\" stroke-dasharray=\"3 3\"/>"
        );
    }
    lines
}

fn short(letter: char) -> &'static str {
    match letter {
        'a' => "64 kept",
        'b' => "16 pipelined",
        'c' => "one request each",
        'd' => "512 kept",
        _ => "10,000 idle",
    }
}
