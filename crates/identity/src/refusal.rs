//! Why a caller could not be verified. Each refusal is a stable code, a status, and what the
//! caller may know of it: never the token, nor anything out of it.

use http::StatusCode;
use trailgate_schemas::EventId;

use crate::problem::Problem;

/// Why a credential did not become an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// There is no bearer token.
    #[error("missing_credential")]
    MissingCredential,
    /// It is not one well-formed token.
    #[error("malformed_token")]
    MalformedToken,
    /// Its issuer is not configured here.
    #[error("unknown_issuer")]
    UnknownIssuer,
    /// It was made for somebody else.
    #[error("wrong_audience")]
    WrongAudience,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Its time has not come.
    #[error("not_yet_valid")]
    NotYetValid,
    /// It is signed in a way that is not allowed for its issuer, or not signed.
    #[error("algorithm_not_allowed")]
    AlgorithmNotAllowed,
    /// Its issuer has no such key.
    #[error("unknown_key")]
    UnknownKey,
    /// Its signature does not hold.
    #[error("bad_signature")]
    BadSignature,
    /// Its groups are left out or are too many, so nobody can say which it is in.
    #[error("groups_overage")]
    GroupsOverage,
    /// The issuer's keys can't be had now. Not the caller's fault; it may try again.
    #[error("provider_unavailable")]
    ProviderUnavailable,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: &'static [Self] = &[
        Self::MissingCredential,
        Self::MalformedToken,
        Self::UnknownIssuer,
        Self::WrongAudience,
        Self::Expired,
        Self::NotYetValid,
        Self::AlgorithmNotAllowed,
        Self::UnknownKey,
        Self::BadSignature,
        Self::GroupsOverage,
        Self::ProviderUnavailable,
    ];

    /// Its stable code: the end of the problem's type, a metric's label, an event's reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingCredential => "missing_credential",
            Self::MalformedToken => "malformed_token",
            Self::UnknownIssuer => "unknown_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::GroupsOverage => "groups_overage",
            Self::ProviderUnavailable => "provider_unavailable",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::ProviderUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::MissingCredential
            | Self::MalformedToken
            | Self::UnknownIssuer
            | Self::WrongAudience
            | Self::Expired
            | Self::NotYetValid
            | Self::AlgorithmNotAllowed
            | Self::UnknownKey
            | Self::BadSignature
            | Self::GroupsOverage => StatusCode::UNAUTHORIZED,
        }
    }

    /// What was missing, as far as the caller may know.
    #[must_use]
    pub const fn missing(self) -> &'static str {
        match self {
            Self::MissingCredential => "an Authorization header with a bearer token",
            Self::MalformedToken => "one well-formed bearer token",
            Self::UnknownIssuer => "a token of an issuer that is trusted here",
            Self::WrongAudience => "a token made for this gateway",
            Self::Expired => "a token that has not expired",
            Self::NotYetValid => "a token whose time has come",
            Self::AlgorithmNotAllowed => "a token signed with an allowed algorithm",
            Self::UnknownKey => "a token signed with a current key of its issuer",
            Self::BadSignature => "a token whose signature holds",
            Self::GroupsOverage => "a token that names all groups of its subject",
            Self::ProviderUnavailable => "the issuer's keys",
        }
    }

    /// The answer to the caller. `event_id` names the record of this refusal, if it has one.
    #[must_use]
    pub fn problem(self, event_id: Option<EventId>) -> Problem {
        let (title, detail) = match self {
            Self::ProviderUnavailable => (
                "The caller can't be verified now",
                "The issuer of the token does not answer. Try again later.",
            ),
            _ => ("The caller is not verified", "The request needs a valid bearer token."),
        };
        let problem = Problem::new(self.code(), self.status(), title)
            .detail(detail)
            .missing(self.missing())
            .event(event_id);
        match self {
            Self::ProviderUnavailable => problem.retry_after(crate::limits::FETCH_EVERY),
            _ => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_code_of_its_own_and_says_it() {
        let codes: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
        assert!(Refusal::ALL.iter().all(|r| r.to_string() == r.code()));
    }

    #[test]
    fn only_a_silent_provider_is_not_the_callers_fault() {
        for refusal in Refusal::ALL {
            let expected = if *refusal == Refusal::ProviderUnavailable { 503 } else { 401 };
            assert_eq!(refusal.status().as_u16(), expected);
        }
    }
}
