//! What the documents say of files, reasons, defaults, features and tests is so.

use std::fs;
use std::path::Path;
use std::time::Duration;

use trine::concurrency::WorkerOptions;
use trine::connection::{CloseReason, Config, Rate};
use trine::time::Span;

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What stands between backticks.
fn code(text: &str) -> Vec<&str> {
    let quoted = |line| str::split(line, '`').skip(1).step_by(2);
    text.lines().flat_map(quoted).collect()
}

#[test]
fn every_file_the_documents_name_is_there() {
    for name in ["README.md", "SECURITY.md"] {
        let folders = ["src/", "tests/", "examples/", "fuzz/", "benches/"];
        for path in code(&document(name)) {
            let is_path = folders.iter().any(|folder| path.starts_with(folder));
            let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            assert!(!is_path || full.exists(), "{name} names {path}");
        }
    }
}

#[test]
fn every_example_has_its_line_in_the_readme() {
    let readme = document("README.md");
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        if let Some(name) = file.strip_suffix(".rs") {
            assert!(readme.contains(&format!("--example {name}")), "{name}");
        }
    }
}

/// The texts of all files below `folder` that are Rust.
fn sources(folder: &Path) -> String {
    let mut texts = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts += &fs::read_to_string(path).unwrap();
        }
    }
    texts
}

#[test]
fn every_known_attack_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts = sources(&root.join("tests")) + &sources(&root.join("src"));
    let tests: String = texts
        .lines()
        .map(|line| line.trim_start().to_owned() + "\n")
        .collect();
    let manuals = [
        ("src/http/mod.rs", 5, 30),
        ("src/resp/mod.rs", 4, 6),
        ("src/hand_over/mod.rs", 4, 7),
    ];
    for (name, columns, least) in manuals {
        let manual = document(name);
        let start = manual.find("//! # Known ").unwrap();
        let rows = manual[start..]
            .lines()
            .take_while(|line| line.starts_with("//!"));
        let rows: Vec<_> = rows.filter(|row| row.contains("| `")).collect();
        assert!(rows.len() > least, "{rows:#?}");
        for row in rows {
            let cells: Vec<_> = row.split(" | ").collect();
            assert_eq!(cells.len(), columns, "{row}");
            let names = code(cells[columns - 1]);
            assert!(!names.is_empty(), "{row}");
            for name in names {
                let test = format!("#[test]\nfn {name}() {{");
                let ignored = format!("\"]\nfn {name}() {{"); // it needs something, and says what
                let is_there = tests.contains(&test) || tests.contains(&ignored);
                assert!(is_there, "no test {name}");
            }
        }
    }
}

#[test]
fn every_feature_has_its_line_in_the_documents() {
    let manifest = document("Cargo.toml");
    let start = manifest.find("[features]\n").unwrap();
    let features = manifest[start..].lines().skip(1);
    let features = features.take_while(|line| !line.starts_with('['));
    let names = features.filter_map(|line| line.split_once(" = ").map(|(name, _)| name));
    for name in names.filter(|name| *name != "default") {
        for document_name in ["README.md", "src/features.rs"] {
            let row = format!("| `{name}` |");
            assert!(
                document(document_name).contains(&row),
                "{document_name}: {name}"
            );
        }
    }
}

#[test]
fn every_fuzz_target_is_built_and_named() {
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/fuzz_targets")).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        if let Some(name) = file.strip_suffix(".rs") {
            let path = format!("path = \"fuzz_targets/{file}\"");
            assert!(document("fuzz/Cargo.toml").contains(&path), "{name}");
            let quoted = format!("`{name}`");
            for document_name in ["README.md", "SECURITY.md"] {
                let names_it = document(document_name).contains(&quoted);
                assert!(names_it, "{document_name}: {name}");
            }
        }
    }
}

#[test]
fn the_reasons_in_the_table_of_deadlines_exist() {
    let readme = document("README.md");
    let start = readme.find("| `CloseReason` |").unwrap();
    let table = readme[start..].split("\n\n").next().unwrap();
    let reasons = CloseReason::ALL.map(|reason| format!("{reason:?}"));
    for name in &code(table)[1..] {
        let is_known = reasons.iter().any(|reason| reason == name);
        assert!(is_known || *name == "Connection: close", "{name}");
    }
}

#[test]
fn the_defaults_in_the_documents_are_those_of_the_code() {
    let config = Config::default();
    let Config {
        deadlines, limits, ..
    } = &config;
    let queue = WorkerOptions::default().queue;
    let span = |span: Span| format!("{:?}", Duration::from(span)).replace('s', " s");
    let rate = |rate: Rate| {
        let bytes = grouped(rate.bytes_min.into());
        format!("{bytes} bytes in each {}", span(rate.window))
    };
    let linger = (deadlines.linger, u64::from(config.linger_bytes_max));
    let said = [
        span(deadlines.head),
        span(deadlines.body),
        span(deadlines.handler),
        span(deadlines.idle),
        rate(deadlines.body_rate),
        rate(deadlines.write_rate),
        format!("{}, {}", span(linger.0), size(linger.1)),
        size(limits.head_bytes_max.into()),
        size(limits.target_bytes_max.into()),
        size(limits.body_bytes_max),
        size(limits.chunk_overhead_bytes_max.into()),
        size(limits.trailer_bytes_max.into()),
        limits.fields_max.to_string(),
        grouped(config.requests_per_connection_max.into()),
        grouped(queue.items_max as u64),
        size(queue.bytes_max as u64),
    ];
    for name in ["README.md", "SECURITY.md"] {
        let rows = document(name);
        let rows = rows.lines().filter(|line| line.starts_with('|'));
        let rows: String = rows.collect::<Vec<_>>().join("\n");
        for value in &said {
            assert!(rows.contains(value), "{name} does not say {value}");
        }
    }
}

/// Below a million, with a comma.
fn grouped(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    }
}

fn size(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        mebibytes => format!("{mebibytes} MiB"),
    }
}
