//! What a token says. Only a token whose signature holds becomes an identity.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Number, Value};
use trailgate_schemas::{AuthMethod, Micros};

use crate::config::IssuerConfig;
use crate::identity::Identity;
use crate::limits::{GROUPS_MAX, SUBJECT_MAX_BYTES};
use crate::refusal::Refusal;

/// The claims that are read, and the rest, in which the groups are.
#[derive(Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    sub: String,
    aud: Audience,
    exp: Number,
    nbf: Option<Number>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// The identity that the claims prove to `issuer`'s audience at `now`.
    pub(crate) fn identity(
        self,
        issuer: &IssuerConfig,
        now: Micros,
        leeway: Duration,
    ) -> Result<Identity, Refusal> {
        if !self.aud.is_one_of(issuer) {
            return Err(Refusal::WrongAudience);
        }
        let expires_at = moment(&self.exp);
        if now >= expires_at.plus(leeway) {
            return Err(Refusal::Expired);
        }
        if self.nbf.as_ref().is_some_and(|nbf| now.plus(leeway) < moment(nbf)) {
            return Err(Refusal::NotYetValid);
        }
        // A subject in brackets would look like a stage, or like nobody, in the trail.
        let subject = self.sub;
        if subject.is_empty() || subject.len() > SUBJECT_MAX_BYTES || subject.starts_with('[') {
            return Err(Refusal::MalformedToken);
        }
        let groups = groups(&self.rest, &issuer.groups_claim)?;
        Ok(Identity {
            subject,
            issuer: self.iss,
            groups,
            method: AuthMethod::OidcBearer,
            expires_at,
        })
    }
}

impl Audience {
    fn is_one_of(&self, issuer: &IssuerConfig) -> bool {
        match self {
            Self::One(audience) => issuer.audiences.contains(audience),
            Self::Many(audiences) => audiences.iter().any(|a| issuer.audiences.contains(a)),
        }
    }
}

/// The groups in `claim`. Left out because they are too many (a reference in `_claim_names`, or
/// `hasgroups`) is not the same as being in none.
fn groups(claims: &Map<String, Value>, claim: &str) -> Result<Vec<String>, Refusal> {
    let referred = claims.get("_claim_names").is_some_and(|names| names.get(claim).is_some());
    let left_out = claims.get("hasgroups").is_some_and(|has| *has != Value::Bool(false));
    if referred || left_out {
        return Err(Refusal::GroupsOverage);
    }
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(Refusal::MalformedToken);
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(groups)) if groups.len() > GROUPS_MAX => Err(Refusal::GroupsOverage),
        Some(Value::Array(groups)) => groups.iter().map(text).collect(),
        Some(one) => Ok(vec![text(one)?]),
    }
}

/// Seconds since 1970, whole or not, as a moment; the end of time where it does not fit.
fn moment(seconds: &Number) -> Micros {
    match (seconds.as_i64(), seconds.as_f64()) {
        (Some(whole), _) => Micros(whole.saturating_mul(1_000_000)),
        // A cast from a float saturates.
        (None, Some(seconds)) => Micros((seconds * 1_000_000.0) as i64),
        (None, None) => Micros(0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(more: Value) -> Result<Identity, Refusal> {
        let mut claims = json!({"iss": "https://id", "sub": "ann", "aud": "trailgate", "exp": 100});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims: Claims = serde_json::from_value(claims).unwrap();
        let issuer = IssuerConfig::new("https://id", "trailgate");
        claims.identity(&issuer, Micros(90_000_000), Duration::from_secs(5))
    }

    #[test]
    fn audience_may_be_one_or_a_list() {
        assert!(identity(json!({"aud": ["account", "trailgate"]})).is_ok());
        assert_eq!(identity(json!({"aud": ["account"]})), Err(Refusal::WrongAudience));
        assert_eq!(identity(json!({"aud": []})), Err(Refusal::WrongAudience));
    }

    #[test]
    fn clocks_may_differ_by_the_leeway_and_no_more() {
        assert!(identity(json!({"exp": 86})).is_ok());
        assert_eq!(identity(json!({"exp": 85})), Err(Refusal::Expired));
        assert_eq!(identity(json!({"exp": -1e300})), Err(Refusal::Expired));
        assert!(identity(json!({"nbf": 95})).is_ok());
        assert_eq!(identity(json!({"nbf": 95.5})), Err(Refusal::NotYetValid));
    }

    #[test]
    fn groups_are_a_list_or_one_and_left_out_ones_are_refused() {
        let groups = |more| identity(more).map(|identity| identity.groups);
        assert_eq!(groups(json!({})), Ok(vec![]));
        assert_eq!(groups(json!({"groups": "ops"})), Ok(vec!["ops".to_owned()]));
        assert_eq!(groups(json!({"groups": ["a", "b"]})).map(|g| g.len()), Ok(2));
        assert_eq!(groups(json!({"groups": {"a": 1}})), Err(Refusal::MalformedToken));
        assert_eq!(groups(json!({"groups": ["a", 1]})), Err(Refusal::MalformedToken));
        let overage = json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}});
        assert_eq!(groups(overage), Err(Refusal::GroupsOverage));
        assert_eq!(groups(json!({"hasgroups": true})), Err(Refusal::GroupsOverage));
        assert_eq!(groups(json!({"groups": vec!["g"; 1001]})), Err(Refusal::GroupsOverage));
    }

    #[test]
    fn a_subject_can_not_be_empty_or_look_like_a_stage() {
        assert_eq!(identity(json!({"sub": ""})), Err(Refusal::MalformedToken));
        assert_eq!(identity(json!({"sub": "[trailgate masker]"})), Err(Refusal::MalformedToken));
        assert_eq!(identity(json!({"sub": "x".repeat(2000)})), Err(Refusal::MalformedToken));
    }
}
