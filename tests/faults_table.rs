//! The page of faults (`src/faults.rs`) names proofs that are there, and leaves no fault out.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../src/faults.rs");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of all functions below `folder` that are tests, ignored ones too.
fn tests(folder: &Path, names: &mut HashSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests_of(&fs::read_to_string(path).unwrap(), names);
        }
    }
}

fn tests_of(text: &str, names: &mut HashSet<String>) {
    let mut lines = text.lines().map(str::trim_start);
    while lines.any(|line| line == "#[test]") {
        let declared = lines.find(|line| !line.starts_with("#["));
        let name = declared.and_then(|line| line.strip_prefix("fn ")?.split_once('('));
        names.extend(name.map(|(name, _)| name.to_owned()));
    }
}

/// The rows of the page's tables, in three cells each.
fn rows() -> Vec<Vec<&'static str>> {
    let lines = PAGE.lines().filter_map(|line| line.strip_prefix("//! | "));
    let rows = lines.map(|line| line.trim_end_matches(" |").split(" | ").collect());
    let rows = rows.filter(|row: &Vec<_>| row.last() != Some(&"proof"));
    rows.collect()
}

#[test]
fn every_proof_that_the_page_of_faults_names_is_there() {
    let mut names = HashSet::new();
    for folder in ["tests", "src", "examples"] {
        tests(&root().join(folder), &mut names);
    }
    let rows = rows();
    assert!(rows.len() > 80, "{} rows", rows.len());
    for row in rows {
        assert_eq!(row.len(), 3, "{row:?}");
        let proofs: Vec<_> = row[2].split('`').skip(1).step_by(2).collect();
        assert!(!proofs.is_empty(), "no proof: {row:?}");
        for proof in proofs {
            let there = match proof.contains('/') {
                true => root().join(proof).exists(),
                false => names.contains(proof),
            };
            assert!(there, "{}: no {proof}", row[0]);
        }
    }
}

#[test]
fn every_numbered_fault_has_its_row_or_is_named_as_not_here() {
    let (_, elsewhere) = PAGE.split_once("# Not here").unwrap();
    let rows = rows();
    for number in 1..=51 {
        let begins = |row: &Vec<&str>| row[0].starts_with(&format!("{number} "));
        let is_excused = elsewhere.contains(&format!("({number};"))
            || elsewhere.contains(&format!("({number})"));
        assert!(rows.iter().any(begins) || is_excused, "no row {number}");
    }
}

#[test]
fn the_crate_forbids_unsafe_code() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, lints) = manifest.split_once("[lints.rust]\n").unwrap();
    let lints = lints.split("\n[").next().unwrap();
    assert!(lints.lines().any(|line| line == "unsafe_code = \"deny\""));
    // What the manifest denies could be allowed; without the feature it cannot, and with it `tidy` sees
    // to it that one file does.
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let forbidden = "#![cfg_attr(not(feature = \"io-uring\"), forbid(unsafe_code))]";
    assert!(lib.lines().any(|line| line == forbidden));
}
