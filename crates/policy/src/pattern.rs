//! A pattern of paths: segments between slashes, where `*` stands for any text within one segment
//! and `**`, alone in its segment, for any number of segments, also none.
//!
//! It is matched against a path that was brought to its normal form, never against what stands on
//! the wire: percent-escapes undone once, no empty and no dot segments, no slash at the end. Letters
//! of ASCII match in either case: an upstream may take them for the same, and to hold too much is
//! the smaller fault.

use serde::Deserialize;

use crate::limits::PATTERN_MAX_BYTES;

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPattern(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// Any number of segments.
    Any,
    /// One segment like this.
    Like(String),
}

/// Not a pattern of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid value: expected a pattern such as /admin/**: it begins with a slash and does not end with one, has no empty or dot segment, no ?, # or \\, no percent-escape, and ** only alone between slashes"
)]
pub struct BadPattern;

impl TryFrom<String> for PathPattern {
    type Error = BadPattern;

    fn try_from(text: String) -> Result<Self, BadPattern> {
        let inside = text.strip_prefix('/').ok_or(BadPattern)?;
        if text.len() > PATTERN_MAX_BYTES || inside.contains(NEVER) {
            return Err(BadPattern);
        }
        if inside.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let segments = inside.split('/').map(|segment| match segment {
            "**" => Ok(Segment::Any),
            "" | "." | ".." => Err(BadPattern),
            like if like.contains("**") => Err(BadPattern),
            like => Ok(Segment::Like(like.to_owned())),
        });
        segments.collect::<Result<_, _>>().map(Self)
    }
}

impl PathPattern {
    /// Whether it matches a path in its normal form.
    #[must_use]
    pub fn matches(&self, normal: &str) -> bool {
        let inside = normal.trim_start_matches('/');
        let segments: Vec<&str> =
            if inside.is_empty() { Vec::new() } else { inside.split('/').collect() };
        wild(
            &self.0,
            &segments,
            |want| *want == Segment::Any,
            |want, got| match want {
                Segment::Any => true,
                Segment::Like(like) => is_like(like, got),
            },
        )
    }
}

fn is_like(like: &str, segment: &str) -> bool {
    wild(like.as_bytes(), segment.as_bytes(), |want| *want == b'*', u8::eq_ignore_ascii_case)
}

/// Whether `text` is `pattern`, in which whatever `is_wild` stands for any run. Where it does not go
/// on, the last run takes one more: at most a step for each pair of the two.
fn wild<P, T>(
    pattern: &[P],
    text: &[T],
    is_wild: impl Fn(&P) -> bool,
    is_same: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(want) if is_wild(want) => {
                last = Some((p + 1, t));
                p += 1;
            }
            Some(want) if is_same(want, &text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((behind, taken)) = last else { return false };
                last = Some((behind, taken + 1));
                (p, t) = (behind, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(is_wild)
}

/// What no path in its normal form has, or what would be read as something else.
const NEVER: [char; 4] = ['?', '#', '%', '\\'];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_star_stays_within_its_segment_and_two_do_not() {
        let cases = [
            ("/", "/", true),
            ("/", "/a", false),
            ("/admin", "/admin", true),
            ("/admin", "/admin/x", false),
            ("/admin/*", "/admin/x", true),
            ("/admin/*", "/admin/x/y", false),
            ("/admin/*", "/admin", false),
            ("/admin/**", "/admin", true),
            ("/admin/**", "/admin/x/y", true),
            ("/admin/**", "/administrator", false),
            ("/**", "/", true),
            ("/**/delete", "/a/b/delete", true),
            ("/**/delete", "/delete", true),
            ("/**/delete", "/a/deleted", false),
            ("/a/**/z/**/y", "/a/b/z/z/c/y", true),
            ("/a/**/z/**/y", "/a/b/c/y", false),
            ("/v*/users/*-old", "/v2/users/ada-old", true),
            ("/v*/users/*-old", "/v2/users/ada-new", false),
            ("/a*b*c", "/abbc", true),
            ("/a*b*c", "/abb", false),
        ];
        for (text, path, expected) in cases {
            assert_eq!(pattern(text).matches(path), expected, "{text} on {path}");
        }
    }

    #[test]
    fn letters_match_in_either_case() {
        assert!(pattern("/Admin/*").matches("/aDMIN/X"));
    }

    #[test]
    fn what_can_never_match_is_no_pattern() {
        let texts = [
            "", "admin", "/admin/", "//", "/a//b", "/a/../b", "/./a", "/a**", "/a/**b", "/%61",
            "/a?b", "/a#b", "/a\\b",
        ];
        for text in texts {
            assert_eq!(PathPattern::try_from(text.to_owned()), Err(BadPattern), "{text}");
        }
        assert!(PathPattern::try_from(format!("/{}", "a".repeat(600))).is_err());
    }

    /// The plain definition: try every length for each run.
    fn plainly(pattern: &[Segment], path: &[&str]) -> bool {
        match pattern {
            [] => path.is_empty(),
            [Segment::Any, rest @ ..] => (0..=path.len()).any(|n| plainly(rest, &path[n..])),
            [Segment::Like(like), rest @ ..] => {
                path.first().is_some_and(|first| is_like(like, first)) && plainly(rest, &path[1..])
            }
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_the_plain_definition_matches(
            segments in proptest::collection::vec("(a|b|a\\*|\\*|\\*\\*)", 0..6),
            path in proptest::collection::vec("[ab]{1,2}", 0..6),
        ) {
            let pattern = pattern(&format!("/{}", segments.join("/")));
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let normal = format!("/{}", path.join("/"));
            prop_assert_eq!(pattern.matches(&normal), plainly(&pattern.0, &path));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}", path in ".{0,60}") {
            if let Ok(pattern) = PathPattern::try_from(text) {
                let _ = pattern.matches(&path);
            }
        }
    }

    #[test]
    fn a_pattern_of_many_runs_takes_no_time() {
        let many = pattern(&format!("/{}z", "a*".repeat(200)));
        assert!(!many.matches(&format!("/{}", "a".repeat(8000))));
    }
}
