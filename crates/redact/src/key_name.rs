//! Names of fields whose value is a secret, whatever it looks like: `password`, `clientSecret`,
//! `x-api-key`.

use std::collections::HashSet;

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

/// The names, as the data file tells them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyNames {
    password: Names,
    code: Names,
    secret: Names,
    #[serde(default)]
    counted: Names,
    weak: Names,
    not: Names,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Names {
    contains: Vec<String>,
    suffix: Vec<String>,
    exact: HashSet<String>,
}

impl KeyNames {
    /// What a field's name says of its value, if anything.
    pub(crate) fn classify(&self, name: &str) -> Option<NameClass> {
        if name.len() > NAME_MAX_BYTES {
            return None;
        }
        let letters = |b: u8| b.is_ascii_alphanumeric().then(|| b.to_ascii_lowercase() as char);
        let name: String = name.bytes().filter_map(letters).collect();
        if name.is_empty() || self.not.has(&name) {
            return None;
        }
        [
            (&self.password, NameClass::Password),
            (&self.code, NameClass::Code),
            (&self.secret, NameClass::Secret),
            (&self.counted, NameClass::Counted),
            (&self.weak, NameClass::Weak),
        ]
        .into_iter()
        .find_map(|(names, class)| names.has(&name).then_some(class))
    }

    /// The same of a name with its place: `user[secret][value]`, `secret.value`. What the name as a
    /// whole does not say, its innermost part that says something does.
    pub(crate) fn classify_path(&self, path: &str) -> Option<NameClass> {
        let part = || path.rsplit(['[', ']', '.']).find_map(|part| self.classify(part));
        self.classify(path).or_else(part)
    }
}

impl Names {
    fn has(&self, name: &str) -> bool {
        self.exact.contains(name)
            || self.suffix.iter().any(|suffix| name.ends_with(suffix.as_str()))
            || self.contains.iter().any(|part| name.contains(part.as_str()))
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
