//! What the guide tells people to write is what the stages read.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;

const GUIDE: &str = include_str!("../../docs/guide.md");

/// The example that begins with a comment that names `file`.
fn example(file: &str) -> &'static str {
    let begin = format!("```toml\n# {file}\n");
    let (_, rest) = GUIDE.split_once(&begin).unwrap_or_else(|| panic!("no example of {file}"));
    rest.split_once("\n```").unwrap().0
}

fn parsed<C: DeserializeOwned>(file: &str) -> C {
    let none = BTreeMap::new();
    trailgate_service::parse(Path::new(file), example(file), &none).unwrap()
}

#[test]
fn the_example_of_each_stage_is_a_configuration_of_it() {
    let proxy: trailgate_ingest_proxy::Config = parsed("ingest-proxy.toml");
    let proxy = trailgate_ingest_proxy::ProxyConfig {
        gateway: proxy.gateway,
        connections: proxy.connections,
    };
    proxy.check().unwrap();
    let _: trailgate_masker::Config = parsed("masker.toml");
    let _: trailgate_approver::Config = parsed("approver.toml");
    let archiver: trailgate_archiver::ArchiverConfig = parsed("archiver.toml");
    trailgate_table::TableLocation::try_from(&archiver.table).unwrap();
    let query: trailgate_query::Config = parsed("query.toml");
    trailgate_table::TableLocation::try_from(&query.table).unwrap();
}

#[test]
fn the_configurations_of_the_compose_file_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config");
    let proxy: trailgate_ingest_proxy::Config = read(&folder.join("ingest-proxy.toml"));
    let masker: trailgate_masker::Config = read(&folder.join("masker.toml"));
    let archiver: trailgate_archiver::ArchiverConfig = read(&folder.join("archiver.toml"));
    let query: trailgate_query::Config = read(&folder.join("query.toml"));
    proxy.identity.check().unwrap();
    query.identity.check().unwrap();
    // Named by its container, so that it can be scaled.
    assert_eq!((masker.masker.instance, archiver.instance), (None, None));
    let backbones = [proxy.backbone, masker.backbone, archiver.backbone, query.backbone];
    let told: Vec<_> = backbones.iter().map(|backbone| format!("{backbone:?}")).collect();
    assert!(told.iter().all(|one| *one == told[0]), "the same backbone in every file");
}

fn read<C: DeserializeOwned>(file: &Path) -> C {
    trailgate_service::load(file, &BTreeMap::new()).unwrap()
}
