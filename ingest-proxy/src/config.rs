//! The gateway's configuration: named connections, each with its own listener and upstream.
//!
//! A secret never stands in the text: header values for the upstream come from files. What can't be
//! said wrongly is parsed here once; a connection that would let everybody in must say so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use http::{HeaderName, Uri};
use serde::Deserialize;

use crate::limits::{
    CONNECTIONS_DEFAULT, EXCHANGES_DEFAULT, IDLE_DEFAULT_S, RECORD_DEFAULT_BYTES,
    REWRITE_DEFAULT_BYTES, SOURCE_SHARE, STALL_DEFAULT_S,
};

/// The gateway's part of the configuration file: `[gateway]` and `[connections.NAME]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyConfig {
    /// Bounds of the whole process.
    #[serde(default)]
    pub gateway: GatewayConfig,
    /// The connections by name.
    pub connections: BTreeMap<ConnectionName, ConnectionConfig>,
}

/// Bounds of the whole process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// Exchanges under way at once; beyond it a request is answered 503.
    pub max_exchanges: usize,
    /// Open connections of each listener; beyond it new ones wait.
    pub max_connections: usize,
    /// Those of one source address among them; beyond it new ones are closed. A quarter of them, if
    /// nothing is said. Raise it where all callers come through one balancer.
    pub max_connections_per_source: Option<usize>,
    /// How long a connection stays open without an exchange, in seconds. Behind a balancer it must
    /// be longer than the balancer's own.
    pub idle_timeout_s: u64,
    /// How long an exchange may go without a byte in either direction, in seconds.
    pub stall_timeout_s: u64,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            max_exchanges: EXCHANGES_DEFAULT,
            max_connections: CONNECTIONS_DEFAULT,
            max_connections_per_source: None,
            idle_timeout_s: IDLE_DEFAULT_S,
            stall_timeout_s: STALL_DEFAULT_S,
        }
    }
}

impl GatewayConfig {
    /// How many connections one source may have.
    pub(crate) fn of_each_source(&self) -> usize {
        let share = (self.max_connections / SOURCE_SHARE).max(1);
        self.max_connections_per_source.unwrap_or(share)
    }
}

/// A connection's name: 1 to 64 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ConnectionName(String);

impl ConnectionName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ConnectionName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text))
        } else {
            Err(BadName)
        }
    }
}

/// Not a connection's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a connection's name is 1 to 64 of a-z, 0-9 and -")]
pub struct BadName;

/// What speaks behind a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionKind {
    /// A LangGraph Agent Server.
    Langgraph,
    /// Any other HTTP.
    Http,
}

/// One connection as it is written in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionConfig {
    /// What speaks behind it.
    pub kind: ConnectionKind,
    /// Where callers reach it.
    pub listen: SocketAddr,
    /// TLS of the listener; without it the listener speaks plain HTTP.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Where it leads: `http://host:port` or `https://host:port`, and a path before every request's
    /// path if there is one.
    pub upstream: Upstream,
    /// The path below which a LangGraph server has its routes, if it was given one.
    #[serde(default)]
    pub mount_prefix: String,
    /// A PEM file with the authorities that the upstream's certificate is checked against, in place
    /// of the system's.
    #[serde(default)]
    pub upstream_ca: Option<PathBuf>,
    /// How long the upstream may take until its answer begins, in seconds.
    #[serde(default = "stall_default")]
    pub upstream_timeout_s: u64,
    /// The groups whose members may use it.
    #[serde(default)]
    pub allow_groups: BTreeSet<String>,
    /// Whether every verified caller may use it. One of the two must be said.
    #[serde(default)]
    pub allow_any_verified: bool,
    /// The tenant its events belong to.
    #[serde(default = "tenant_default")]
    pub tenant: String,
    /// How many bytes of one body are recorded; the rest streams through, and the closing record
    /// has its length and keyed hash.
    #[serde(default = "record_default")]
    pub record_max_bytes: u64,
    /// The largest run that may be created: such a body is read whole.
    #[serde(default = "rewrite_default")]
    pub run_max_bytes: u64,
    /// Headers that the upstream gets from the gateway: name to the file that holds the value.
    #[serde(default)]
    pub inject_headers: BTreeMap<String, PathBuf>,
    /// Headers that look like credentials but are for the upstream: passed on, still recorded only
    /// as tokens. `authorization` can't be one.
    #[serde(default)]
    pub forward_credentials: BTreeSet<String>,
}

/// TLS of a listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// A PEM file: the certificate and those that vouch for it.
    pub cert: PathBuf,
    /// A PEM file: its private key.
    pub key: PathBuf,
}

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Upstream {
    /// `http` or `https`.
    pub scheme: http::uri::Scheme,
    /// Host and port.
    pub authority: http::uri::Authority,
    /// What stands before every path, without a slash at its end.
    pub base_path: String,
}

impl TryFrom<String> for Upstream {
    type Error = BadUpstream;

    fn try_from(text: String) -> Result<Self, BadUpstream> {
        let parts = text.parse::<Uri>().map_err(|_| BadUpstream)?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(BadUpstream);
        };
        let path = parts.path_and_query;
        let query = path.as_ref().is_some_and(|p| p.query().is_some());
        if !matches!(scheme.as_str(), "http" | "https") || authority.as_str().contains('@') || query
        {
            return Err(BadUpstream);
        }
        let base_path = path.as_ref().map_or("", |p| p.path().trim_end_matches('/')).to_owned();
        Ok(Self { scheme, authority, base_path })
    }
}

