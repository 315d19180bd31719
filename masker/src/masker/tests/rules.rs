//! People's own rules, and what happens when they change.

use std::path::Path;

use trailgate_redact::RulesError;

use super::*;

const OWN: &str = "acme-4f9k2m7q";

fn write(folder: &Path, shape: &str) {
    let rule = format!(
        "[[rule]]\nid = 'acme_key'\nclass = 'credential'\nseverity = 'high'\n\
         anchors = ['acme-']\nshape = '{shape}'\n"
    );
    std::fs::write(folder.join("acme.toml"), rule).unwrap();
}

fn load(folder: &Path) -> Result<OwnRules, RulesError> {
    OwnRules::load(&[folder.to_owned()], &[])
}

#[test]
fn a_body_ends_under_the_rules_it_began_with_and_the_next_begins_under_the_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let own = Arc::new(load(folder.path()).unwrap());
    let mut bench = Bench::new();
    bench.rules = Arc::clone(&own);
    bench.restart();
    let old = own.current();
    // A tail that is held: it may be the beginning of a secret.
    bench.take(piece(1, 0, "text/plain", &format!("old {OWN} password=")));
    write(folder.path(), r"\bacme-[a-z0-9]{8}\b");
    let version = own.look().unwrap().unwrap();
    assert_eq!(own.look(), None, "nothing has changed since");
    let new = own.current();
    assert_eq!(new.version(), version);
    bench.take(piece(2, 0, "text/plain", &format!("new {OWN} and ")));
    bench.take(piece(1, 1, "text/plain", &format!("hunter2-hunter2 {OWN} ")));
    bench.take(closing(1, 2));
    bench.take(closing(2, 1));
    let told = |stream: u128| {
        let of = |event: &&AuditEvent| event.stream_id == StreamId(Uuid::from_u128(stream));
        let events = bench.events.iter().filter(of).filter(|event| event.payload.is_some());
        events
            .map(|event| (event.payload.clone().unwrap(), event.redaction_rules.clone().unwrap()))
            .collect::<Vec<_>>()
    };
    let text = |told: &[(String, String)]| told.iter().map(|(text, _)| &**text).collect::<String>();
    let (first, second) = (told(1), told(2));
    assert_eq!(text(&first).matches(OWN).count(), 2, "{first:?}");
    assert!(first.iter().all(|(_, version)| version == old.version()));
    assert!(!text(&second).contains(OWN) && text(&second).contains("[acme_key:"), "{second:?}");
    assert!(second.iter().all(|(_, version)| version == new.version()));
}

#[test]
fn rules_that_are_wrong_stop_the_start_and_later_leave_those_that_were_there() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "(");
    let wrong = load(folder.path()).err().unwrap().to_string();
    assert!(wrong.contains("acme.toml:1: rule \"acme_key\""), "{wrong}");
    write(folder.path(), r"\bacme-[a-z0-9]{8}\b");
    let own = load(folder.path()).unwrap();
    let before = own.current().version().to_owned();
    write(folder.path(), "(");
    assert!(matches!(own.look(), Some(Err(RulesError::Rule { line: 1, .. }))));
    assert_eq!(own.look(), None, "it is said once");
    assert_eq!(own.current().version(), before);
    std::fs::remove_file(folder.path().join("acme.toml")).unwrap();
    let without = own.look().unwrap().unwrap();
    assert_ne!(without, before);
    let unknown = OwnRules::load(&[], &["mail".to_owned()]).err().unwrap().to_string();
    assert_eq!(unknown, "there is no rule \"mail\" to switch off");
}
