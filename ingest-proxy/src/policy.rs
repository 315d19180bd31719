//! The `[policy]` section: which rule file holds operations, checked before anything is waited for.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use trailgate_envelope::{Deciders, KeysError, KeysFolder, NoChance, OwnSeal};
use trailgate_policy::{Known, Rules, RulesError};
use trailgate_topics::{Backbone, BackboneError, Topic};

use crate::config::{ConnectionKind, ProxyConfig};
use crate::holds::{Holding, SignedDecisions};
use crate::langgraph::OPERATIONS;
use crate::limits::{HELD_BYTES_MAX, HOLD_DEFAULT_BYTES};

/// The `[policy]` section. Without it nothing is held.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// The rule file; its form is that of `trailgate_policy`.
    pub file: PathBuf,
    /// The longest body that is held; a longer one is denied.
    #[serde(default = "hold_default")]
    pub hold_max_bytes: u64,
}

/// Why operations can't be held as the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The rule file has a mistake.
    #[error("policy.file")]
    Rules(#[from] RulesError),
    /// More than all held bodies may take together.
    #[error("policy.hold_max_bytes: at most {HELD_BYTES_MAX}")]
    TooMuch,
    /// A key that holding needs can't be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The seal of the spool could not be made.
    #[error(transparent)]
    NoChance(#[from] NoChance),
}

/// Rules and keys, before there is a backbone.
#[derive(Debug)]
pub struct Policy {
    rules: Rules,
    max_bytes: usize,
    seal: OwnSeal,
    deciders: Deciders,
}

/// What a policy needs of a backbone.
pub(crate) struct Ground {
    backbone: Arc<dyn Backbone>,
    appender: Arc<dyn trailgate_topics::Appender>,
    decisions: SignedDecisions,
}

impl PolicyConfig {
    /// Reads and checks the rule file, and takes the keys that holding needs.
    ///
    /// # Errors
    /// [`PolicyError`] says what is wrong, and never what stands there.
    pub fn load(&self, proxy: &ProxyConfig, keys: &KeysFolder) -> Result<Policy, PolicyError> {
        let rules = Rules::load(&self.file)?;
        let connections = proxy.connections.iter();
        let connections = connections.map(|(name, connection)| {
            (name.as_str(), connection.kind == ConnectionKind::Langgraph)
        });
        rules
            .check(&Known { connections: connections.collect(), operations: OPERATIONS.into() })?;
        let max_bytes = usize::try_from(self.hold_max_bytes).unwrap_or(usize::MAX);
        if max_bytes > HELD_BYTES_MAX {
            return Err(PolicyError::TooMuch);
        }
        let seal = OwnSeal::of_gateway(&keys.load_gateway()?)?;
        Ok(Policy { rules, max_bytes, seal, deciders: Deciders::of(keys.clone())? })
    }
}

impl Policy {
    /// Holds operations on `backbone` from now on: decisions made before this are not read.
    ///
    /// # Errors
    /// [`BackboneError`]; with [`BackboneError::Unreachable`] the same may be tried again.
    pub async fn hold_on(self, backbone: &Arc<dyn Backbone>) -> Result<Holding, BackboneError> {
        Ok(self.on(Ground::open(backbone).await?))
    }

    pub(crate) fn on(self, ground: Ground) -> Holding {
        let Self { rules, max_bytes, seal, deciders } = self;
        Holding {
            rules,
            max_bytes,
            appender: ground.appender,
            partitions: ground.backbone.partitions(),
            seal,
            deciders,
            decisions: Box::new(ground.decisions),
        }
    }
}

impl Ground {
    pub(crate) async fn open(backbone: &Arc<dyn Backbone>) -> Result<Self, BackboneError> {
        backbone.ensure(&[Topic::Spool, Topic::Claims, Topic::Decisions]).await?;
        let decisions = SignedDecisions::open(Arc::clone(backbone)).await?;
        Ok(Self { backbone: Arc::clone(backbone), appender: backbone.appender()?, decisions })
    }
}

const fn hold_default() -> u64 {
    HOLD_DEFAULT_BYTES
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    const CONNECTION: &str = "[connections.tools]\nkind = \"http\"\nlisten = \"127.0.0.1:0\"\n\
                              upstream = \"http://127.0.0.1:1\"\nallow_any_verified = true\n";

    fn load(rules: &str, hold_max_bytes: u64) -> Result<Policy, String> {
        let place = tempfile::tempdir().unwrap();
        let keys = KeysFolder::new(place.path().join("keys"));
        keys.create_missing().unwrap();
        let file = place.path().join("rules.toml");
        std::fs::write(&file, rules).unwrap();
        let proxy: ProxyConfig =
            trailgate_service::parse(Path::new("t.toml"), CONNECTION, &BTreeMap::new()).unwrap();
        let config = PolicyConfig { file, hold_max_bytes };
        config.load(&proxy, &keys).map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    }

    #[test]
    fn a_rule_that_names_what_is_not_there_stops_the_start() {
        let rule = "[[hold]]\nname = \"one\"\nreviewers = [\"leads\"]\n";
        assert!(load(&format!("{rule}connection = \"tools\"\n"), 1).is_ok());
        let said = load(&format!("{rule}connection = \"tolls\"\n"), 1).unwrap_err();
        assert!(said.ends_with("hold[0].connection: the gateway has no such connection"), "{said}");
        let said = load(&format!("{rule}operations = [\"run.creat\"]\n"), 1).unwrap_err();
        assert!(said.ends_with("hold[0].operations: names what is no operation"), "{said}");
        assert!(load(rule, u64::MAX).unwrap_err().starts_with("policy.hold_max_bytes: at most"));
    }
}
