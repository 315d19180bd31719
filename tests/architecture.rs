//! Holds the shape of the code: the arrows between crates, the fences around libraries, and what
//! every crate and file has.
//!
//! It reads what Cargo reads, so a dependency that is not written down can't be there, and one that
//! is can't be missed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use trailgate_testkit::project_root;

#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// From what all may use down to what none may: each uses only what stands before it.
const LAYERS: [&[&str]; 12] = [
    &["trailgate-schemas"],
    &["trailgate-service"],
    &["trailgate-policy"],
    &["trailgate-identity"],
    &["trailgate-envelope"],
    &["trailgate-redact"],
    &["trailgate-topics"],
    &["trailgate-table"],
    &["trailgate-testkit"],
    &[
        "trailgate-ingest-proxy",
        "trailgate-masker",
        "trailgate-approver",
        "trailgate-archiver",
        "trailgate-query",
    ],
    &["trailgate-cli"],
    &["trailgate-tests", "trailgate-benches"],
];

/// Libraries that only the named crates name.
const FENCES: [(&str, &[&str]); 10] = [
    ("rdkafka", &["trailgate-topics"]),
    ("rusqlite", &["trailgate-topics"]),
    ("schema_registry_converter", &["trailgate-topics"]),
    ("deltalake", &["trailgate-table"]),
    ("arrow-avro", &["trailgate-table"]),
    // The command line has the development issuer.
    ("openidconnect", &["trailgate-identity", "trailgate-cli"]),
    ("hpke", &["trailgate-envelope"]),
    ("regex-automata", &["trailgate-redact", "trailgate-benches"]),
    ("regex-syntax", &["trailgate-redact"]),
    ("aho-corasick", &["trailgate-redact", "trailgate-benches"]),
];

const MAX_LINES_BEFORE_TESTS: usize = 500;

#[test]
fn each_crate_uses_only_what_stands_before_it() {
    let packages = packages();
    let named: BTreeSet<_> = packages.iter().map(|package| package.name.as_str()).collect();
    let layered: BTreeSet<_> = LAYERS.iter().flat_map(|layer| layer.iter().copied()).collect();
    assert_eq!(named, layered, "every crate has a layer, and every layer's crate exists");
    for (package, dependency) in ours(&packages) {
        let allowed = layer(&dependency.name) < layer(&package.name) || is_test_use(dependency);
        assert!(allowed, "{} must not depend on {}", package.name, dependency.name);
    }
}

#[test]
fn the_test_kit_is_in_nothing_that_ships() {
    for (package, dependency) in ours(&packages()) {
        let ships = layer(&package.name) + 1 < LAYERS.len();
        let allowed = dependency.name != "trailgate-testkit" || !ships || is_dev(dependency);
        assert!(allowed, "{} must use the test kit only in its tests", package.name);
    }
}

#[test]
fn a_fenced_library_is_named_by_its_own_crate_alone() {
    for package in packages() {
        for dependency in &package.dependencies {
            let fence = FENCES.iter().find(|(library, _)| *library == dependency.name);
            let Some((library, allowed)) = fence else { continue };
            let is_allowed = allowed.contains(&package.name.as_str());
            assert!(is_allowed, "{} must not name {library}", package.name);
        }
    }
}

#[test]
fn every_crate_has_a_readme_that_is_its_documentation() {
    for package in packages() {
        let folder = folder(&package);
        assert!(folder.join("README.md").is_file(), "{}: no README.md", package.name);
        let library = ["src/lib.rs", "support/lib.rs"].map(|file| folder.join(file));
        // A package with only a binary has no documentation that others read.
        let Some(library) = library.into_iter().find(|file| file.is_file()) else { continue };
        let text = read(&library);
        let begins = text.starts_with("#![doc = include_str!(\"../README.md\")]");
        assert!(begins, "{}: its lib.rs does not begin with its README", package.name);
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in packages() {
        let takes = read(&package.manifest_path).contains("[lints]\nworkspace = true");
        assert!(takes, "{}: no [lints] workspace = true", package.name);
    }
}

#[test]
fn no_file_is_too_long_to_check() {
    for package in packages() {
        for file in rust_files(&folder(&package)) {
            let lines = lines_before_tests(&read(&file));
            let file = file.display();
            assert!(lines <= MAX_LINES_BEFORE_TESTS, "{file}: {lines} lines before its tests");
        }
    }
}

fn packages() -> Vec<Package> {
    let answer = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--no-deps"])
        .current_dir(project_root())
        .output()
        .unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    serde_json::from_slice::<Workspace>(&answer.stdout).unwrap().packages
}

fn ours(packages: &[Package]) -> impl Iterator<Item = (&Package, &Dependency)> {
    packages
        .iter()
        .flat_map(|package| {
            package.dependencies.iter().map(move |dependency| (package, dependency))
        })
        .filter(|(_, dependency)| dependency.name.starts_with("trailgate-"))
}

// A crate's own tests may use the test kit, which stands after the libraries.
fn is_test_use(dependency: &Dependency) -> bool {
    is_dev(dependency) && dependency.name == "trailgate-testkit"
}

fn is_dev(dependency: &Dependency) -> bool {
    dependency.kind.as_deref() == Some("dev")
}

fn layer(name: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&name)).unwrap()
}

fn folder(package: &Package) -> PathBuf {
    package.manifest_path.parent().unwrap().to_owned()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_ours =
            path.file_name().is_some_and(|name| name != "target" && name != "node_modules");
        if path.is_dir() && is_ours {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.retain(|file| file.file_name().is_some_and(|name| name != "tests.rs"));
    files
}

fn lines_before_tests(text: &str) -> usize {
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let next = lines.peek().map(|(_, next)| next.trim_start()).unwrap_or_default();
        if line.trim() == "#[cfg(test)]" && next.starts_with("mod tests") {
            return index;
        }
    }
    text.lines().count()
}
