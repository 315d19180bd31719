//! The ways in which a text comes to a masker: each writes a whole text as something that stands
//! for it. Tests and measurements share them.

#![expect(unreachable_pub, reason = "each that includes it uses some of it")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// A name, and what writes a text so.
pub type Encoding = (&'static str, fn(&str) -> String);

/// Of texts.
pub const ENCODINGS: &[Encoding] = &[
    ("raw", str::to_owned),
    ("json", json),
    ("json_in_json", |text| json(&json(text))),
    ("json_slash", |text| json(text).replace('/', r"\/")),
    ("json_u", |text| format!(r#"{{"content": "{}"}}"#, units(text, |n| format!(r"\u{n:04x}")))),
    ("json_text", |text| format!("got {} from it", json(&json(text)))),
    ("percent", |text| format!("/x?q={}", percent(text))),
    ("percent_all", |text| bytes(text, |byte| format!("%{byte:02x}"))),
    ("percent_twice", |text| format!("/x?q={}", percent(&percent(text)))),
    ("percent_plus", |text| format!("/x?q={}", percent(text).replace("%20", "+"))),
    ("base64", |text| STANDARD.encode(text)),
    ("base64_url", |text| format!("blob={}", URL_SAFE.encode(text))),
    ("base64_unpadded", |text| format!("{} ", URL_SAFE_NO_PAD.encode(text))),
    ("base64_misaligned_1", |text| STANDARD.encode(format!("~{text}"))),
    ("base64_misaligned_2", |text| STANDARD_NO_PAD.encode(format!("~|{text}"))),
    ("base64_inside", |text| format!("see id_{}/x, there", STANDARD_NO_PAD.encode(text))),
    ("base64_data_url", |text| {
        format!("<a href=\"data:text/plain;base64,{}\">", STANDARD.encode(text))
    }),
    ("base64_64", |text| wrapped(text, 64, "\n")),
    ("base64_76", |text| wrapped(text, 76, "\r\n")),
    ("base64_64_json", |text| json(&wrapped(text, 64, "\n"))),
    ("base64_76_escaped", |text| format!("x = '{}'", wrapped(text, 76, r"\n"))),
    ("base64_json", |text| STANDARD.encode(json(text))),
    ("base64_twice", |text| STANDARD.encode(STANDARD.encode(text))),
    ("hex", |text| bytes(text, |byte| format!("{byte:02x}"))),
    ("hex_upper", |text| bytes(text, |byte| format!("{byte:02X}"))),
    ("hex_0x", |text| format!("v = 0x{};", bytes(text, |byte| format!("{byte:02x}")))),
    ("hex_x", |text| bytes(text, |byte| format!(r"\x{byte:02x}"))),
    ("hex_spaced", |text| bytes(text, |byte| format!("{byte:02x} "))),
    ("hex_colons", |text| bytes(text, |byte| format!("{byte:02X}:"))),
    ("hex_array", |text| bytes(text, |byte| format!("0x{byte:02x}, "))),
    ("html_named", html),
    ("html_decimal", |text| characters(text, |c| format!("&#{};", c as u32))),
    ("html_hex", |text| characters(text, |c| format!("&#x{:x};", c as u32))),
    ("unicode", |text| units(text, |unit| format!(r"\u{unit:04X}"))),
    ("unicode_braces", |text| characters(text, |c| format!(r"\u{{{:x}}}", c as u32))),
    ("sql", |text| format!("INSERT INTO t VALUES ('{}', 1)", text.replace('\'', "''"))),
    ("sql_e", |text| format!("SELECT E'{}'", backslashes(text))),
    ("sql_dollar", |text| format!("SELECT $q${text}$q$")),
    ("shell", |text| format!("echo '{}' > x", text.replace('\'', r#"'"'"'"#))),
    ("shell_escaped", |text| format!("echo '{}' > x", text.replace('\'', r"'\''"))),
    ("shell_backslash", |text| format!("echo {}", shell_backslash(text))),
    ("shell_dollar", |text| format!("echo $'{}'", backslashes(text))),
    ("python_bytes", python_bytes),
    ("python_str", |text| format!("['{}', 1]", backslashes(text))),
    ("zero_width", |text| sprinkled(text, &["\u{200b}", "\u{200c}", "\u{2060}"])),
    ("soft_hyphen", |text| sprinkled(text, &["\u{ad}", "\u{feff}", "\u{200d}"])),
];

/// A name, what a body's head says of coding and media type, and what writes a text as such a body.
pub type Wrap = (&'static str, &'static str, &'static str, fn(&str) -> Vec<u8>);

/// Of bodies.
pub const BODIES: &[Wrap] = &[
    ("gzip", "gzip", "text/plain", |text| gzip(text.as_bytes())),
    ("gzip_unsaid", "", "text/plain", |text| gzip(text.as_bytes())),
    ("deflate", "deflate", "text/plain", |text| zlib(text.as_bytes())),
    ("deflate_raw", "deflate", "text/plain", |text| deflate(text.as_bytes())),
    ("br", "br", "application/json", |text| brotli(json(text).as_bytes())),
    ("zstd", "zstd", "application/json", |text| zstd(json(text).as_bytes())),
    ("gzip_br", "gzip, br", "text/plain", |text| brotli(&gzip(text.as_bytes()))),
    ("utf16", "", "text/plain", |text| utf16("\u{feff}", text, u16::to_le_bytes)),
    ("utf16be", "", "text/plain; charset=UTF-16BE", |text| utf16("", text, u16::to_be_bytes)),
    ("utf16le_gzip", "gzip", "application/json; charset=utf-16le", |text| {
        gzip(&utf16("", &json(text), u16::to_le_bytes))
    }),
    ("latin1", "", "text/plain; charset=iso-8859-1", |text| {
        let as_byte = |c: char| u8::try_from(u32::from(c)).unwrap_or(b'?');
        std::iter::once(0xe9).chain(text.chars().map(as_byte)).collect()
    }),
    ("sse", "", "text/event-stream", |text| {
        format!("event: x\ndata: {}\n\n", json(text)).into_bytes()
    }),
];

fn read(mut reader: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map(|_| bytes).unwrap_or_default()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    read(flate2::read::GzEncoder::new(bytes, flate2::Compression::default()))
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    read(flate2::read::ZlibEncoder::new(bytes, flate2::Compression::default()))
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    read(flate2::read::DeflateEncoder::new(bytes, flate2::Compression::default()))
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    read(brotli::CompressorReader::new(bytes, 4096, 5, 20))
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap_or_default()
}

fn utf16(mark: &str, text: &str, write: fn(u16) -> [u8; 2]) -> Vec<u8> {
    mark.encode_utf16().chain(text.encode_utf16()).flat_map(write).collect()
}

fn json(text: &str) -> String {
    serde_json::json!({"content": text, "n": 1}).to_string()
}

fn bytes(text: &str, write: impl Fn(u8) -> String) -> String {
    text.bytes().map(write).collect()
}

fn characters(text: &str, write: impl Fn(char) -> String) -> String {
    text.chars().map(write).collect()
}

fn units(text: &str, write: impl Fn(u16) -> String) -> String {
    text.encode_utf16().map(write).collect()
}

fn percent(text: &str) -> String {
    bytes(text, |byte| match byte {
        b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    })
}

fn wrapped(text: &str, width: usize, end: &str) -> String {
    let digits = STANDARD.encode(text);
    let lines = digits.as_bytes().chunks(width).map(String::from_utf8_lossy);
    lines.collect::<Vec<_>>().join(end)
}

fn html(text: &str) -> String {
    characters(text, |c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&apos;".to_owned(),
        '=' => "&equals;".to_owned(),
        ':' => "&colon;".to_owned(),
        '_' => "&lowbar;".to_owned(),
        other => other.to_string(),
    })
}

fn backslashes(text: &str) -> String {
    characters(text, |c| match c {
        '\'' => r"\'".to_owned(),
        '\\' => r"\\".to_owned(),
        '\n' => r"\n".to_owned(),
        '\r' => r"\r".to_owned(),
        '\t' => r"\t".to_owned(),
        other => other.to_string(),
    })
}

/// As `printf %q` has it.
fn shell_backslash(text: &str) -> String {
    if text.contains(|c: char| c.is_control()) {
        return format!("$'{}'", backslashes(text));
    }
    characters(text, |c| match c {
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_./:=@,+".contains(c) => {
            format!("\\{c}")
        }
        other => other.to_string(),
    })
}

fn python_bytes(text: &str) -> String {
    let written = bytes(text, |byte| match byte {
        b'\'' => r"\'".to_owned(),
        b'\\' => r"\\".to_owned(),
        b'\n' => r"\n".to_owned(),
        b'\r' => r"\r".to_owned(),
        b'\t' => r"\t".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!(r"\x{byte:02x}"),
    });
    format!("b'{written}'")
}

/// Something unseen behind every third character, within words.
fn sprinkled(text: &str, unseen: &[&str]) -> String {
    let mut out = String::new();
    let mut characters = text.chars().enumerate().peekable();
    while let Some((place, character)) = characters.next() {
        out.push(character);
        let goes_on = characters.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        if place % 3 == 2 && character.is_alphanumeric() && goes_on {
            out.push_str(unseen[place % unseen.len()]);
        }
    }
    out
}
