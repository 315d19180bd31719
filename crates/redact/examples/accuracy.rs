//! Runs the built-in rules over corpus files (`{"text": …, "secret": true}` a line), or, with
//! `clean`, over files that hold no secret. Prints what was missed or masked wrongly.
//!
//! `cargo run --example accuracy -- [clean|rules|misses] FILE…`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::collections::BTreeMap;

use trailgate_redact::{Redactor, Rules, Shape, TokenKey};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let started = std::time::Instant::now();
    let rules = Rules::builtin();
    eprintln!("{rules:?} loaded in {:?}", started.elapsed());
    let redactor = Redactor::new(rules, TokenKey::new(&[7; 32]));
    for path in arguments {
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        if mode == "clean" {
            clean(&redactor, &path, &text);
        } else {
            corpus(&redactor, &path, &text, &mode)?;
        }
    }
    Ok(())
}

fn clean(redactor: &Redactor, path: &str, text: &str) {
    let masked = redactor.body(Shape::Unknown, text);
    for finding in &masked.findings {
        let start = masked.text.floor_char_boundary(finding.start.saturating_sub(60));
        let end = masked.text.ceil_char_boundary(masked.text.len().min(finding.start + 60));
        println!("{path}: {} in {:?}", finding.rule, &masked.text[start..end]);
    }
}

fn corpus(
    redactor: &Redactor,
    path: &str,
    text: &str,
    mode: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut secrets, mut found, mut clean, mut wrong) = (0u32, 0u32, 0u32, 0u32);
    let mut missed: BTreeMap<String, u32> = BTreeMap::new();
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        let sample = row["text"].as_str().unwrap_or_default();
        let masked = redactor.text(sample);
        let hit = !masked.findings.is_empty();
        let name = row["rule"].as_str().or(row["recognizer"].as_str()).unwrap_or("?");
        let is_secret = row["secret"].as_bool().unwrap_or(row["count"].as_i64() != Some(0));
        if is_secret {
            secrets += 1;
            found += u32::from(hit);
            if !hit {
                *missed.entry(name.to_owned()).or_default() += 1;
            }
        } else {
            clean += 1;
            wrong += u32::from(hit);
        }
        if mode == "misses" && is_secret != hit {
            println!("{name} {is_secret} {sample:?} → {:?}", masked.text);
        }
    }
    if mode == "rules" {
        missed.iter().for_each(|(name, count)| println!("{name}: {count} missed"));
    }
    println!("{path}: {found} of {secrets} secrets found, {wrong} of {clean} others masked");
    Ok(())
}
