//! Holds docker-compose.yml to what it promises, as far as a file can be held without running it:
//! pinned versions, networks, secrets, bounds, and stand-ins that change nothing but where images come
//! from. `make compose-test` holds the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_norway::Value;

use trailgate_testkit::project_root;

#[derive(Deserialize)]
struct ComposeFile {
    services: BTreeMap<String, Service>,
    networks: BTreeMap<String, Value>,
    volumes: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Service {
    image: String,
    #[serde(default)]
    networks: BTreeSet<String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, Value>,
    #[serde(default)]
    profiles: Vec<String>,
    restart: Option<String>,
    healthcheck: Option<Value>,
    mem_limit: Option<String>,
}

/// What runs for a moment and ends, or only when a person asks.
const ONE_SHOT: [&str; 3] = ["init", "password", "kcat"];

#[test]
fn stand_ins_change_only_where_images_come_from() {
    let stand_ins = yaml("tests/compose/stand-ins.yml");
    let sections: Vec<_> = keys(&stand_ins);
    assert_eq!(sections, ["services"]);
    let ours = compose_file().services;
    for (service, changes) in stand_ins["services"].as_mapping().unwrap() {
        let service = service.as_str().unwrap();
        assert!(ours.contains_key(service), "{service} is no service");
        for key in keys(changes) {
            assert!(["image", "build"].contains(&key.as_str()), "{service}: {key} is changed");
        }
    }
    let replaced: BTreeSet<_> = keys(&stand_ins["services"]).into_iter().collect();
    assert_eq!(replaced, ours.into_keys().collect(), "every image has a stand-in");
}

#[test]
fn every_image_has_a_version() {
    let mut images: Vec<String> =
        compose_file().services.into_values().map(|service| service.image).collect();
    for file in ["Dockerfile", "demo/langgraph/Dockerfile"] {
        let text = read(file);
        let bases = text.lines().filter_map(|line| line.strip_prefix("FROM "));
        // Stages of the file itself have no tag, nor has the one that an argument names.
        let outside = bases.filter(|base| base.contains(':'));
        images.extend(outside.map(|base| base.split(' ').next().unwrap().to_owned()));
    }
    assert!(images.len() > 10, "{images:?}");
    for image in images {
        let tag = image.rsplit_once(':').map(|(_, tag)| tag).unwrap_or_default();
        let is_pinned = tag.contains(|c: char| c.is_ascii_digit()) || tag.starts_with("bookworm");
        assert!(is_pinned, "{image} has no version");
    }
}

#[test]
fn the_langgraph_app_has_the_gateway_for_its_only_neighbour() {
    let file = compose_file();
    let app = &file.services["langgraph"];
    assert_eq!(app.networks, BTreeSet::from(["agents".to_owned()]));
    assert!(app.ports.is_empty());
    let neighbours =
        file.services.iter().filter(|(_, service)| service.networks.contains("agents"));
    let neighbours: Vec<_> = neighbours.map(|(name, _)| name.as_str()).collect();
    assert_eq!(neighbours, ["ingest-proxy", "langgraph"]);
    for (name, network) in &file.networks {
        let is_internal = network.get("internal").and_then(Value::as_bool) == Some(true);
        assert_eq!(is_internal, name != "edge", "{name}");
    }
}

#[test]
fn what_is_published_is_published_to_this_machine_alone() {
    for (name, service) in compose_file().services {
        for port in service.ports {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
        }
    }
}

#[test]
fn each_service_mounts_its_own_secrets_and_nobody_elses() {
    let file = compose_file();
    for volume in file.volumes.keys().filter(|volume| volume.ends_with("-secrets")) {
        let mounts = file.services.iter().filter(|(_, service)| {
            service.volumes.iter().any(|mount| mount.split(':').next() == Some(volume))
        });
        let mut mounting: Vec<_> = mounts.map(|(name, _)| name.as_str()).collect();
        mounting.retain(|name| *name != "init");
        let owner = match volume.as_str() {
            "made-secrets" => vec![],
            "people-secrets" => vec!["password"],
            other => vec![other.strip_suffix("-secrets").unwrap()],
        };
        assert_eq!(mounting, owner, "{volume}");
    }
}

#[test]
fn no_secret_stands_in_the_file() {
    for (name, service) in compose_file().services {
        for key in service.environment.keys() {
            let is_secret = ["SECRET", "PASSWORD", "TOKEN"].iter().any(|word| key.contains(word));
            assert!(!is_secret || key.ends_with("__FROM_FILE"), "{name}: {key}");
        }
    }
    let realm: serde_json::Value =
        serde_json::from_str(&read("deploy/keycloak/realm.json")).unwrap();
    let passwords = realm["users"].as_array().unwrap().iter().flat_map(|user| {
        user["credentials"].as_array().into_iter().flatten().map(|credential| &credential["value"])
    });
    let secrets = realm["clients"].as_array().unwrap().iter().filter_map(|one| one.get("secret"));
    for value in passwords.chain(secrets) {
        let text = value.as_str().unwrap();
        assert!(text.starts_with('@') && text.ends_with('@'), "a credential stands in the realm");
    }
}

#[test]
fn what_runs_on_is_checked_bounded_and_started_again() {
    for (name, service) in compose_file().services {
        assert!(service.mem_limit.is_some(), "{name} has no bound of memory");
        if ONE_SHOT.contains(&name.as_str()) {
            assert!(service.restart.is_none(), "{name} ends");
            continue;
        }
        assert!(service.healthcheck.is_some(), "{name} has no health check");
        assert_eq!(service.restart.as_deref(), Some("unless-stopped"), "{name}");
    }
}

#[test]
fn all_five_stages_are_there() {
    let services = compose_file().services;
    for stage in ["ingest-proxy", "masker", "approver", "archiver", "query"] {
        assert!(services[stage].profiles.is_empty(), "{stage}");
    }
}

fn compose_file() -> ComposeFile {
    serde_norway::from_value(yaml("docker-compose.yml")).unwrap()
}

fn yaml(file: &str) -> Value {
    let mut value: Value = serde_norway::from_str(&read(file)).unwrap();
    value.apply_merge().unwrap();
    value
}

fn keys(value: &Value) -> Vec<String> {
    value.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap().to_owned()).collect()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(project_root().join(file)).unwrap()
}
