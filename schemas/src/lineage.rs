//! Every version of every schema that was ever released, oldest first: what compatibility
//! (FULL_TRANSITIVE) is tested against. A released version is never edited.

/// A kept version.
#[derive(Clone, Copy, Debug)]
pub struct SchemaVersion {
    /// Its number, from 1.
    pub version: u32,
    /// Its Avro text.
    pub schema: &'static str,
}

/// Versions of `audit_event`.
pub const AUDIT_EVENT_VERSIONS: &[SchemaVersion] = &[
    SchemaVersion { version: 1, schema: include_str!("../avro/versions/audit_event.v1.avsc") },
    SchemaVersion { version: 2, schema: include_str!("../avro/versions/audit_event.v2.avsc") },
    SchemaVersion { version: 3, schema: include_str!("../avro/versions/audit_event.v3.avsc") },
];

/// Versions of `sealed_event`.
pub const SEALED_EVENT_VERSIONS: &[SchemaVersion] =
    &[SchemaVersion { version: 1, schema: include_str!("../avro/versions/sealed_event.v1.avsc") }];
