//! Ways in which a text reaches the masker, and whether something is found in it then.

use trailgate_redact::{Redactor, Shape};

use crate::written::{BODIES, ENCODINGS};

/// The name of each way, and whether something is found in `text` that comes so.
pub(crate) fn found<'a>(
    redactor: &'a Redactor,
    text: &'a str,
) -> impl Iterator<Item = (&'static str, bool)> + 'a {
    let texts = ENCODINGS.iter().map(|(name, encode)| {
        let encoded = encode(text);
        let masked = match encoded {
            ref url if url.starts_with(QUERY) => redactor.url(url),
            ref json if json.starts_with(OBJECT) => redactor.json(json),
            ref text => redactor.text(text),
        };
        (*name, !masked.findings.is_empty())
    });
    let bodies = BODIES.iter().map(|(name, coding, media_type, encode)| {
        let shape = Shape::of_head(Some(media_type), Some(coding));
        (*name, !redactor.bytes(shape, &encode(text)).findings.is_empty())
    });
    texts.chain(bodies)
}

/// How a path begins that was written around a text.
const QUERY: &str = "/x?q=";
/// How an object begins that was written around a text.
const OBJECT: &str = "{\"content\":";
