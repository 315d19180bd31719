//! `mask`: the masking engine over what agents send and over hostile texts, beside one plain regex for
//! each rule.

use std::hint::black_box;
use std::time::Duration;

use regex_automata::meta::Regex;
use trailgate_benches::{Cpu, Figures, event, percentile, seeded_text};
use trailgate_redact::{Redactor, Rules, Shape, TokenKey};
use trailgate_schemas::ocsf_json;

use crate::corpus::{Body, agent_corpus, all_of_one_kind};

#[path = "mask/corpus.rs"]
mod corpus;

fn main() -> anyhow::Result<()> {
    let figures = Figures::of("mask");
    let begun = Cpu::of_thread();
    let rules = Rules::builtin();
    figures.print("load", begun.spent().as_secs_f64() * 1e3, "ms");
    let redactor = Redactor::new(rules, TokenKey::new(&[7; 32]));
    let corpus = agent_corpus(CORPUS_BYTES);
    let all: Vec<Body> = corpus.iter().flat_map(|(_, bodies)| bodies.clone()).collect();
    figures.print("agent_corpus", best(3, || bodies(&redactor, &all)), "MB/s/core");
    for (name, part) in &corpus {
        figures.print(name, best(3, || bodies(&redactor, part)), "MB/s/core");
    }
    let written = written_rules()?;
    for (name, body) in all_of_one_kind(&anchors(&written)) {
        figures.print(
            name,
            best(3, || bodies(&redactor, std::slice::from_ref(&body))),
            "MB/s/core",
        );
    }
    let worst = hostile().into_iter().map(|body| {
        let body = [(Shape::Text, body)];
        best(2, || bodies(&redactor, &body))
    });
    figures.print("worst", worst.fold(f64::INFINITY, f64::min), "MB/s/core");
    let some: Vec<Body> =
        corpus.iter().flat_map(|(_, b)| b[..b.len().min(SOME)].to_vec()).collect();
    let mut chunks = chunk_times(&redactor, &some);
    figures.print("chunk_p99", percentile(&mut chunks, 0.99) / 1e3, "ms");
    figures.print("stream_bytes", stream_bytes(&redactor, &some), "B");
    let regexes = plain_regexes(&written)?;
    let peer = best(1, || each_regex(&regexes, &some));
    figures.print("agent_corpus@per_rule_regex", peer, "MB/s/core");
    figures.print("siem_record", siem_record(), "us");
    Ok(())
}

/// What each piece of a body costs that is masked as it passes.
fn chunk_times(redactor: &Redactor, corpus: &[Body]) -> Vec<Duration> {
    let mut times = Vec::new();
    for (shape, body) in corpus {
        let mut stream = redactor.stream(shape.clone());
        for piece in body.as_bytes().chunks(CHUNK_BYTES) {
            // The corpus is ASCII.
            let piece = std::str::from_utf8(piece).unwrap_or_default();
            let begun = Cpu::of_thread();
            black_box(stream.push(piece));
            times.push(begun.spent());
        }
        black_box(stream.finish());
    }
    times
}

/// What a stream keeps besides what it holds back, at most.
fn stream_bytes(redactor: &Redactor, corpus: &[Body]) -> f64 {
    let mut most = 0;
    for (shape, body) in corpus {
        let mut stream = redactor.stream(shape.clone());
        for piece in body.as_bytes().chunks(CHUNK_BYTES) {
            black_box(stream.push(std::str::from_utf8(piece).unwrap_or_default()));
            let kept = stream.to_bytes().len().saturating_sub(stream.held_bytes());
            most = most.max(kept + size_of_val(&stream));
        }
    }
    most as f64
}

/// Microseconds that a masked event of 1 KiB takes to become an OCSF object: what a SIEM adds to
/// each event's masking.
fn siem_record() -> f64 {
    let events: Vec<_> = (0..1_000).map(|n| event(n, 1 << 10)).collect();
    let speed = best(5, || {
        events.iter().for_each(|event| drop(black_box(ocsf_json(event))));
        events.len()
    });
    // It is in millions for each second.
    1.0 / speed
}

/// Texts that wake as many rules as they can.
fn hostile() -> Vec<String> {
    let repeat = |unit: &str| unit.repeat((1 << 20) / unit.len());
    vec![
        repeat("sk-"),
        repeat("password = "),
        repeat("AKIA sk-ant- ghp_ xoxb- eyJ aws "),
        repeat("a@b."),
        repeat("4111 1111 1111 1112 "),
        repeat("-----BEGIN RSA PRIVATE KEY-----\n"),
        repeat("https://a:b@"),
        repeat(":::"),
        "A".repeat(1 << 20),
        seeded_text(3, 1 << 20),
    ]
}

fn bodies(redactor: &Redactor, corpus: &[Body]) -> usize {
    for (shape, body) in corpus {
        black_box(redactor.body(shape.clone(), body));
    }
    corpus.iter().map(|(_, body)| body.len()).sum()
}

fn written_rules() -> anyhow::Result<Vec<toml::Value>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/redact/rules");
    let mut written = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let file: toml::Table = toml::from_str(&std::fs::read_to_string(path)?)?;
            let rules = file.get("rule").and_then(|rules| rules.as_array());
            written.extend(rules.into_iter().flatten().cloned());
        }
    }
    Ok(written)
}

fn anchors(rules: &[toml::Value]) -> Vec<String> {
    let of_rule = |rule: &toml::Value| rule.get("anchors")?.as_array().cloned();
    let all = rules.iter().filter_map(of_rule).flatten();
    all.filter_map(|anchor| anchor.as_str().map(str::to_owned)).collect()
}

fn plain_regexes(rules: &[toml::Value]) -> anyhow::Result<Vec<Regex>> {
    let shapes = rules.iter().filter_map(|rule| rule.get("shape")?.as_str());
    Ok(shapes.map(Regex::new).collect::<Result<_, _>>()?)
}

fn each_regex(regexes: &[Regex], corpus: &[Body]) -> usize {
    for (_, body) in corpus {
        for regex in regexes {
            black_box(regex.find_iter(body.as_str()).count());
        }
    }
    corpus.iter().map(|(_, body)| body.len()).sum()
}

/// Megabytes for each second of this thread's processor time, the best of so many rounds.
fn best(rounds: usize, mut round: impl FnMut() -> usize) -> f64 {
    let speeds = (0..rounds).map(|_| {
        let cpu = Cpu::of_thread();
        let bytes = round();
        bytes as f64 / 1e6 / cpu.spent().as_secs_f64()
    });
    speeds.fold(0.0, f64::max)
}

const CORPUS_BYTES: usize = 64 << 20;
/// As a model's answer comes, several events at a time.
const CHUNK_BYTES: usize = 4096;
/// Bodies of each kind that are enough for what is slow to measure.
const SOME: usize = 4;
