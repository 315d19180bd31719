//! Names of fields whose value is a secret, whatever it looks like: `password`, `clientSecret`,
//! `x-api-key`.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};

use crate::check::{is_keyed, is_placeholder};
use crate::limits::NAME_MAX_BYTES;

/// What a name says of its value; who says more comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum NameClass {
    /// A password: any text, however short.
    Password,
    /// A short code or number: also where it is a JSON number.
    Code,
    /// A key or token: text without white space that is long enough to be one.
    Secret,
    /// As a key or token; but a number is how many: `output_tokens`.
    Counted,
    /// Perhaps a key: only what looks random.
    Weak,
}

impl NameClass {
    /// The rule that a replacement by name is told under.
    pub(crate) const fn rule(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Code => "code",
            Self::Secret | Self::Counted | Self::Weak => "secret",
        }
    }

    /// Whether a value is one of what the name promises.
    pub(crate) fn fits(self, value: &str) -> bool {
        let value = value.trim();
        if value.is_empty() || is_placeholder(value) || is_word_of_code(value) {
            return false;
        }
        match self {
            Self::Password => true,
            Self::Code => value.bytes().any(|b| b.is_ascii_digit()),
            Self::Weak => is_keyed(value),
            Self::Secret | Self::Counted => {
                let is_mixed = value.bytes().any(|b| b.is_ascii_digit())
                    || value.bytes().any(|b| !b.is_ascii_alphabetic())
                        && value.bytes().any(|b| b.is_ascii_uppercase());
                value.len() >= 6
                    && !value.bytes().any(|b| b.is_ascii_whitespace())
                    && (is_mixed || value.len() >= 16)
            }
        }
    }

    /// Whether a number is one of what the name promises.
    pub(crate) fn fits_number(self, number: &str) -> bool {
        match self {
            Self::Password | Self::Code => true,
            Self::Secret => self.fits(number),
            Self::Counted | Self::Weak => false,
        }
    }
}

/// The names, as the rule files tell them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KeyNames {
    password: Names,
    code: Names,
    secret: Names,
    counted: Names,
    weak: Names,
    safe: Names,
}

/// Names of one class: sequences of words, written as in prose (`api key`).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Names {
    /// Letters anywhere, also within a word.
    within: Vec<String>,
    /// Letters at the end, also within a word.
    tail: Vec<String>,
    /// Whole words anywhere, run together or not.
    words: Vec<String>,
    /// Whole words at the end.
    ends: Vec<String>,
    /// All of the name.
    whole: HashSet<String>,
}

impl KeyNames {
    /// Adds the names of another file.
    pub(crate) fn extend(&mut self, more: Self) {
        self.password.extend(more.password);
        self.code.extend(more.code);
        self.secret.extend(more.secret);
        self.counted.extend(more.counted);
        self.weak.extend(more.weak);
        self.safe.extend(more.safe);
    }

    /// The names as one automaton, since a document has more names than values: compared with each in
    /// turn they took half of the time that a body takes. None if there are too many.
    pub(crate) fn compile(self) -> Option<NameTable> {
        let mut table = Parts::default();
        table.add(self.safe, Says::Nothing);
        table.add(self.password, Says::Class(NameClass::Password));
        table.add(self.code, Says::Class(NameClass::Code));
        table.add(self.secret, Says::Class(NameClass::Secret));
        table.add(self.counted, Says::Class(NameClass::Counted));
        table.add(self.weak, Says::Class(NameClass::Weak));
        let Parts { parts, told, whole } = table;
        let parts = AhoCorasick::builder().prefilter(false).build(&parts).ok()?;
        Some(NameTable { parts, told, whole })
    }
}

impl Names {
    fn extend(&mut self, more: Self) {
        self.within.extend(more.within);
        self.tail.extend(more.tail);
        self.words.extend(more.words);
        self.ends.extend(more.ends);
        self.whole.extend(more.whole);
    }
}

/// The names, ready to be looked up.
pub(crate) struct NameTable {
    parts: AhoCorasick,
    /// For each part what it says, where it stands there.
    told: Vec<(Says, Place)>,
    whole: HashMap<String, Says>,
}

/// What a name or a part of it says; of several the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    /// That its value is no secret.
    Nothing,
    Class(NameClass),
}

/// Where in a name a part counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Within,
    Tail,
    Words,
    Ends,
}

#[derive(Default)]
struct Parts {
    parts: Vec<String>,
    told: Vec<(Says, Place)>,
    whole: HashMap<String, Says>,
}

impl Parts {
    fn add(&mut self, names: Names, says: Says) {
        let places = [
            (names.within, Place::Within),
            (names.tail, Place::Tail),
            (names.words, Place::Words),
            (names.ends, Place::Ends),
        ];
        for (parts, place) in places {
            self.told.extend(parts.iter().map(|_| (says, place)));
            self.parts.extend(parts.iter().map(|part| squashed(part)));
        }
        for name in names.whole {
            // Names are added in the order in which they count.
            self.whole.entry(squashed(&name)).or_insert(says);
        }
    }
}

