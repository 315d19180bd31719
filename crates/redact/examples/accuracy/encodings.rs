//! Ways in which a text reaches the masker.

use trailgate_redact::Shape;

/// A way, by its name.
pub(crate) struct Encoding {
    pub(crate) name: &'static str,
    pub(crate) shape: fn() -> Shape,
    pub(crate) encode: fn(&str) -> String,
}

/// All of them.
pub(crate) const ENCODINGS: &[Encoding] = &[
    Encoding { name: "raw", shape: || Shape::Text, encode: str::to_owned },
    Encoding { name: "json", shape: || Shape::Json, encode: json },
    Encoding { name: "json_in_json", shape: || Shape::Json, encode: |text| json(&json(text)) },
    Encoding {
        name: "slash",
        shape: || Shape::Json,
        encode: |text| json(text).replace('/', "\\/"),
    },
    Encoding { name: "percent", shape: || Shape::Text, encode: percent },
    Encoding { name: "sse", shape: || Shape::Sse, encode: sse },
];

fn json(text: &str) -> String {
    serde_json::json!({"role": "user", "content": text}).to_string()
}

fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn sse(text: &str) -> String {
    format!("event: messages/partial\ndata: {}\n\n", json(text))
}
