//! A token as it was sent: taken apart once, and not believed.
//!
//! A compact JWS is parsed here by one parser, so that no two readers of it can disagree. Signed
//! access tokens (RFC 9068) and ID tokens are both taken: `openidconnect`'s own ID token type
//! would refuse access tokens over claims that nobody here reads (`email_verified: "true"`).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::claims::Claims;
use crate::config::{Algorithm, IssuerConfig};
use crate::keys::Keys;
use crate::refusal::Refusal;

/// A token whose signature nobody has checked.
pub(crate) struct Unverified {
    header: Header,
    claims: Claims,
    signed: String,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    cty: Option<IgnoredAny>,
    crit: Option<IgnoredAny>,
}

impl Unverified {
    /// Takes a token apart.
    pub(crate) fn parse(token: &str) -> Result<Self, Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::MalformedToken)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::MalformedToken)?;
        let header: Header = decode(header)?;
        // What is signed may be another token, or need extensions to be understood: not here.
        if header.cty.is_some() || header.crit.is_some() || !is_jwt(header.typ.as_deref()) {
            return Err(Refusal::MalformedToken);
        }
        Ok(Self {
            header,
            claims: decode(claims)?,
            signed: signed.to_owned(),
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::MalformedToken)?,
        })
    }

    /// Who is said to have made it.
    pub(crate) fn issuer(&self) -> &str {
        &self.claims.iss
    }

    /// Which key is said to have signed it.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// How it is said to be signed, if `issuer` may sign so.
    pub(crate) fn algorithm(&self, issuer: &IssuerConfig) -> Result<Algorithm, Refusal> {
        Algorithm::named(&self.header.alg)
            .filter(|algorithm| issuer.algorithms.contains(algorithm))
            .ok_or(Refusal::AlgorithmNotAllowed)
    }

    /// What it says, if its signature holds under one of `keys`. Takes up to some milliseconds of
    /// a core.
    pub(crate) fn verify(self, algorithm: Algorithm, keys: &Keys) -> Result<Claims, Refusal> {
        let kid = self.header.kid.as_deref();
        keys.verify(kid, algorithm, self.signed.as_bytes(), &self.signature)?;
        Ok(self.claims)
    }
}

/// Whether a token of this type says who somebody is: a logout token, for instance, does not.
fn is_jwt(typ: Option<&str>) -> bool {
    let Some(typ) = typ else { return true };
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, Refusal> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::MalformedToken)?;
    serde_json::from_slice(&json).map_err(|_| Refusal::MalformedToken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn token(header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", encode(header), encode(claims))
    }

    fn claims() -> Value {
        json!({"iss": "https://id", "sub": "ann", "aud": "trailgate", "exp": 10})
    }

    #[test]
    fn access_tokens_and_id_tokens_are_taken_and_other_kinds_are_not() {
        for typ in ["JWT", "at+jwt", "application/at+jwt"] {
            let header = json!({"alg": "ES256", "typ": typ});
            assert!(Unverified::parse(&token(&header, &claims())).is_ok(), "{typ}");
        }
        for header in [
            json!({"alg": "ES256", "typ": "logout+jwt"}),
            json!({"alg": "ES256", "cty": "JWT"}),
            json!({"alg": "ES256", "crit": ["b64"], "b64": false}),
            json!({"typ": "JWT"}),
            json!({"alg": "ES256", "kid": 1}),
        ] {
            let refused = Unverified::parse(&token(&header, &claims())).err();
            assert_eq!(refused, Some(Refusal::MalformedToken), "{header}");
        }
    }

    #[test]
    fn a_claim_that_stands_twice_is_refused() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
        let claims = r#"{"iss":"https://a","iss":"https://b","sub":"ann","aud":"t","exp":1}"#;
        let token = format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(Unverified::parse(&token).err(), Some(Refusal::MalformedToken));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = Unverified::parse(&text);
        }

        #[test]
        fn no_bytes_within_a_tokens_form_panic(
            header in prop::collection::vec(any::<u8>(), 0..200),
            claims in prop::collection::vec(any::<u8>(), 0..200),
            signature in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let parts = [header, claims, signature].map(|part| URL_SAFE_NO_PAD.encode(part));
            prop_assert_eq!(Unverified::parse(&parts.join(".")).err(), Some(Refusal::MalformedToken));
        }

        #[test]
        fn no_claim_of_another_type_panics(exp in any::<f64>(), nbf in any::<i64>(), aud in any::<bool>()) {
            let mut claims = claims();
            claims["exp"] = json!(exp);
            claims["nbf"] = json!(nbf);
            if aud { claims["aud"] = json!(["a", 1]); }
            let parsed = Unverified::parse(&token(&json!({"alg": "none"}), &claims));
            prop_assert_eq!(parsed.is_err(), aud || !exp.is_finite());
        }
    }
}