/// Not the address of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an upstream is http://host:port or https://host:port, without user and query")]
pub struct BadUpstream;

/// Who may use a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    AnyVerified,
    Groups(BTreeSet<String>),
}

/// What is wrong with a connection: its name, the key, and never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connections.{connection}: {key}: {problem}")]
pub struct ConnectionError {
    /// The connection.
    pub connection: String,
    /// The key.
    pub key: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl ConnectionConfig {
    pub(crate) fn access(&self, name: &ConnectionName) -> Result<Access, ConnectionError> {
        let wrong = |problem| ConnectionError {
            connection: name.as_str().to_owned(),
            key: "allow_groups",
            problem,
        };
        match (self.allow_any_verified, self.allow_groups.is_empty()) {
            (true, true) => Ok(Access::AnyVerified),
            (false, false) => Ok(Access::Groups(self.allow_groups.clone())),
            (false, true) => Err(wrong("name a group, or set allow_any_verified = true")),
            (true, false) => Err(wrong("allow_any_verified = true allows all; name no groups")),
        }
    }

    pub(crate) fn forwarded_credentials(
        &self,
        name: &ConnectionName,
    ) -> Result<BTreeSet<String>, ConnectionError> {
        let wrong = |problem| ConnectionError {
            connection: name.as_str().to_owned(),
            key: "forward_credentials",
            problem,
        };
        let mut names = BTreeSet::new();
        for text in &self.forward_credentials {
            let header = text.parse::<HeaderName>().map_err(|_| wrong("not a header's name"))?;
            if [http::header::AUTHORIZATION, http::header::PROXY_AUTHORIZATION].contains(&header) {
                return Err(wrong("the caller's credential is never passed on"));
            }
            names.insert(header.as_str().to_owned());
        }
        Ok(names)
    }
}

impl ProxyConfig {
    /// Checks what no single key can say.
    ///
    /// # Errors
    /// [`ConnectionError`] names the first connection and key that are wrong.
    pub fn check(&self) -> Result<(), ConnectionError> {
        let mut listeners = BTreeMap::new();
        for (name, connection) in &self.connections {
            let wrong = |key, problem| ConnectionError {
                connection: name.as_str().to_owned(),
                key,
                problem,
            };
            connection.access(name)?;
            connection.forwarded_credentials(name)?;
            if connection.tenant.is_empty() {
                return Err(wrong("tenant", "is empty"));
            }
            if connection.listen.port() != 0 && listeners.insert(connection.listen, name).is_some()
            {
                return Err(wrong("listen", "another connection listens there"));
            }
        }
        Ok(())
    }
}

fn tenant_default() -> String {
    "default".to_owned()
}

const fn record_default() -> u64 {
    RECORD_DEFAULT_BYTES
}

const fn rewrite_default() -> u64 {
    REWRITE_DEFAULT_BYTES
}

const fn stall_default() -> u64 {
    STALL_DEFAULT_S
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(text: &str) -> Result<ProxyConfig, String> {
        let parsed: Result<ProxyConfig, _> =
            trailgate_service::parse(Path::new("t.toml"), text, &BTreeMap::new());
        let config = parsed.map_err(|e| e.to_string())?;
        config.check().map_err(|e| e.to_string())?;
        Ok(config)
    }

    const BASE: &str = "[connections.agents]\nkind = \"langgraph\"\nlisten = \"127.0.0.1:8443\"\n\
                        upstream = \"http://127.0.0.1:2024/base/\"\n";

    #[test]
    fn a_connection_says_who_may_use_it() {
        let said = parse(BASE).unwrap_err();
        assert_eq!(
            said,
            "connections.agents: allow_groups: name a group, or set allow_any_verified = true"
        );
        let config = parse(&format!("{BASE}allow_groups = [\"agents\"]\n")).unwrap();
        let name = ConnectionName::try_from("agents".to_owned()).unwrap();
        let connection = &config.connections[&name];
        assert_eq!(connection.upstream.base_path, "/base");
        assert_eq!(connection.tenant, "default");
    }

    #[test]
    fn a_typo_in_a_connection_is_told_by_line_and_key() {
        let said = parse(&format!("{BASE}alow_groups = [\"agents\"]\n")).unwrap_err();
        assert!(
            said.starts_with("t.toml:5: connections.agents.alow_groups: unknown key"),
            "{said}"
        );
    }

    #[test]
    fn the_callers_credential_can_not_be_configured_to_pass() {
        let text =
            format!("{BASE}allow_any_verified = true\nforward_credentials = [\"Authorization\"]\n");
        assert!(parse(&text).unwrap_err().contains("never passed on"));
    }

    #[test]
    fn an_upstream_with_a_password_or_another_scheme_is_no_upstream() {
        for text in ["ftp://h", "http://u:hunter2@h", "http://h/?q=1", "h:80", "/x"] {
            assert_eq!(Upstream::try_from(text.to_owned()), Err(BadUpstream));
        }
    }

    #[test]
    fn two_connections_can_not_share_a_listener() {
        let other = BASE.replace("connections.agents", "connections.tools");
        let text = format!("{BASE}allow_any_verified = true\n{other}allow_any_verified = true\n");
        assert!(parse(&text).unwrap_err().ends_with("another connection listens there"));
    }
}
