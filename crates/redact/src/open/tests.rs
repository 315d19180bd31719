use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::rules::tests::{examples, fill};
use crate::{Rules, TokenKey};

use crate::encodings::BODIES;

fn redactor() -> Redactor {
    Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]))
}

fn shape(coding: &str, media_type: &str) -> Shape {
    Shape::of_head(Some(media_type), Some(coding))
}

fn withheld(coding: &str, media_type: &str, body: &[u8]) -> Option<Withheld> {
    let out = redactor().bytes(shape(coding, media_type), body);
    assert!(out.withheld.is_none() || out.text.starts_with("[withheld:"), "{}", out.text);
    out.withheld
}

fn body(name: &str) -> fn(&str) -> Vec<u8> {
    BODIES.iter().find(|(known, ..)| *known == name).unwrap().3
}

#[test]
fn every_example_is_found_in_every_wrapping() {
    let redactor = redactor();
    let found = |text: &str| !redactor.body(Shape::Unknown, text).findings.is_empty();
    let is_found = |text: &String| found(text) && found(&format!("so it is {text} there"));
    for text in examples().into_iter().filter(is_found) {
        for (name, coding, media_type, encode) in BODIES {
            // Latin 1 has no letters for some.
            if *name == "latin1" && text.chars().any(|c| u32::from(c) > 0xff) {
                continue;
            }
            let out = redactor.bytes(shape(coding, media_type), &encode(&text));
            assert_eq!(out.withheld, None, "{name}");
            assert!(!out.findings.is_empty(), "{name}: {text}");
        }
    }
}

#[test]
fn what_is_clear_comes_out_as_it_was_sent() {
    let text = "größer, {\"n\": 1.50} and it’s — 😀\n";
    for (name, coding, media_type, encode) in BODIES.iter().filter(|(name, ..)| *name != "latin1") {
        let out = redactor().bytes(shape(coding, media_type), &encode(text));
        let json = serde_json::json!({"content": text, "n": 1}).to_string();
        let event = format!("event: x\ndata: {json}\n\n");
        assert!([text, &json, &event].contains(&out.text.as_str()), "{name}: {}", out.text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_wrapped_body_in_any_pieces_is_masked_as_in_one(
        (_, coding, media_type, encode) in prop::sample::select(BODIES),
        words in prop::collection::vec("[a-zé😀]{1,9}", 0..400),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let secret = fill("ghp_{a36}");
        let bytes = encode(&format!("{} {secret} {}", words.join(" "), words.join(" ")));
        // Bytes of which nothing is said go through an opener, too.
        let shape = match shape(coding, media_type) {
            Shape::Wrapped(wrapping, shape) => Shape::Wrapped(wrapping, shape),
            shape => Shape::Wrapped(Wrapping::unsaid(), Box::new(shape)),
        };
        let redactor = redactor();
        let whole = redactor.bytes(shape.clone(), &bytes);
        prop_assert!(!whole.text.contains(&secret) && whole.withheld.is_none());
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let mut stream = redactor.stream(shape);
        let mut text = String::new();
        for pair in places.windows(2) {
            let piece = STANDARD.encode(&bytes[pair[0]..pair[1]]);
            text.push_str(&stream.push_base64(&piece, false).text);
            stream = redactor.resume(&stream.to_bytes()).unwrap();
            prop_assert!(stream.held_bytes() <= bytes.len().max(130 * 1024));
        }
        text.push_str(&stream.finish().text);
        prop_assert_eq!(text, whole.text);
    }

    #[test]
    fn any_bytes_are_opened_without_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        (_, coding, media_type, encode) in prop::sample::select(BODIES),
        at in any::<prop::sample::Index>(),
    ) {
        let _ = redactor().bytes(shape(coding, media_type), &bytes);
        let mut damaged = encode(&"words and more ".repeat(20));
        let at = at.index(damaged.len());
        damaged[at] ^= 0x55;
        let _ = redactor().bytes(shape(coding, media_type), &damaged);
    }
}

#[test]
fn what_is_not_all_there_comes_out_in_no_way() {
    let text = "words and more ".repeat(200) + &fill("ghp_{a36}");
    for name in ["gzip", "deflate", "deflate_raw", "br", "zstd"] {
        let coding = name.split('_').next().unwrap();
        let bytes = body(name)(&text);
        let cut = &bytes[..bytes.len() - 7];
        assert_eq!(withheld(coding, "text/plain", cut), Some(Withheld::Broken), "{name}");
        assert_eq!(withheld(coding, "text/plain", b"no such thing"), Some(Withheld::Broken));
    }
}

#[test]
fn a_bomb_is_not_opened() {
    let bomb = "0".repeat(32 << 20);
    for name in ["gzip", "deflate", "br", "zstd", "gzip_br"] {
        let coding = if name == "gzip_br" { "gzip, br" } else { name };
        let bytes = body(name)(&bomb);
        assert_eq!(withheld(coding, "text/plain", &bytes), Some(Withheld::OverBudget), "{name}");
    }
}

#[test]
fn a_compressed_body_too_large_to_be_held_is_withheld_from_there_on() {
    let mut stream = redactor().stream(shape("gzip", "text/plain"));
    let piece = STANDARD.encode(vec![7; 60 * 1024]);
    let said: Vec<_> = (0..5).map(|_| stream.push_base64(&piece, false).withheld).collect();
    let over = Some(Withheld::OverBudget);
    assert_eq!(said, [None, None, None, over, over]);
    assert_eq!(stream.held_bytes(), 0);
    assert_eq!(stream.push_base64(&piece, true).withheld, over);
}

#[test]
fn what_is_no_text_is_withheld_and_says_what_it_is() {
    let cases: [(&[u8], Withheld); 7] = [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Withheld::Image),
        (b"%PDF-1.7\n%\xe2\xe3", Withheld::Document),
        (b"PK\x03\x04\x14\0", Withheld::Archive),
        (b"\0\0\0\x20ftypisom", Withheld::Recording),
        (b"a\0\0b and so on", Withheld::NotText),
        (b"\x81\x02\xfe\x03\x90", Withheld::NotText),
        (b"RIFF\x24\0\0\0WAVEfmt ", Withheld::Recording),
    ];
    for (bytes, why) in cases {
        assert_eq!(redactor().bytes(Shape::Unknown, bytes).withheld, Some(why), "{bytes:?}");
    }
    assert_eq!(withheld("gzip", "text/plain", &gzip_of(cases[0].0)), Some(Withheld::Image));
    assert_eq!(withheld("compress", "text/plain", b"x"), Some(Withheld::UnknownEncoding));
    let many = "gzip,gzip,gzip,gzip,gzip";
    assert_eq!(withheld(many, "text/plain", b"x"), Some(Withheld::UnknownEncoding));
}

fn gzip_of(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzEncoder::new(bytes, flate2::Compression::default()),
        &mut out,
    )
    .unwrap();
    out
}

#[test]
fn a_form_in_parts_is_opened_first() {
    let form =
        "--x7b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--x7b--";
    let shape = shape("gzip", "multipart/form-data; boundary=x7b");
    let out = redactor().bytes(shape, &gzip_of(form.as_bytes()));
    assert!(out.text.contains("[password:") && out.withheld.is_none(), "{}", out.text);
}
