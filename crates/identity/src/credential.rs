//! The bearer token of a request. Exactly one, in the Authorization header and nowhere else.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::limits::TOKEN_MAX_BYTES;
use crate::refusal::Refusal;

/// The token in `headers`. Two headers are refused: two parties could take one each.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::MissingCredential)?;
    if values.next().is_some() {
        return Err(Refusal::MalformedToken);
    }
    let text = value.to_str().map_err(|_| Refusal::MalformedToken)?;
    let (scheme, token) = text.split_once(' ').ok_or(Refusal::MissingCredential)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::MissingCredential);
    }
    let token = token.trim_matches(' ');
    let is_token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if token.is_empty() || token.len() > TOKEN_MAX_BYTES || !token.bytes().all(is_token) {
        return Err(Refusal::MalformedToken);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn one_bearer_token_is_taken_whatever_the_case_of_its_scheme() {
        assert_eq!(of(&["Bearer a.b.c"]), Ok("a.b.c".to_owned()));
        assert_eq!(of(&["bearer  a.b.c"]), Ok("a.b.c".to_owned()));
    }

    #[test]
    fn no_token_and_other_schemes_are_a_missing_credential() {
        for values in [&[][..], &["Basic YTpi"], &["Bearer"], &["a.b.c"]] {
            assert_eq!(of(values), Err(Refusal::MissingCredential), "{values:?}");
        }
    }

    #[test]
    fn two_headers_two_tokens_and_too_long_ones_are_refused() {
        let long = format!("Bearer {}", "a".repeat(TOKEN_MAX_BYTES + 1));
        let two = ["Bearer a.b.c", "Bearer a.b.c"];
        for values in [&two[..], &["Bearer a.b.c d"], &["Bearer a.b.c, a.b.c"], &[&long]] {
            assert_eq!(of(values), Err(Refusal::MalformedToken));
        }
    }
}
