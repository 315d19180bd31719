//! What came out of masking: the text, and where in it something was replaced.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::rules::{Class, Severity};

/// One replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule that found it.
    pub rule: Arc<str>,
    /// What that rule finds.
    pub class: Class,
    /// How bad it is if it gets out.
    pub severity: Severity,
    /// Where its replacement begins in the masked text, in bytes.
    pub start: usize,
    /// How long it was.
    pub length: Length,
}

/// How long something was, as a bucket of bytes: the length itself may tell what it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length(u8);

impl Length {
    pub(crate) fn of(text: &str) -> Self {
        let bucket = LENGTHS.iter().position(|(longest, _)| text.len() <= *longest);
        Self(u8::try_from(bucket.unwrap_or(LENGTHS.len())).unwrap_or_default())
    }

    /// The bucket: `1-8`, `9-16`, `17-32`, `33-64`, `65-128` or `129-`.
    #[must_use]
    pub fn word(self) -> &'static str {
        LENGTHS.get(usize::from(self.0)).map_or("129-", |(_, word)| word)
    }
}

const LENGTHS: [(usize, &str); 5] =
    [(8, "1-8"), (16, "9-16"), (32, "17-32"), (64, "33-64"), (128, "65-128")];

/// Masked text. Borrowed where nothing was found: clean text passes byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// What was replaced, in order.
    pub findings: Vec<Finding>,
}

impl<'a> Redacted<'a> {
    pub(crate) const fn clean(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), findings: Vec::new() }
    }

    /// `clear`, unless something in it was replaced.
    pub(crate) fn of(clear: &'a str, out: Out) -> Self {
        if out.findings.is_empty() {
            return Self::clean(clear);
        }
        Self { text: Cow::Owned(out.text), findings: out.findings }
    }
}

/// Masked text as it grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Out {
    /// The text so far.
    pub text: String,
    /// What was replaced in it, in order.
    pub findings: Vec<Finding>,
    /// Why the body can't be masked any further, if so. Nothing of it stands in the text in clear,
    /// but what does is not all.
    pub withheld: Option<Withheld>,
}

/// Why something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Withheld {
    /// It is no text.
    NotText,
    /// It was to be a form in parts, and does not read as one.
    NotMultipart,
    /// It is a picture.
    Image,
    /// It is sound or film.
    Recording,
    /// It is a PDF or the like, which nothing here reads.
    Document,
    /// It is an archive, or compressed more than its head tells.
    Archive,
    /// It is compressed in a way that nothing here reads.
    UnknownEncoding,
    /// What is compressed is damaged, or not all there.
    Broken,
    /// It is compressed, and too large to be opened.
    OverBudget,
    /// Masking it failed: a mistake of this program.
    Failed,
}

impl Withheld {
    /// The reason's code, as events have it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotText => "not_text",
            Self::NotMultipart => "not_multipart",
            Self::Image => "image",
            Self::Recording => "recording",
            Self::Document => "document",
            Self::Archive => "archive",
            Self::UnknownEncoding => "unknown_encoding",
            Self::Broken => "broken_encoding",
            Self::OverBudget => "over_budget",
            Self::Failed => "masking_failed",
        }
    }
}

impl Out {
    /// Appends masked text as it is.
    pub(crate) fn append(&mut self, redacted: &Redacted<'_>) {
        self.append_as(redacted, |clear, text| text.push_str(clear));
    }

    /// Appends masked text in another encoding. Replacements are of characters that `encode`
    /// leaves alone, or are at least where it puts them.
    pub(crate) fn append_as(
        &mut self,
        redacted: &Redacted<'_>,
        encode: impl Fn(&str, &mut String),
    ) {
        let mut done = 0;
        for finding in &redacted.findings {
            encode(&redacted.text[done..finding.start], &mut self.text);
            done = finding.start;
            let start = self.text.len();
            self.findings.push(Finding { start, ..finding.clone() });
        }
        encode(&redacted.text[done..], &mut self.text);
    }

    pub(crate) fn replace(
        &mut self,
        rule: &Arc<str>,
        (class, severity, length): (Class, Severity, Length),
        token: &str,
    ) {
        let start = self.text.len();
        self.findings.push(Finding { rule: Arc::clone(rule), class, severity, start, length });
        self.text.push_str(token);
    }
}
