//! Asks of a short corpus what the fuzz targets ask of any input: seeds, and what they found.

#![allow(missing_docs, clippy::expect_used, reason = "a test fails by a panic")]

mod properties;

#[test]
fn every_property_holds_of_the_corpus() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz");
    let redactor = properties::redactor();
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        let input = std::fs::read(&path).expect("a file");
        for (name, holds) in properties::ALL {
            let asked = || holds(&redactor, &input);
            let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(asked));
            assert!(answer.is_ok(), "{name} does not hold of {}", path.display());
        }
        inputs += 1;
    }
    assert!(inputs >= 20);
}
