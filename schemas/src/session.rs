//! What a session is, and the id that every proxy computes for it alike.

use aws_lc_rs::hmac;
use uuid::Uuid;

use crate::ids::{RunId, SessionId, StreamId, ThreadId};
use crate::outcome::words;

words! {
    /// The rule by which an event was put into its session.
    SessionRule, UnknownSessionRule, "session rule" {
        /// A LangGraph thread.
        Thread = "thread",
        /// A stateless LangGraph run.
        StatelessRun = "stateless_run",
        /// One connection: WebSocket, CONNECT, psql, exec.
        Connection = "connection",
        /// The LangGraph run that other HTTP is bound to.
        BoundRun = "bound_run",
        /// A caller on a connection, until 15 minutes of silence.
        Caller = "caller",
        /// A stage's own acts, from its start to its end.
        Stage = "stage",
    }
}

/// The thing that a session is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionThing {
    /// A LangGraph thread.
    Thread(ThreadId),
    /// A stateless LangGraph run.
    StatelessRun(RunId),
    /// One connection.
    Connection(StreamId),
    /// The LangGraph run that other HTTP is bound to.
    BoundRun(RunId),
    /// A verified caller: issuer and subject.
    Caller {
        /// Who vouches for the subject.
        issuer: String,
        /// Who it is.
        subject: String,
    },
    /// A stage's process.
    Stage(Uuid),
}

impl SessionThing {
    /// The rule that this thing stands for.
    #[must_use]
    pub const fn rule(&self) -> SessionRule {
        match self {
            Self::Thread(_) => SessionRule::Thread,
            Self::StatelessRun(_) => SessionRule::StatelessRun,
            Self::Connection(_) => SessionRule::Connection,
            Self::BoundRun(_) => SessionRule::BoundRun,
            Self::Caller { .. } => SessionRule::Caller,
            Self::Stage(_) => SessionRule::Stage,
        }
    }

    fn parts(&self) -> Vec<&[u8]> {
        match self {
            Self::Thread(id) => vec![id.0.as_bytes()],
            Self::StatelessRun(id) | Self::BoundRun(id) => vec![id.0.as_bytes()],
            Self::Connection(id) => vec![id.0.as_bytes()],
            Self::Caller { issuer, subject } => vec![issuer.as_bytes(), subject.as_bytes()],
            Self::Stage(id) => vec![id.as_bytes()],
        }
    }
}

/// The key of the session hash: the same on every proxy of a deployment, so that ids agree, and
/// unknown outside it, so that nobody learns a thread or caller by hashing guesses.
#[derive(Clone)]
pub struct SessionKey(hmac::Key);

impl SessionKey {
    /// A key from 32 secret bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The id of the session about `thing` on `connection` of `tenant`: a UUIDv8 from
    /// HMAC-SHA-256 over the length-prefixed parts.
    #[must_use]
    pub fn session_id(&self, tenant: &str, connection: &str, thing: &SessionThing) -> SessionId {
        let mut hash = hmac::Context::with_key(&self.0);
        let rule = thing.rule();
        let named = [tenant.as_bytes(), connection.as_bytes(), rule.word().as_bytes()];
        for part in named.into_iter().chain(thing.parts()) {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let tag = hash.sign();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&tag.as_ref()[..16]);
        SessionId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// A person by a keyed hash, hex: the same at every stage, whatever of the name is masked there.
    #[must_use]
    pub fn person(&self, issuer: &str, subject: &str) -> String {
        let mut hash = hmac::Context::with_key(&self.0);
        for part in ["person", issuer, subject] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(issuer: &str, subject: &str) -> SessionThing {
        SessionThing::Caller { issuer: issuer.to_owned(), subject: subject.to_owned() }
    }

    #[test]
    fn two_proxies_with_one_key_agree_and_the_id_is_a_uuid_v8() {
        let thread = SessionThing::Thread(ThreadId(Uuid::from_u128(7)));
        let id = SessionKey::new(&[1; 32]).session_id("default", "agents", &thread);
        assert_eq!(id, SessionKey::new(&[1; 32]).session_id("default", "agents", &thread));
        assert_eq!(id.0.get_version_num(), 8);
    }

    #[test]
    fn key_tenant_connection_rule_and_thing_all_matter() {
        let key = SessionKey::new(&[1; 32]);
        let id = RunId(Uuid::from_u128(7));
        let base = key.session_id("default", "agents", &SessionThing::StatelessRun(id));
        let others = [
            SessionKey::new(&[2; 32]).session_id(
                "default",
                "agents",
                &SessionThing::StatelessRun(id),
            ),
            key.session_id("other", "agents", &SessionThing::StatelessRun(id)),
            key.session_id("default", "tools", &SessionThing::StatelessRun(id)),
            key.session_id("default", "agents", &SessionThing::BoundRun(id)),
            key.session_id("default", "agents", &SessionThing::StatelessRun(RunId(Uuid::nil()))),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    #[test]
    fn parts_can_not_be_shifted_into_one_another() {
        let key = SessionKey::new(&[1; 32]);
        let one = key.session_id("default", "tools", &caller("https://a", "bc"));
        let two = key.session_id("default", "tools", &caller("https://ab", "c"));
        assert_ne!(one, two);
    }
}
