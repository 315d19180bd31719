//! What a person must mend ends a stage with one sentence that says what, and never goes on half.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]
#![allow(clippy::print_stdout, reason = "what was said is for who reads a failure")]

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use trailgate_testkit::Recipe;
use trailgate_tests::{Stages, TablePlace};

/// What a stage that ended said.
struct Ended {
    status: ExitStatus,
    said: String,
}

impl Ended {
    async fn of(recipe: &Recipe) -> Self {
        let (status, said) = recipe.run_to_end().await;
        Self { status, said }
    }

    /// One sentence with these words, at the end, and a code that is not zero.
    fn says(&self, stage: &str, words: &[&str]) {
        let Self { status, said } = self;
        println!("{stage}: {status}: {said}");
        assert!(!status.success(), "{stage}: {said}");
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        for word in words {
            assert!(last.contains(word), "{stage} should end with {word:?}: {said}");
        }
        for scary in ["panicked", "backtrace", "stack", "Error {", "Some("] {
            assert!(!said.contains(scary), "{stage}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_may_not_or_can_not_ends_and_says_why() {
    let mut stages = Stages::components(TablePlace::Bucket).await;
    a_bucket_that_refuses(&mut stages).await;
    keys_that_are_none(&mut stages).await;
    rules_that_are_none(&mut stages).await;
    topics_without_a_right(&mut stages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_a_stage_that_needs_it() {
    let mut stages = Stages::components(TablePlace::Folder).await;
    // Without a bucket the archiver's table is a folder.
    let table = stages.folder().join("table");
    std::fs::create_dir_all(&table).unwrap();
    let archiver = stages.recipe("archiver", "archiver").small_disk(&table, 16);
    Ended::of(&archiver).await.says("archiver", &["disk full"]);
    let data = stages.folder().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let up = Recipe::of("trailgate").argument("up").argument("--data").argument(&data);
    let up = up.argument("--listen").argument("127.0.0.1:0").small_disk(&data, 480);
    Ended::of(&up).await.says("up", &["disk full"]);
}

async fn keys_that_are_none(stages: &mut Stages) {
    let broken = stages.folder().join("broken-keys");
    copy(&stages.keys_folder(), &broken, "not a key");
    let nowhere = stages.folder().join("nowhere");
    for stage in ["ingest-proxy", "masker", "approver", "query"] {
        for (folder, word) in [(&broken, "key"), (&nowhere, "nowhere")] {
            let recipe = stages.recipe(stage, stage);
            let folder = folder.display().to_string();
            let recipe = recipe.environment("TRAILGATE__KEYS__FOLDER", &folder);
            let ended = Ended::of(&recipe).await;
            ended.says(stage, &[word]);
            assert!(!ended.said.contains("not a key"), "{}", ended.said);
        }
    }
}

async fn rules_that_are_none(stages: &mut Stages) {
    let file = stages.folder().join("own-rules.toml");
    let rule = "[[rule]]\nid = 'acme'\nclass = 'credential'\nseverity = 'high'\n";
    let shape = "anchors = ['acme-']\nshape = 'acme-[a-z]+'\nexamples = ['acne-x']\n";
    std::fs::write(&file, format!("\n{rule}{shape}")).unwrap();
    let rules = format!("[\"{}\"]", file.display());
    let recipe = stages.recipe("masker", "masker").environment("TRAILGATE__MASKER__RULES", &rules);
    let ended = Ended::of(&recipe).await;
    ended.says("masker", &["own-rules.toml:2: rule \"acme\" does not find its example 1"]);
}

async fn a_bucket_that_refuses(stages: &mut Stages) {
    for stage in ["archiver", "query"] {
        let recipe = stages.recipe(stage, stage);
        let wrong = recipe.environment("TRAILGATE__TABLE__S3__SECRET_ACCESS_KEY", "wrong");
        Ended::of(&wrong).await.says(stage, &["access denied"]);
    }
}

/// Each stage, and a topic without which it can't do its work.
const NEEDED: [(&str, &str, &str); 5] = [
    ("ingest-proxy", "Write", "audit.raw"),
    ("masker", "Write", "audit.events"),
    ("approver", "Read", "audit.holds"),
    ("archiver", "Read", "audit.events"),
    ("query", "Read", "audit.events"),
];

async fn topics_without_a_right(stages: &mut Stages) {
    // What is refused is seen when there is something to do.
    stages.recipe("ingest-proxy", "ingest-proxy").start().await.process().terminate().await;
    for (stage, right, topic) in NEEDED {
        stages.kafka.deny(right, topic);
        let recipe = stages.recipe(stage, &format!("{stage}-denied"));
        Ended::of(&recipe).await.says(stage, &[topic]);
        stages.kafka.allow(topic);
    }
}

/// A folder like another, with this in each of its files.
fn copy(from: &Path, to: &PathBuf, text: &str) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let into = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &into, text);
        } else {
            std::fs::copy(entry.path(), &into).unwrap();
            std::fs::write(&into, text).unwrap();
        }
    }
}
