//! Rows of corpora, and where in a text something was masked.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use trailgate_redact::Redacted;

/// A file of rows.
pub(crate) struct Corpus {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
}

/// A row, of one of three kinds.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Row {
    Secret { rule: String, secret: bool, text: String },
    Unit { recognizer: String, text: String, count: usize },
    Sentence { text: String, spans: Vec<Span> },
}

/// What stands where, in characters.
#[derive(Deserialize)]
pub(crate) struct Span {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Corpus {
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)?;
        let rows: Result<Vec<Row>, _> = text.lines().map(serde_json::from_str).collect();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, rows: rows? })
    }
}

impl Span {
    /// Where it is in bytes.
    pub(crate) fn bytes(&self, text: &str) -> Range<usize> {
        let at = |place| text.char_indices().nth(place).map_or(text.len(), |(byte, _)| byte);
        at(self.start)..at(self.end)
    }
}

/// Where in the clear text each finding stood: what is between two tokens is as it was.
pub(crate) fn spans(clear: &str, masked: &Redacted<'_>) -> Vec<(String, Range<usize>)> {
    let mut spans = Vec::new();
    let (mut at, mut done) = (0, 0);
    for (index, finding) in masked.findings.iter().enumerate() {
        let start = at + finding.start - done;
        let token_end = masked.text[finding.start..].find(']').map_or(0, |end| end + 1);
        done = finding.start + token_end;
        let next = masked.findings.get(index + 1).map(|next| next.start);
        let gap = &masked.text[done..next.unwrap_or(masked.text.len())];
        at = match next {
            None => clear.len() - gap.len(),
            Some(_) => clear[start..].find(gap).map_or(start + 1, |found| start + found),
        };
        spans.push((finding.rule.to_string(), start..at));
    }
    spans
}