fn squashed(words: &str) -> String {
    words.replace(' ', "")
}

impl NameTable {
    /// What a field's name says of its value, if anything.
    pub(crate) fn classify(&self, name: &str) -> Option<NameClass> {
        if name.len() > NAME_MAX_BYTES {
            return None;
        }
        let name = Name::new(name);
        let letters = name.letters.as_str();
        let whole = [letters, &letters[..name.unnumbered]];
        let whole = whole.into_iter().filter_map(|letters| self.whole.get(letters));
        let parts = self.parts.find_overlapping_iter(letters).filter_map(|found| {
            let (says, place) = &self.told[found.pattern().as_usize()];
            name.counts(found.range(), *place).then_some(says)
        });
        match whole.chain(parts).min() {
            Some(Says::Class(class)) => Some(*class),
            Some(Says::Nothing) | None => None,
        }
    }

    /// The same of a name with its place: `user[secret][value]`, `secret.value`. What the name as a
    /// whole does not say, its innermost part that says something does.
    pub(crate) fn classify_path(&self, path: &str) -> Option<NameClass> {
        let part = || path.rsplit(['[', ']', '.']).find_map(|part| self.classify(part));
        self.classify(path).or_else(part)
    }
}

/// A name, run together, and where its words begin.
struct Name {
    letters: String,
    starts: Vec<bool>,
    /// Its length without a number at its end: `token_2`.
    unnumbered: usize,
}

impl Name {
    fn new(name: &str) -> Self {
        let bytes = name.as_bytes();
        let (mut letters, mut starts) = (String::with_capacity(bytes.len()), Vec::new());
        for (at, byte) in bytes.iter().enumerate() {
            if !byte.is_ascii_alphanumeric() {
                continue;
            }
            let before = at.checked_sub(1).map_or(b' ', |at| bytes[at]);
            let after = bytes.get(at + 1).copied().unwrap_or(b' ');
            let is_capital = byte.is_ascii_uppercase()
                && (before.is_ascii_lowercase()
                    || before.is_ascii_uppercase() && after.is_ascii_lowercase());
            let is_other = byte.is_ascii_digit() != before.is_ascii_digit();
            starts.push(is_capital || is_other || !before.is_ascii_alphanumeric());
            letters.push(byte.to_ascii_lowercase() as char);
        }
        let unnumbered = letters.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        Self { letters, starts, unnumbered }
    }

    /// Whether a part that stands here counts.
    fn counts(&self, part: Range<usize>, place: Place) -> bool {
        match place {
            Place::Within => true,
            Place::Tail => part.end == self.unnumbered,
            Place::Words => self.starts[part.start] && self.ends(part.end),
            Place::Ends => self.starts[part.start] && part.end == self.unnumbered,
        }
    }

    /// Whether a word ends there.
    fn ends(&self, at: usize) -> bool {
        self.starts.get(at).copied().unwrap_or(true)
    }
}

/// What stands behind a secret's name in code and in schemas without being one.
fn is_word_of_code(value: &str) -> bool {
    const WORDS: &[&str] = &[
        "any",
        "boolean",
        "bool",
        "bytes",
        "char",
        "default",
        "disabled",
        "enabled",
        "false",
        "float",
        "hidden",
        "input",
        "int",
        "integer",
        "invalid",
        "missing",
        "nil",
        "no",
        "none",
        "null",
        "number",
        "object",
        "optional",
        "password",
        "read",
        "required",
        "secret",
        "self",
        "str",
        "string",
        "text",
        "the",
        "token",
        "true",
        "type",
        "undefined",
        "unset",
        "uuid",
        "value",
        "varchar",
        "yes",
        "bearer",
        "basic",
        "digest",
    ];
    WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;

    #[test]
    fn a_name_counts_by_its_words_however_they_are_written() {
        let rules = Rules::builtin();
        for name in ["apiKey", "API_KEY", "x-api-key", "apikey", "openaiApiKey", "API key 2"] {
            assert_eq!(rules.names.classify(name), Some(NameClass::Secret), "{name}");
        }
        for name in ["dbpassword", "DB_PASS", "userPwd", "Passphrase"] {
            assert_eq!(rules.names.classify(name), Some(NameClass::Password), "{name}");
        }
    }

    #[test]
    fn names_of_what_is_no_secret_are_safe() {
        let rules = Rules::builtin();
        let safe = "max_tokens author run_id token_count tokenizer keyboard monkey primaryKey \
            public_key passing bypass compass token_type authenticated tokenUsage key";
        for name in safe.split_whitespace() {
            assert_eq!(rules.names.classify(name), None, "{name}");
        }
    }
}
