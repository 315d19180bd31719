//! What was found in a corpus, in every encoding.

use trailgate_redact::Redactor;

use crate::corpus::{Corpus, Row};
use crate::encodings::found;
use crate::{percent, persons};

/// A figure for each encoding: of the rows that hold something to be masked, the part in which
/// something is. Prints those that are found as they stand and not so.
pub(crate) fn measure(redactor: &Redactor, corpus: &Corpus, has_misses: bool) -> Vec<String> {
    let mut rows = 0;
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for text in corpus.rows.iter().filter_map(to_mask) {
        rows += 1;
        let is_found_raw = !redactor.text(text).findings.is_empty();
        for (place, (name, is_found)) in found(redactor, text).enumerate() {
            if place == counts.len() {
                counts.push((name, 0));
            }
            counts[place].1 += usize::from(is_found);
            if has_misses && is_found_raw && !is_found {
                println!("  missed in {name}: {text:?}");
            }
        }
    }
    let figure = |(encoding, found): (&str, usize)| {
        format!("{}_{encoding}.recall {:.2} %", corpus.name, percent(found, rows))
    };
    counts.into_iter().map(figure).collect()
}

/// The text of a row that holds something to be masked.
fn to_mask(row: &Row) -> Option<&str> {
    match row {
        Row::Secret { secret: true, text, .. } => Some(text),
        Row::Unit { text, count, recognizer } if *count > 0 => {
            persons::is_supported(recognizer).then_some(text)
        }
        Row::Sentence { text, spans } if spans.iter().any(persons::is_counted) => Some(text),
        Row::Secret { .. } | Row::Unit { .. } | Row::Sentence { .. } => None,
    }
}
