//! A connection as it is served: what its configuration says, opened and checked.

use std::collections::BTreeSet;
use std::sync::Arc;

use trailgate_identity::Identity;
use trailgate_schemas::{Resource, SessionId, SessionThing};

use crate::config::{Access, ConnectionConfig, ConnectionError, ConnectionKind, ConnectionName};
use crate::gateway::Gateway;
use crate::limits::RESOURCE_MAX_BYTES;
use crate::sessions::Room;
use crate::upstream::Upstream;
use crate::verify::Verify;

/// A connection as it is served.
pub(crate) struct Door {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) name: Arc<str>,
    pub(crate) tenant: Arc<str>,
    pub(crate) kind: ConnectionKind,
    pub(crate) mount_prefix: String,
    pub(crate) upstream: Upstream,
    pub(crate) passed_credentials: BTreeSet<String>,
    pub(crate) record_max_bytes: u64,
    pub(crate) run_max_bytes: usize,
    pub(crate) scheme: &'static str,
    pub(crate) verifier: Arc<dyn Verify>,
    access: Access,
}

/// Proof that a caller may use a connection.
#[derive(Debug)]
pub(crate) struct Permit(());

impl Door {
    pub(crate) fn open(
        gateway: Arc<Gateway>,
        verifier: Arc<dyn Verify>,
        name: &ConnectionName,
        connection: &ConnectionConfig,
    ) -> Result<Self, ConnectionError> {
        Ok(Self {
            gateway,
            name: name.as_str().into(),
            tenant: connection.tenant.as_str().into(),
            kind: connection.kind,
            mount_prefix: connection.mount_prefix.clone(),
            upstream: Upstream::open(name, connection)?,
            passed_credentials: connection.forwarded_credentials(name)?,
            record_max_bytes: connection.record_max_bytes,
            run_max_bytes: usize::try_from(connection.run_max_bytes).unwrap_or(usize::MAX),
            scheme: if connection.tls.is_some() { "https" } else { "http" },
            verifier,
            access: connection.access(name)?,
        })
    }

    /// Whether the caller may use this connection: proof if so.
    pub(crate) fn permit(&self, identity: &Identity) -> Option<Permit> {
        let may = match &self.access {
            Access::AnyVerified => true,
            Access::Groups(groups) => identity.groups.iter().any(|group| groups.contains(group)),
        };
        may.then_some(Permit(()))
    }

    /// The session about `thing` on this connection.
    pub(crate) fn session(&self, thing: &SessionThing) -> SessionId {
        self.gateway.keys.session.session_id(&self.tenant, &self.name, thing)
    }

    pub(crate) fn room(&self, thing: &SessionThing) -> Room {
        Room {
            id: self.session(thing),
            rule: thing.rule(),
            tenant: Arc::clone(&self.tenant),
            connection: Arc::clone(&self.name),
        }
    }

    /// The name of what is asked for: the connection and the path, cut at a bound.
    pub(crate) fn resource(&self, path: &str) -> Resource {
        let mut end = path.len().min(RESOURCE_MAX_BYTES);
        while !path.is_char_boundary(end) {
            end -= 1;
        }
        Resource::new(format!("{}{}", self.name, &path[..end]))
            .unwrap_or_else(|_| unreachable!("a connection's name is never empty"))
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}
