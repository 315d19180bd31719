use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use trailgate_schemas::{
    ClearHeader, EventId, Kind, Micros, ProducerId, SchemaId, SealedEvent, SessionId, StreamId,
};
use trailgate_service::ManualClock;
use uuid::Uuid;

use super::*;
use crate::Sealer;

fn folder() -> (tempfile::TempDir, KeysFolder) {
    let place = tempfile::tempdir().unwrap();
    let keys = KeysFolder::new(place.path().join("keys"));
    keys.create_missing().unwrap();
    (place, keys)
}

fn seal(keys: &KeysFolder, stage: Stage) -> SealedEvent {
    let SealingKeys { sender, opening } = keys.load_sealing(stage).unwrap();
    let header = ClearHeader {
        event_id: EventId(Uuid::from_u128(1)),
        kind: Kind::StageStarted,
        session_id: SessionId(Uuid::from_u128(2)),
        stream_id: StreamId(Uuid::from_u128(3)),
        stream_seq: 0,
        producer_id: ProducerId(Uuid::from_u128(4)),
        producer_number: 0,
        gateway_time: Micros(5),
    };
    let sealer = Sealer::new(sender, opening, Arc::new(ManualClock::default()));
    sealer.seal(header, SchemaId(1), b"clear").unwrap()
}

fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn every_stage_seals_what_the_masker_opens_and_knows_whose_it_is() {
    let (_place, keys) = folder();
    let mut opener = keys.load_opening().unwrap().opener();
    for stage in Stage::ALL {
        assert_eq!(opener.open(&seal(&keys, *stage)).unwrap().sender, *stage);
    }
}

#[test]
fn creating_again_changes_nothing() {
    let (_place, keys) = folder();
    let token = *keys.load_token().unwrap().bytes();
    assert_eq!(keys.create_missing().unwrap(), Written::default());
    assert_eq!(*keys.load_token().unwrap().bytes(), token);
    fs::remove_file(keys.root().join("session.key")).unwrap();
    let written = keys.create_missing().unwrap();
    assert_eq!(written.files, [PathBuf::from("session.key")]);
}

#[test]
fn after_a_rotation_old_events_and_new_ones_open_and_old_state_too() {
    let (_place, keys) = folder();
    let before = seal(&keys, Stage::IngestProxy);
    let state = keys.load_opening().unwrap().own_seal().seal(b"p", b"tail").unwrap();
    keys.rotate().unwrap();
    let after = seal(&keys, Stage::IngestProxy);
    assert_ne!(before.opening_key_id, after.opening_key_id);
    assert_ne!(before.sender_key_id, after.sender_key_id);
    let loaded = keys.load_opening().unwrap();
    let mut opener = loaded.opener();
    assert!(opener.open(&before).is_ok());
    assert!(opener.open(&after).is_ok());
    assert_eq!(loaded.own_seal().open(b"p", &state), Ok(b"tail".to_vec()));
}

#[test]
fn what_was_signed_before_a_rotation_counts_after_it() {
    let (_place, keys) = folder();
    let old = keys.load_decision().unwrap();
    assert_eq!(keys.load_deciders().unwrap().open("p", &old.sign("p", b"x")), Ok(b"x".as_slice()));
    keys.rotate().unwrap();
    let new = keys.load_decision().unwrap();
    assert_ne!(old.id(), new.id());
    let deciders = keys.load_deciders().unwrap();
    for key in [&old, &new] {
        assert_eq!(deciders.open("p", &key.sign("p", b"x")), Ok(b"x".as_slice()));
    }
}

#[test]
fn a_folder_of_an_older_version_gets_what_it_lacks() {
    let (_place, keys) = folder();
    fs::remove_file(keys.root().join("decision.key")).unwrap();
    fs::remove_dir_all(keys.root().join("public/decision")).unwrap();
    let missing = keys.load_deciders();
    assert!(matches!(missing, Err(KeysError::Missing { .. })));
    assert!(matches!(keys.load_decision(), Err(KeysError::Missing { .. })));
    assert_eq!(keys.create_missing().unwrap().files.len(), 2);
    let signed = keys.load_decision().unwrap().sign("p", b"x");
    assert!(keys.load_deciders().unwrap().open("p", &signed).is_ok());
    assert_eq!(mode(keys.root().join("decision.key")), 0o600);
}

#[test]
fn files_are_for_their_owner_and_folders_too() {
    let (_place, keys) = folder();
    let root = keys.root().to_path_buf();
    assert_eq!(mode(root.clone()), 0o700);
    assert_eq!(mode(root.join("opening")), 0o700);
    assert_eq!(mode(root.join("token.key")), 0o600);
    assert_eq!(mode(root.join("senders/query.key")), 0o600);
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    let (_place, keys) = folder();
    let path = keys.root().join("token.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = keys.load_token().map(|_| ());
    assert_eq!(refused, Err(KeysError::Readable { path, mode: 0o644 }));
}

#[test]
fn a_damaged_key_is_named_by_its_file_and_not_shown() {
    let (_place, keys) = folder();
    let path = keys.root().join("gateway.key");
    fs::write(&path, "hunter2").unwrap();
    let error = keys.load_gateway().map(|_| ()).unwrap_err();
    assert_eq!(error, KeysError::Form { path });
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn a_key_under_a_name_that_is_not_its_own_is_refused() {
    let (_place, keys) = folder();
    let opening = keys.root().join("opening");
    let path = opening.join("0011223344556677.key");
    fs::write(&path, "11".repeat(32)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(keys.load_opening(), Err(KeysError::Form { path: found }) if found == path));
}

#[test]
fn an_interrupted_creation_is_finished_by_the_next() {
    let (_place, keys) = folder();
    fs::remove_file(keys.root().join("public/opening/current")).unwrap();
    fs::remove_dir_all(keys.root().join("public/senders/query")).unwrap();
    assert!(matches!(keys.load_opening(), Err(KeysError::Missing { .. })));
    assert!(matches!(keys.rotate(), Err(KeysError::Missing { .. })));
    keys.create_missing().unwrap();
    let mut opener = keys.load_opening().unwrap().opener();
    assert!(opener.open(&seal(&keys, Stage::Query)).is_ok());
}
