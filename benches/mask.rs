//! `mask`: the masking engine over what agents send, beside one plain regex for each rule.

use std::hint::black_box;

use regex_automata::meta::Regex;
use trailgate_benches::{Cpu, Figures, event, seeded_text};
use trailgate_redact::{Redactor, Rules, Shape, TokenKey};
use trailgate_schemas::ocsf_json;

const ROUND_BYTES: usize = 8 << 20;

fn main() -> anyhow::Result<()> {
    let figures = Figures::of("mask");
    let redactor = Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]));
    let corpus = agent_corpus()?;
    let speed = best(5, || bodies(&redactor, &corpus));
    figures.print("agent_corpus", speed, "MB/s/core");
    let worst = hostile().into_iter().map(|body| {
        let body = [(Shape::Text, body)];
        best(2, || bodies(&redactor, &body))
    });
    figures.print("worst", worst.fold(f64::INFINITY, f64::min), "MB/s/core");
    let regexes = plain_regexes()?;
    let peer = best(1, || each_regex(&regexes, &corpus));
    figures.print("agent_corpus@per_rule_regex", peer, "MB/s/core");
    figures.print("siem_record", siem_record(), "us");
    Ok(())
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

/// What LangGraph servers were seen to send, a secret in each twentieth body.
fn agent_corpus() -> anyhow::Result<Vec<(Shape, String)>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/redact/testdata/clean");
    let mut bodies = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let shape =
            if path.to_string_lossy().contains("sse") { Shape::Sse } else { Shape::Unknown };
        bodies.push((shape, std::fs::read_to_string(path)?));
    }
    anyhow::ensure!(!bodies.is_empty(), "no corpus in {folder}");
    let (mut corpus, mut bytes) = (Vec::new(), 0);
    for n in 0.. {
        let (shape, body) = &bodies[n % bodies.len()];
        let planted = format!("token ghp_{}", "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2");
        let body = if n % 20 == 0 { body.replacen("transfer", &planted, 1) } else { body.clone() };
        bytes += body.len();
        corpus.push((shape.clone(), body));
        if bytes >= ROUND_BYTES {
            return Ok(corpus);
        }
    }
    Ok(corpus)
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
        "A".repeat(1 << 20),
        seeded_text(3, 1 << 20),
    ]
}

fn bodies(redactor: &Redactor, corpus: &[(Shape, String)]) -> usize {
    for (shape, body) in corpus {
        black_box(redactor.body(shape.clone(), body));
    }
    corpus.iter().map(|(_, body)| body.len()).sum()
}

fn plain_regexes() -> anyhow::Result<Vec<Regex>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/redact/rules");
    let mut patterns = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let file: toml::Table = toml::from_str(&std::fs::read_to_string(path)?)?;
            let rules = file.get("rule").and_then(|rules| rules.as_array());
            let shapes = rules.into_iter().flatten().filter_map(|rule| rule.get("shape")?.as_str());
            patterns.extend(shapes.map(str::to_owned));
        }
    }
    Ok(patterns.iter().map(|pattern| Regex::new(pattern)).collect::<Result<_, _>>()?)
}

fn each_regex(regexes: &[Regex], corpus: &[(Shape, String)]) -> usize {
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
