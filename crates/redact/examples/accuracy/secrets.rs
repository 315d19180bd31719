//! Secrets: whichever rule masks one, and rules that fire where they must not.

use trailgate_redact::Redactor;

use crate::corpus::{Corpus, Row};
use crate::names::correspond;
use crate::{Report, percent};

pub(crate) fn measure(redactor: &Redactor, corpus: &Corpus) -> Report {
    let (mut secrets, mut found, mut others, mut wrong, mut masked_others) = (0, 0, 0, 0, 0);
    let mut misses = Vec::new();
    for row in &corpus.rows {
        let Row::Secret { rule, secret, text } = row else { continue };
        let masked = redactor.text(text);
        if *secret {
            secrets += 1;
            found += usize::from(!masked.findings.is_empty());
            if masked.findings.is_empty() {
                misses.push(format!("missed {rule}: {text:?}"));
            }
            continue;
        }
        others += 1;
        masked_others += usize::from(!masked.findings.is_empty());
        if let Some(finding) = masked.findings.iter().find(|f| correspond(rule, &f.rule)) {
            wrong += 1;
            misses.push(format!("wrong {rule}, {}: {text:?} → {:?}", finding.rule, masked.text));
        }
    }
    let (recall, false_positives) = (percent(found, secrets), percent_of(wrong, others));
    let name = &corpus.name;
    Report {
        line: format!(
            "{name:<24} {:>6} {recall:>7.2} % {false_positives:>7.2} % {masked_others:>4} of {others}",
            secrets + others
        ),
        figures: vec![
            format!("{name}.recall {recall:.2} %"),
            format!("{name}.false_positives {false_positives:.2} %"),
        ],
        misses,
    }
}

/// A part of nothing is nothing here.
pub(crate) fn percent_of(part: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { percent(part, all) }
}
