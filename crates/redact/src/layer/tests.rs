use proptest::prelude::*;

use super::*;
use crate::rules::tests::{examples, fill_from};
use crate::{Redactor, Shape, TokenKey};

use crate::encodings::ENCODINGS;

fn redactor() -> Redactor {
    Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]))
}

fn masked(text: &str) -> String {
    redactor().body(Shape::Unknown, text).text.into_owned()
}

/// What is found in the layers of a text alone.
fn held(text: &str) -> Vec<Hit> {
    let hits = &mut Vec::new();
    scan(&Rules::builtin(), text, hits);
    hits.drain(..).filter(|hit| hit.holds).collect()
}

/// Whether a text is too short to be looked for where it stands in digits: fewer clear bytes in a
/// row than ids have by chance.
fn is_short(text: &str) -> bool {
    let rows = text.split(|c: char| !c.is_ascii());
    rows.map(str::len).max().unwrap_or_default() < 14
}

/// From the first byte in which two texts differ to the last.
fn between<'a>(one: &'a str, other: &str) -> Option<&'a str> {
    let differs = |(one, other): (u8, u8)| one != other;
    let start = one.bytes().zip(other.bytes()).position(differs)?;
    let end = one.bytes().rev().zip(other.bytes().rev()).position(differs)?;
    one.get(start..one.len() - end)
}

const SECRETS: &[&str] = &[
    "sk-ant-api03-{w93}AA",
    "ghp_{a36}",
    "glpat-{w20}",
    "sk_live_{a24}",
    "password={a14}",
    "'client_secret': '{a32}'",
    "postgres://app:{a18}@db:5432/x",
    "Authorization: Bearer {a40}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What differs between two encoded secrets of one form is what tells of them.
    #[test]
    fn no_encoding_lets_anything_of_a_secret_through(
        secret in prop::sample::select(SECRETS),
        before in "[a-z]{1,8}( [a-z0-9]{1,8}){0,12}",
        behind in "( [a-z0-9]{1,8}){0,12}",
        seeds in (1u64.., 1u64..),
    ) {
        for (name, encode) in ENCODINGS {
            let text = |seed: u64| format!("{before} {} {behind}", fill_from(seed, secret));
            let (clear, other) = (encode(&text(seeds.0)), encode(&text(seeds.1)));
            let Some(told) = between(&clear, &other) else { continue };
            let out = masked(&clear);
            // Six characters of the secret.
            let window = (6 * clear.len() / text(seeds.0).len()).max(8);
            for part in told.as_bytes().windows(window) {
                let survives = memchr::memmem::find(out.as_bytes(), part).is_some();
                prop_assert!(!survives, "{}: {} → {}", name, clear, out);
            }
        }
    }

    #[test]
    fn encoded_text_in_any_pieces_is_masked_as_in_one(
        encoding in prop::sample::select(ENCODINGS),
        secret in prop::sample::select(SECRETS),
        filler in prop::collection::vec("[a-z]{2,9}", 0..900),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let filler = filler.join(" ");
        let text = encoding.1(&format!("{filler} {} {filler}", fill_from(7, secret)));
        let text = format!("some {text} and\nmore {text}");
        for shape in [Shape::Text, Shape::Json] {
            let whole = redactor().body(shape.clone(), &text).text.into_owned();
            let mut places: Vec<usize> =
                cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len()))).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let mut stream = redactor().stream(shape);
            let pieces = places.windows(2).map(|pair| stream.push(&text[pair[0]..pair[1]]).text);
            let mut out = pieces.collect::<String>();
            out.push_str(&stream.finish().text);
            prop_assert_eq!(out, whole, "{}", encoding.0);
        }
    }

    #[test]
    fn any_text_is_read_without_panic(text in r#"[ -~é\n"'\\%&#;xu{}0-9a-fA-F=:\u{200b}]{0,300}"#) {
        let hits = &mut Vec::new();
        scan(&Rules::builtin(), &text, hits);
        for hit in hits {
            prop_assert!(text.get(hit.whole.clone()).is_some(), "{:?} in {:?}", hit, text);
            prop_assert!(text.get(hit.secret.clone()).is_some(), "{:?} in {:?}", hit, text);
        }
    }
}

#[test]
fn every_example_is_found_under_every_encoding() {
    let redactor = redactor();
    let is_found = |text: &str| {
        // What begins with a quote would be read as JSON, which it is a part of.
        let shape = if text.starts_with('"') { Shape::Text } else { Shape::Unknown };
        !redactor.body(shape, text).findings.is_empty()
    };
    let examples: Vec<String> = examples().into_iter().filter(|text| is_found(text)).collect();
    let mut missed = Vec::new();
    for (name, encode) in ENCODINGS {
        let is_of_digits = name.starts_with("base64") || name.starts_with("hex");
        let is_read = |text: &&String| {
            // What has no word about it is found where it is all of a text or field.
            let is_one_of_many = is_found(&format!("got {text} from it"));
            let is_all = WHOLE.contains(name);
            (is_one_of_many || is_all) && (!is_of_digits || !is_short(text))
        };
        for text in examples.iter().filter(is_read) {
            let clear = encode(text);
            if !is_found(&clear) {
                missed.push(format!("{name}: {clear}"));
            }
        }
    }
    assert!(missed.is_empty(), "{} missed\n{}", missed.len(), missed.join("\n"));
}

/// Encodings that put nothing beside a text.
const WHOLE: &[&str] =
    &["raw", "json", "json_in_json", "json_slash", "json_u", "percent_all", "html_hex", "unicode"];

#[test]
fn what_is_encoded_and_clear_passes() {
    let clear = [
        "The quick brown fox jumps over the lazy dog, again and again, until \u{2019}tis done.",
        "{\"name\": \"it's\", \"path\": \"C:\\\\new\\\\table\", \"max_tokens\": 4096, \"f\": 1.5}",
        "SELECT '' AS empty, 'it''s', password = '' FROM users WHERE id = 'x' AND note = 'y'",
        "family \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} at 100 % of &amp; &copy; C:\\temp\\x",
    ];
    for (name, encode) in ENCODINGS {
        for text in clear {
            let encoded = encode(text);
            assert_eq!(held(&encoded), [], "{name}: {encoded}");
        }
    }
}

#[test]
fn ids_hashes_and_pictures_pass() {
    let mut state = 5u64;
    let random: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(200_000)
    .collect();
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let spaced: String = random.iter().map(|byte| format!("{byte:02x} ")).collect();
    use ::base64::Engine;
    let digits = ::base64::engine::general_purpose::STANDARD.encode(&random);
    for text in [hex, spaced, format!("data:image/png;base64,{digits}"), digits] {
        assert_eq!(held(&text), []);
    }
}

#[test]
fn lines_of_base64_that_go_on_are_held_together() {
    let lines = format!("a\n{}\n{}", "QUJD".repeat(16), "QUJD".repeat(9));
    let hits = &mut Vec::new();
    scan(&Rules::builtin(), &lines, hits);
    assert!(hits.iter().any(|hit| hit.whole == (2..lines.len()) && !hit.holds), "{hits:?}");
}
