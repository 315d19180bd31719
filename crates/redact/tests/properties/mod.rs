//! What holds of masking whatever the input is. The fuzz targets ask it of what libFuzzer thinks of, and
//! a test of a short corpus.

use serde_json::Value;
use trailgate_redact::{Redactor, Rules, Shape, TokenKey};

/// One of the properties, asked of any bytes.
pub(crate) type Property = fn(&Redactor, &[u8]);

/// Each with its name.
pub(crate) const ALL: &[(&str, Property)] = &[
    ("fast_as_reference", fast_as_reference),
    ("same_in_pieces", same_in_pieces),
    ("masked_stands", masked_stands),
    ("json_keeps_its_shape", json_keeps_its_shape),
];

/// Masks by the built-in rules.
pub(crate) fn redactor() -> Redactor {
    Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]))
}

/// A document passes a quick way where nothing is in it; each of its strings by itself does not. Both
/// find the same.
pub(crate) fn fast_as_reference(redactor: &Redactor, input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // What is JSON itself is masked by what is in it.
    let is_nested = |part: &&str| part.trim_start().starts_with(['{', '[', '"']);
    let parts: Vec<&str> = text.split('\0').filter(|part| !is_nested(part)).collect();
    let document = serde_json::json!({ "a": parts, "n": 1.5 }).to_string();
    let masked: Value = serde_json::from_str(&redactor.json(&document).text).expect("valid JSON");
    for (at, part) in parts.iter().enumerate() {
        assert_eq!(masked["a"][at], Value::from(redactor.text(part).text), "{part:?}");
    }
}

/// The first byte says which shape, and the next three how long pieces are.
pub(crate) fn same_in_pieces(redactor: &Redactor, input: &[u8]) {
    let Some((head, rest)) = input.split_at_checked(4) else { return };
    let text = String::from_utf8_lossy(rest);
    let shapes = [Shape::Text, Shape::Json, Shape::Sse, Shape::Form];
    let shape = &shapes[usize::from(head[0]) % shapes.len()];
    let whole = redactor.body(shape.clone(), &text);
    let mut stream = redactor.stream(shape.clone());
    let (mut out, mut at, mut round) = (String::new(), 0, 0);
    while at < text.len() {
        let step = 1 + usize::from(head[1 + round % 3]);
        let end = text.ceil_char_boundary((at + step).min(text.len()));
        out.push_str(&stream.push(&text[at..end]).text);
        (at, round) = (end, round + 1);
        if round.is_multiple_of(16) {
            stream = redactor.resume(&stream.to_bytes()).expect("its own state");
        }
    }
    out.push_str(&stream.finish().text);
    // Lines of data that begin or end in different ways may be written in one way.
    let plain = |text: &str| text.replace("data: ", "data:").replace('\r', "");
    assert_eq!(plain(&out), plain(&whole.text), "{shape:?} {text:?}");
}

/// Masking twice changes nothing. What is broken JSON may be broken in another way once it is masked.
pub(crate) fn masked_stands(redactor: &Redactor, input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let once = redactor.text(&text).text.into_owned();
    assert_eq!(redactor.text(&once).text, once, "{text:?}");
    if serde_json::from_str::<Value>(&text).is_err() {
        return;
    }
    let once = redactor.json(&text).text.into_owned();
    assert_eq!(redactor.json(&once).text, once, "{text:?}");
}

/// JSON stays JSON: the same keys, as many elements, and each value of the kind that it was, but that a
/// number may have become a string.
pub(crate) fn json_keeps_its_shape(redactor: &Redactor, input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(clear) = serde_json::from_str::<Value>(text) else { return };
    let masked = redactor.json(text).text;
    let masked: Value = serde_json::from_str(&masked).unwrap_or_else(|_| panic!("{masked:?}"));
    assert!(has_shape(&masked, &clear), "{text:?} → {masked}");
}

fn has_shape(masked: &Value, clear: &Value) -> bool {
    match (masked, clear) {
        (Value::Array(masked), Value::Array(clear)) => {
            masked.len() == clear.len()
                && masked.iter().zip(clear).all(|(masked, clear)| has_shape(masked, clear))
        }
        (Value::Object(masked), Value::Object(clear)) => {
            // A key in which something was replaced is another; what is behind it is not compared.
            let both = clear.iter().filter_map(|(key, clear)| Some((masked.get(key)?, clear)));
            masked.len() == clear.len() && both.into_iter().all(|(m, c)| has_shape(m, c))
        }
        (Value::String(_), Value::String(_) | Value::Number(_)) => true,
        _ => masked == clear,
    }
}
