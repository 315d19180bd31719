//! Asks of a short corpus what the fuzz targets ask of any input: seeds, and what they found.

#![allow(missing_docs, clippy::expect_used, reason = "a test fails by a panic")]

use trailgate_redact::Redactor;

mod properties;

fn corpus() -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz");
    let entries = std::fs::read_dir(folder).expect("a corpus");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
}

/// Whether a property holds of an input.
fn holds(property: properties::Property, redactor: &Redactor, input: &[u8]) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| property(redactor, input))).is_ok()
}

#[test]
fn every_property_holds_of_the_corpus() {
    let redactor = properties::redactor();
    let corpus = corpus();
    assert!(corpus.len() >= 20);
    for (path, input) in corpus {
        for (name, property) in properties::ALL {
            assert!(holds(*property, &redactor, &input), "{name} of {}", path.display());
        }
    }
}

/// Where no fuzzer can be had: pieces of the corpus put together anew.
#[test]
#[ignore = "finds what fuzz/README.md names as not mended"]
fn every_property_holds_of_what_the_corpus_becomes() {
    let redactor = properties::redactor();
    let corpus = corpus();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below.max(1)
    };
    let mut wrong = std::collections::BTreeMap::new();
    for _ in 0..ROUNDS {
        let mut input = corpus[next(corpus.len())].1.clone();
        for _ in 0..=next(4) {
            let other = &corpus[next(corpus.len())].1;
            let from = next(other.len());
            let piece = &other[from..other.len().min(from + next(60))];
            let at = next(input.len());
            let to = input.len().min(at + next(20));
            input.splice(at..to, piece.iter().copied());
        }
        for (name, property) in properties::ALL {
            if !holds(*property, &redactor, &input) {
                let shortest = wrong.entry(*name).or_insert_with(|| input.clone());
                if input.len() < shortest.len() {
                    shortest.clone_from(&input);
                }
            }
        }
    }
    let told = wrong.iter().map(|(name, input)| format!("{name}: {}", input.escape_ascii()));
    assert!(wrong.is_empty(), "{}", told.collect::<Vec<_>>().join("\n"));
}

const ROUNDS: usize = 20_000;
