#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]
use std::hint::black_box;
use std::time::Instant;
use trailgate_redact::{Redactor, Rules, Shape, TokenKey};
#[path = "../../../benches/mask/corpus.rs"]
mod corpus;
use corpus::*;
fn bodies(redactor: &Redactor, corpus: &[Body]) -> usize {
    for (shape, body) in corpus {
        black_box(redactor.body(shape.clone(), body));
    }
    corpus.iter().map(|(_, body)| body.len()).sum()
}
fn best(rounds: usize, mut round: impl FnMut() -> usize) -> f64 {
    let mut best: f64 = 0.0;
    for _ in 0..rounds {
        let t = cpu();
        let n = round();
        best = best.max(n as f64 * 1e3 / (cpu() - t));
    }
    best
}
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    s.split_whitespace().next().unwrap().parse().unwrap()
}
fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let want = |name: &str| only.is_empty() || only.iter().any(|o| name.contains(o.as_str()));
    let t = Instant::now();
    let rules = Rules::builtin();
    println!("load {:.1} ms", t.elapsed().as_secs_f64() * 1e3);
    let redactor = Redactor::new(rules, TokenKey::new(&[7; 32]));
    let rounds = if only.is_empty() { 3 } else { 40 };
    let mut times = 0.0;
    for (name, part) in agent_corpus(16 << 20) {
        if want(name) {
            let speed = best(rounds, || bodies(&redactor, &part));
            times += 1.0 / speed;
            println!("{name} {speed:.1}");
        }
    }
    if only.is_empty() {
        println!("agent_corpus {:.1}", 4.0 / times);
    }
    let mut literals = Vec::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/rules")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let file: toml::Table =
                toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            for rule in file.get("rule").and_then(|r| r.as_array()).into_iter().flatten() {
                for a in rule.get("anchors").and_then(|a| a.as_array()).into_iter().flatten() {
                    literals.push(a.as_str().unwrap().to_owned());
                }
            }
        }
    }
    for (name, body) in all_of_one_kind(&literals) {
        if want(name) {
            println!("{name} {:.1}", best(3, || bodies(&redactor, std::slice::from_ref(&body))));
        }
    }
    let repeat = |unit: &str| unit.repeat((1 << 20) / unit.len());
    for unit in [
        "sk-",
        "password = ",
        "AKIA sk-ant- ghp_ xoxb- eyJ aws ",
        "a@b.",
        "4111 1111 1111 1112 ",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "https://a:b@",
        "A",
        "1234567 ",
        "a-1 ",
        "%41",
        ":::",
    ] {
        if want("hostile") {
            let body = (Shape::Text, repeat(unit));
            println!(
                "hostile {unit:?} {:.1}",
                best(2, || bodies(&redactor, std::slice::from_ref(&body)))
            );
        }
    }
}
