//! What a person must mend ends a stage with one sentence that says what, and never goes on half.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

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
    keys_that_are_none(&mut stages).await;
    a_bucket_that_refuses(&mut stages).await;
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

async fn a_bucket_that_refuses(stages: &mut Stages) {
    for stage in ["archiver", "query"] {
        let recipe = stages.recipe(stage, stage);
        let wrong = recipe.environment("TRAILGATE__TABLE__S3__SECRET_ACCESS_KEY", "wrong");
        Ended::of(&wrong).await.says(stage, &["access denied"]);
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
