//! What was measured, as a picture (SVG): processor time of a round trip, a panel for each number of
//! connections.

use std::fmt::Write;

use crate::table::{Measured, figure};

const LEFT: f64 = 90.0;
const WIDTH: f64 = 520.0;
const RIGHT: f64 = 170.0;
const BAR: f64 = 18.0;
const PITCH: f64 = 24.0;
const PANEL_HEAD: f64 = 40.0;

/// The whole picture. `measured` is in order of the connections.
pub fn draw(measured: &[Measured], title: &str) -> String {
    let panels: Vec<&[Measured]> = measured
        .chunk_by(|a, b| a.connections == b.connections)
        .collect();
    let most = measured.iter().map(Measured::cpu_us).fold(1.0, f64::max);
    let scale = Scale::up_to(most);
    let rows: usize = panels.iter().map(|panel| panel.len()).sum();
    let height = 44.0 + PANEL_HEAD * panels.len() as f64 + PITCH * rows as f64 + 16.0;
    let width = LEFT + WIDTH + RIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{title}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(&mut svg, (16.0, 24.0), "start\" font-size=\"14", title);
    let mut y = 44.0;
    for panel in panels {
        y = draw_panel(&mut svg, panel, &scale, y);
    }
    svg + "</svg>\n"
}

/// From nothing to a number of steps of 1, 2 or 5 times a power of ten.
struct Scale {
    step: f64,
    steps: u32,
}

impl Scale {
    fn up_to(most: f64) -> Scale {
        let power = 10f64.powf((most / 5.0).log10().floor());
        let fits = |times: &f64| most / (times * power) <= 5.0;
        let step = power * [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0);
        Scale {
            step,
            steps: (most / step).ceil() as u32,
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + WIDTH * value / (self.step * f64::from(self.steps))
    }
}

/// One panel from `y` on; where the next begins.
fn draw_panel(svg: &mut String, panel: &[Measured], scale: &Scale, y: f64) -> f64 {
    let connections = panel.first().map_or(0, |measured| measured.connections);
    let word = if connections == 1 {
        "connection"
    } else {
        "connections"
    };
    text(
        svg,
        (16.0, y + 14.0),
        "start\" font-weight=\"bold",
        &format!("{connections} {word}"),
    );
    let (top, bottom) = (
        y + PANEL_HEAD - 8.0,
        y + PANEL_HEAD + PITCH * panel.len() as f64,
    );
    for tick in (0..=scale.steps).map(|number| f64::from(number) * scale.step) {
        let x = scale.x(tick);
        // Writing never fails, as it is to a string.
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#d0d0d0\"/>"
        );
        text(
            svg,
            (x, top - 4.0),
            "middle\" fill=\"#606060",
            &format!("{tick} us"),
        );
    }
    for (number, measured) in panel.iter().enumerate() {
        let at = y + PANEL_HEAD + PITCH * number as f64;
        let end = scale.x(measured.cpu_us());
        let fill = match measured.model.name() {
            "epoll" | "io_uring" => "#2a6f97", // trine's
            _ => "#a9b8c2",
        };
        let length = end - LEFT;
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{at}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{fill}\"/>"
        );
        let middle = at + BAR - 5.0;
        text(svg, (LEFT - 8.0, middle), "end", measured.model.name());
        let cost = figure(measured.cpu_us());
        let calls = figure(measured.calls_each());
        let idle = match measured.idle_percent() {
            percent @ 5.0.. => format!("; with nothing to do {percent:.0} % of a CPU"),
            _ => String::new(),
        };
        let label = format!("{cost} us, {calls} calls{idle}");
        text(svg, (end + 6.0, middle), "start", &label);
    }
    bottom
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
