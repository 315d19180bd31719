//! Runs the built-in rules over corpora of secrets and of personal data, and says what part of them
//! is masked and what is masked wrongly, as a table and as `figure` lines.
//!
//! `cargo run --release -p trailgate-redact --example accuracy -- CORPORA [CLEAN] [--misses]`
//!
//! CORPORA is a folder of JSON lines: `rule, secret, text` (secrets), `recognizer, text, count,
//! spans` (unit cases of personal data) or `text, spans` (sentences with personal data in them).
//! CLEAN is a folder of traces in which nothing is to be masked. `--misses` prints each row that
//! went wrong.

#![expect(clippy::print_stdout, reason = "it is a command")]

use std::path::{Path, PathBuf};

use trailgate_redact::{Redactor, Rules, TokenKey};

use crate::corpus::{Corpus, Row};

mod clean;
mod corpus;
mod encoded;
mod encodings;
mod names;
mod persons;
mod secrets;
#[path = "../encodings/mod.rs"]
mod written;

fn main() -> anyhow::Result<()> {
    let (flags, paths): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let has_misses = flags.iter().any(|flag| flag == "--misses");
    let corpora = paths.first().map(PathBuf::from).ok_or(anyhow::anyhow!("which corpora?"))?;
    let rules = Rules::builtin();
    println!("{rules:?}\n");
    let redactor = Redactor::new(rules, TokenKey::new(&[7; 32]));
    let mut figures = Vec::new();
    println!("{:<24} {:>6} {:>9} {:>9} {:>8}", "set", "rows", "recall", "wrong", "any mask");
    for file in files(&corpora, "jsonl")? {
        let corpus = Corpus::read(&file)?;
        let report = match corpus.rows.first() {
            Some(Row::Secret { .. }) => secrets::measure(&redactor, &corpus),
            Some(Row::Unit { .. }) => persons::measure_units(&redactor, &corpus),
            Some(Row::Sentence { .. }) => persons::measure_sentences(&redactor, &corpus),
            None => continue,
        };
        println!("{}", report.line);
        figures.extend(report.figures);
        if has_misses {
            report.misses.iter().for_each(|miss| println!("  {miss}"));
        }
        figures.extend(encoded::measure(&redactor, &corpus, has_misses));
    }
    if let Some(folder) = paths.get(1) {
        figures.extend(clean::measure(&redactor, Path::new(folder))?);
    }
    println!();
    figures.iter().for_each(|figure| println!("figure accuracy {figure}"));
    Ok(())
}

/// What was measured of one corpus.
struct Report {
    line: String,
    figures: Vec<String>,
    misses: Vec<String>,
}

/// The part that is so, in percent; all of nothing.
fn percent(part: usize, all: usize) -> f64 {
    if all == 0 { 100.0 } else { part as f64 * 100.0 / all as f64 }
}

/// The files in a folder and below whose names end so, in order; `""` for all.
fn files(folder: &Path, end: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, end)?);
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
