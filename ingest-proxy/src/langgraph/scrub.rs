//! Taking the gateway's own metadata keys out of JSON text on its way to the client. The server
//! copies a run's metadata into task frames, checkpoints, states and threads, so they turn up in
//! many places; a client without a gateway would see them in none.
//!
//! It works on the text, so nothing else is touched and nothing needs to be parsed: between `{` or
//! `,` and a value without escapes, `"gw_request_id":"…"` can only be a member of an object, for a
//! quote inside a JSON string is escaped. The keys are reserved: an application that keeps members
//! of that name and form in its state will not see them.

use std::borrow::Cow;
use std::ops::Range;

use super::plan::{ASKED_KEY, Injected, REQUEST_KEY};

/// The text without the gateway's members; borrowed if it has none, which is found in one pass.
#[must_use]
pub fn scrub(text: &[u8]) -> Cow<'_, [u8]> {
    let mut kept: Option<Vec<u8>> = None;
    let mut done = 0;
    while let Some(member) = next_member(text, done) {
        let kept = kept.get_or_insert_with(|| Vec::with_capacity(text.len()));
        kept.extend_from_slice(text.get(done..member.start).unwrap_or_default());
        done = member.end;
    }
    match kept {
        None => Cow::Borrowed(text),
        Some(mut kept) => {
            kept.extend_from_slice(text.get(done..).unwrap_or_default());
            Cow::Owned(kept)
        }
    }
}

/// The next member of ours from `from` on, with the one comma that goes with it.
fn next_member(text: &[u8], mut from: usize) -> Option<Range<usize>> {
    let begin = from;
    loop {
        let at = from + memchr::memmem::find(text.get(from..)?, b"\"gw_")?;
        from = at + 1;
        // The comma before may have gone with the member before: then `at` is where we began.
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        if !matches!(before, Some(b'{' | b',')) {
            continue;
        }
        let Some(length) = member_length(text.get(at..)?) else { continue };
        let end = at + length;
        let comma_is_ours = before == Some(&b',') && at > begin;
        return Some(match (comma_is_ours, text.get(end)) {
            (true, _) => at - 1..end,
            (false, Some(b',')) => at..end + 1,
            (false, _) => at..end,
        });
    }
}

/// How long the member at the beginning of `text` is, if it is one of ours.
fn member_length(text: &[u8]) -> Option<usize> {
    [REQUEST_KEY, ASKED_KEY].into_iter().find_map(|key| {
        let rest =
            text.strip_prefix(b"\"")?.strip_prefix(key.as_bytes())?.strip_prefix(b"\":\"")?;
        let value =
            rest.get(..memchr::memchr(b'"', rest.get(..VALUE_MAX_BYTES.min(rest.len()))?)?)?;
        let value_text = std::str::from_utf8(value).ok()?;
        let is_ours = match key {
            REQUEST_KEY => uuid::Uuid::try_parse(value_text).is_ok(),
            _ => Injected::from_text(value_text).is_some(),
        };
        is_ours.then_some(key.len() + 4 + value.len() + 1)
    })
}

/// Longer than the longest plan's text: modes with their commas, and the rest of it.
const VALUE_MAX_BYTES: usize = super::limits::MODES_MAX * (super::limits::MODE_MAX_BYTES + 1) + 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = r#""gw_request_id":"01a207e7-3b33-7212-8090-ee2cd8226ffe""#;
    const ASKED: &str = r#""gw_asked":"1:values,updates:a1:f0""#;

    fn scrubbed(text: &str) -> String {
        String::from_utf8(scrub(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn our_members_go_wherever_they_stand() {
        for (text, expected) in [
            (format!("{{{ID}}}"), "{}"),
            (format!("{{{ID},{ASKED}}}"), "{}"),
            (format!("{{{ID},\"a\":1}}"), r#"{"a":1}"#),
            (format!("{{\"a\":1,{ID}}}"), r#"{"a":1}"#),
            (format!("{{\"a\":1,{ID},{ASKED},\"b\":2}}"), r#"{"a":1,"b":2}"#),
            (format!("[{{{ASKED},{ID},\"b\":2}},{{\"a\":{{{ID}}}}}]"), r#"[{"b":2},{"a":{}}]"#),
        ] {
            assert_eq!(scrubbed(&text), expected, "{text}");
        }
    }

    #[test]
    fn text_that_speaks_of_them_stays() {
        let inside = serde_json::to_string(&format!("say {{{ID}}}")).unwrap();
        for text in [
            inside.as_str(),
            r#"{"gw_request_id":"not an id"}"#,
            r#"{"gw_request_id":7}"#,
            r#"{"gw_asked":"everything"}"#,
            r#"{"a\"gw_request_id":"01a207e7-3b33-7212-8090-ee2cd8226ffe"}"#,
            r#"["gw_request_id","01a207e7-3b33-7212-8090-ee2cd8226ffe"]"#,
        ] {
            assert!(matches!(scrub(text.as_bytes()), Cow::Borrowed(_)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn json_stays_json_and_loses_nothing_but_our_members(
            keys in prop::collection::vec(0_usize..4, 0..9),
        ) {
            let members = |own: bool| -> String {
                let all = keys.iter().filter(|key| own || **key > 1).map(|key| match key {
                    0 => ID.to_owned(),
                    1 => ASKED.to_owned(),
                    2 => r#""a":[{"b":1}]"#.to_owned(),
                    _ => r#""c":"\"gw_request_id\":""#.to_owned(),
                });
                format!("{{{}}}", all.collect::<Vec<_>>().join(","))
            };
            prop_assert_eq!(scrubbed(&members(true)), members(false));
        }

        #[test]
        fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = scrub(&text);
        }
    }
}
