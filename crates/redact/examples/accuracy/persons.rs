//! Personal data: unit cases of many types, and sentences with six types in them.

use trailgate_redact::Redactor;

use crate::corpus::{Corpus, Row, Span, spans};
use crate::secrets::percent_of;
use crate::{Report, percent};

pub(crate) fn measure_units(redactor: &Redactor, corpus: &Corpus) -> Report {
    let (mut cases, mut found, mut known, mut known_found) = (0, 0, 0, 0);
    let (mut others, mut wrong, mut masked_others) = (0, 0, 0);
    let mut misses = Vec::new();
    for row in &corpus.rows {
        let Row::Unit { recognizer, text, count } = row else { continue };
        let masked = redactor.text(text);
        let is_masked = !masked.findings.is_empty();
        let is_known = is_supported(recognizer);
        if *count > 0 {
            cases += 1;
            found += usize::from(is_masked);
            known += usize::from(is_known);
            known_found += usize::from(is_known && is_masked);
            if !is_masked {
                misses.push(format!("missed {recognizer}: {text:?}"));
            }
            continue;
        }
        others += 1;
        masked_others += usize::from(is_masked);
        let is_of = |rule: &str| {
            let word = rule.split('_').take(2).collect::<Vec<_>>().join("_");
            rule.starts_with(recognizer) || recognizer.starts_with(&word) || same(recognizer, rule)
        };
        if let Some(finding) = masked.findings.iter().find(|finding| is_of(&finding.rule)) {
            wrong += 1;
            misses.push(format!("wrong {recognizer}, {}: {text:?}", finding.rule));
        }
    }
    let (recall, false_positives) = (percent(found, cases), percent_of(wrong, others));
    let supported = percent(known_found, known);
    let name = &corpus.name;
    Report {
        line: format!(
            "{name:<24} {:>6} {recall:>7.2} % {false_positives:>7.2} % {masked_others:>4} of {others}; \
             of types supported {supported:.2} %",
            cases + others
        ),
        figures: vec![
            format!("{name}.recall {recall:.2} %"),
            format!("{name}.false_positives {false_positives:.2} %"),
            format!("{name}.recall_of_types_supported {supported:.2} %"),
        ],
        misses,
    }
}

pub(crate) fn measure_sentences(redactor: &Redactor, corpus: &Corpus) -> Report {
    let (mut there, mut found, mut told, mut right) = (0, 0, 0, 0);
    let mut misses = Vec::new();
    for row in &corpus.rows {
        let Row::Sentence { text, spans: gold } = row else { continue };
        let ours = spans(text, &redactor.text(text));
        let overlap = |kind: &str, gold: &std::ops::Range<usize>| {
            let meets =
                |span: &std::ops::Range<usize>| span.start < gold.end && gold.start < span.end;
            ours.iter().any(|(rule, span)| kind_of(rule) == Some(kind) && meets(span))
        };
        for span in gold.iter().filter(|span| is_counted(span)) {
            there += 1;
            let is_found = overlap(&span.kind, &span.bytes(text));
            found += usize::from(is_found);
            if !is_found {
                misses.push(format!(
                    "missed {}: {:?} in {text:?}",
                    span.kind,
                    &text[span.bytes(text)]
                ));
            }
        }
        for (rule, span) in &ours {
            let Some(kind) = kind_of(rule) else { continue };
            let is_right = gold.iter().any(|gold| {
                let bytes = gold.bytes(text);
                gold.kind == kind && span.start < bytes.end && bytes.start < span.end
            });
            told += 1;
            right += usize::from(is_right);
            if !is_right {
                misses.push(format!("wrong {rule}: {:?} in {text:?}", &text[span.clone()]));
            }
        }
    }
    let (recall, precision) = (percent(found, there), percent(right, told));
    let name = &corpus.name;
    Report {
        line: format!(
            "{name:<24} {:>6} {recall:>7.2} %           precision {precision:.2} %",
            corpus.rows.len()
        ),
        figures: vec![
            format!("{name}.recall {recall:.2} %"),
            format!("{name}.precision {precision:.2} %"),
        ],
        misses,
    }
}

/// Whether a type is masked at all.
pub(crate) fn is_supported(recognizer: &str) -> bool {
    !UNSUPPORTED.contains(&recognizer)
}

/// Whether it is one of the six types.
pub(crate) fn is_counted(span: &Span) -> bool {
    KINDS.iter().any(|(kind, _)| *kind == span.kind)
}

/// The six types that are counted in sentences, by what our rules for them begin with.
const KINDS: &[(&str, &str)] = &[
    ("CREDIT_CARD", "payment_card"),
    ("EMAIL_ADDRESS", "email"),
    ("PHONE_NUMBER", "phone"),
    ("IBAN_CODE", "iban"),
    ("US_SSN", "us_ssn"),
    ("IP_ADDRESS", "ip_v"),
];

fn kind_of(rule: &str) -> Option<&'static str> {
    KINDS.iter().find(|(_, begins)| rule.starts_with(begins)).map(|(kind, _)| *kind)
}

fn same(recognizer: &str, rule: &str) -> bool {
    SAME.iter().any(|(theirs, ours)| *theirs == recognizer && rule.starts_with(ours))
}

/// Types under other names.
const SAME: &[(&str, &str)] = &[
    ("crypto", "bitcoin"),
    ("credit_card", "payment_card"),
    ("certificate_number", "us_dea"),
    ("de_tax_id", "de_tax"),
    ("it_fiscal_code", "it_codice_fiscale"),
    ("fi_personal_identity_code", "fi_hetu"),
    ("sg_fin", "sg_nric"),
    ("tr_phone_number", "phone"),
];

/// What is not masked on purpose: any date, any URL, any postcode without a word beside it, names
/// of people, and the cases of a framework's own parts.
const UNSUPPORTED: &[&str] = &["date", "url", "transformers", "pattern", "de_plz", "us_bank"];
