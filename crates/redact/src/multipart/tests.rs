use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use crate::{Redactor, Rules, Shape, TokenKey, Withheld};

const TYPE: &str = "multipart/form-data; boundary=\"-x7b\"";
const SECRET: &str = "gk3-Zq81xv";
const BROKEN: &str = "[withheld:not_multipart]";
const NO_TEXT: &str = "[withheld:not_text]";

fn redactor() -> Redactor {
    Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]))
}

/// Masks a body in pieces between these places, keeping and resuming the state between them.
fn in_pieces(media_type: &str, body: &[u8], places: &[usize]) -> (String, bool) {
    let redactor = redactor();
    let mut stream = redactor.stream(Shape::of_media_type(media_type));
    let mut places = places.to_vec();
    places.extend([0, body.len()]);
    places.sort_unstable();
    let (mut text, mut is_withheld) = (String::new(), false);
    for pair in places.windows(2) {
        let out = stream.push_base64(&STANDARD.encode(&body[pair[0]..pair[1]]), false);
        text.push_str(&out.text);
        is_withheld |= out.withheld.is_some();
        stream = redactor.resume(&stream.to_bytes()).unwrap();
    }
    let out = stream.finish();
    (text + &out.text, is_withheld | out.withheld.is_some())
}

fn whole(body: &[u8]) -> (String, bool) {
    let mut stream = redactor().stream(Shape::of_media_type(TYPE));
    let out = stream.push_base64(&STANDARD.encode(body), true);
    assert!(matches!(out.withheld, None | Some(Withheld::NotMultipart)));
    (out.text, out.withheld.is_some())
}

/// A body of one part with this head, and one behind it.
fn body(head: &str, content: &[u8]) -> Vec<u8> {
    let mut body = format!("---x7b\r\n{head}\r\n\r\n").into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(
        b"\r\n---x7b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nbeside\r\n---x7b--\r\n",
    );
    body
}

fn named(name: &str) -> String {
    format!("Content-Disposition: form-data; {name}")
}

#[test]
fn a_part_is_masked_because_of_its_name_however_that_is_written() {
    for name in [
        "name=\"password\"",
        "name=password",
        "NAME = \"password\" ; x=1",
        "filename=\"a;b.txt\"; name=\"client_secret\"",
        "name=\"a\\\"_password\"",
        "name=\"user[password]\"",
        "name=\"secret[value][0]\"",
        "name*=utf-8''pass%77ord",
        "name*0=\"pass\"; name*1=\"word\"",
        "name=\"x\"; name*=UTF-8''api%5Fkey",
        "name=\"pass%77ord\"",
        "\r\n\tname=\"password\"",
    ] {
        let (text, is_withheld) = whole(&body(&named(name), SECRET.as_bytes()));
        assert!(!text.contains(SECRET) && !is_withheld, "{name}: {text}");
        assert!(text.contains("\r\n\r\nbeside\r\n---x7b--\r\n"), "{text}");
    }
    let (text, _) = whole(&body(
        "content-type: text/plain\r\ncontent-DISPOSITION : form-data;name=pin",
        b"1234",
    ));
    assert!(text.contains("[code:"), "{text}");
}

#[test]
fn a_part_is_masked_by_what_it_is() {
    let json = br#"{"password":{"v":"gk3-Zq81xv"}, "n": 1}"#;
    let plain = named("name=\"a\"");
    for (head, content) in [
        (format!("{plain}\r\nContent-Type: application/json"), &json[..]),
        (plain.clone(), json),
        (format!("{plain}; filename=x"), b"to me: password=gk3-Zq81xv"),
        (
            format!("{plain}\r\nContent-Type: application/x-www-form-urlencoded"),
            b"n=1&secret[v]=gk3-Zq81xv",
        ),
        ("X-None: 1".to_owned(), b"password=gk3-Zq81xv"),
        (named("name=\"secret\""), br#"{"a b": "c d", "v": ["gk3-Zq81xv"]}"#),
    ] {
        let (text, is_withheld) = whole(&body(&head, content));
        assert!(!text.contains(SECRET) && !is_withheld, "{head}: {text}");
        assert!(text.contains("beside"), "{head}: {text}");
    }
}

#[test]
fn a_clean_form_passes_byte_for_byte() {
    for text in [
        "---x7b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"état.txt\"\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\nlorem\r\nipsum —-x7\r\n\r\n---x7b\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n---x7b--\r\n",
        "\r\n---x7b \t\nContent-Disposition: form-data; name=n\n\n---x7b\r\n\r\nno head\r\n---x7b--",
        "---x7b--",
        "",
    ] {
        assert_eq!(whole(text.as_bytes()), (text.to_owned(), false));
    }
}

#[test]
fn a_part_that_is_no_text_is_withheld_and_the_others_are_not() {
    let plain = named("name=\"file\"; filename=\"a.png\"");
    for (head, content) in [
        (
            format!("{plain}\r\nContent-Type: image/png"),
            &b"\x89PNG\r\n\x1a\n\0password=gk3-Zq81xv"[..],
        ),
        (plain.clone(), b"\0gk3-Zq81xv"),
        (plain.clone(), b"\xff\xfeg\0k\x003 gk3-Zq81xv"),
        (plain.clone(), b"half a character \xe2\x82"),
        (format!("{plain}\r\nContent-Transfer-Encoding: base64"), b"Z2szLVpxODF4dg=="),
        (format!("{plain}\r\nContent-Encoding: gzip"), b"gk3-Zq81xv"),
        (format!("{plain}\r\nContent-Type: text/plain; charset=utf-16"), b"gk3-Zq81xv"),
        (
            format!("{plain}\r\nContent-Type: multipart/mixed; boundary=y"),
            b"--y\r\n\r\ngk3-Zq81xv\r\n--y--",
        ),
        (named("name=\"password\""), b"gk3-Zq81xv\xff"),
    ] {
        let (text, is_withheld) = whole(&body(&head, content));
        assert!(!text.contains(SECRET) && !is_withheld, "{head}: {text}");
        assert!(!text.contains("Z2szLVpxODF4dg"), "{text}");
        assert_eq!(text.matches(NO_TEXT).count(), 1, "{head}: {text}");
        assert!(text.contains("beside"), "{head}: {text}");
    }
}

#[test]
fn what_does_not_read_as_parts_comes_out_in_no_way() {
    let part = format!("Content-Disposition: form-data; name=\"password\"\r\n\r\n{SECRET}\r\n");
    for text in [
        format!("gk3-Zq81xv\r\n---x7b\r\n{part}---x7b--"),
        format!("---other\r\n{part}---other--"),
        format!("---x7bc\r\n{part}---x7b--"),
        format!("---x7b\r\n{part}"),
        format!("---x7b\r\n{part}---x7"),
        format!("---x7b\r\n{part}---x7b-"),
        format!("---x7b\r\n{part}---x7b--{SECRET}"),
        format!("---x7b\r\n\r\nx---x7b\r\n{part}---x7b--"),
        format!("---x7b\r\n\r\nx\r---x7b\r\n{part}---x7b--"),
        format!("---x7b\r\n\r\nx\r\n---x7b{}\r\n{part}---x7b--", " ".repeat(65)),
        format!("---x7b\r\nno field {SECRET}\r\n{part}---x7b--"),
        format!("---x7b\r\nX: 1\rY: {SECRET}\r\n{part}---x7b--"),
        format!("---x7b\r\nX: 1\r\n---x7b\r\n{part}---x7b--"),
        format!(
            "---x7b\r\nContent-Disposition: form-data; name=\"password\r\n\r\n{SECRET}\r\n---x7b--"
        ),
        format!("---x7b\r\nX: {}\r\n{part}---x7b--", "a".repeat(9000)),
        format!("---x7b\r\n{part}---x7b--").replace(": form", "\u{0}: form"),
        format!("password={SECRET}"),
    ] {
        let (masked, is_withheld) = whole(text.as_bytes());
        assert!(is_withheld && !masked.contains(SECRET), "{text} → {masked}");
        assert_eq!(masked.matches(BROKEN).count(), 1, "{text} → {masked}");
        let every_byte: Vec<usize> = (0..text.len()).collect();
        assert_eq!(in_pieces(TYPE, text.as_bytes(), &every_byte), (masked, true), "{text}");
    }
}

#[test]
fn without_a_boundary_nothing_can_be_read() {
    let body = body(&named("name=a"), SECRET.as_bytes());
    for media_type in [
        "multipart/form-data",
        "multipart/form-data;base64",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=-x7b; boundary=other",
        "multipart/form-data; boundary=\"-x7b",
        &format!("multipart/form-data; boundary={}", "b".repeat(71)),
    ] {
        assert_eq!(in_pieces(media_type, &body, &[9]), (BROKEN.to_owned(), true), "{media_type}");
    }
    for media_type in [
        "Multipart/Form-Data; charset=utf-8; Boundary=-x7b",
        "multipart/form-data;boundary=-x7b;base64",
        "multipart/mixed; boundary=\"-x7b\"; a=b",
    ] {
        assert!(!in_pieces(media_type, &body, &[9]).1, "{media_type}");
    }
}

#[test]
fn what_is_no_base64_breaks_the_rest_off() {
    let mut stream = redactor().stream(Shape::of_media_type(TYPE));
    assert_eq!(stream.push("---x7b\r\nX: 1\r\n\r\n").withheld, None);
    assert_eq!(stream.push_base64("?", false).withheld, Some(Withheld::NotMultipart));
    let out = stream.push_last(&format!("{SECRET}\r\n---x7b--"));
    assert_eq!((out.text.as_str(), out.withheld), ("", Some(Withheld::NotMultipart)));
    let mut text = redactor().stream(Shape::Text);
    assert_eq!(text.push_base64("AA==", true).withheld, Some(Withheld::NotText));
}

#[test]
fn the_boundary_and_the_names_are_masked_too() {
    let body = "--ada@example.com\r\nContent-Disposition: form-data; name=\"bob@example.com\"\r\n\r\nx\r\n--ada@example.com--";
    let (text, is_withheld) =
        in_pieces("multipart/form-data; boundary=ada@example.com", body.as_bytes(), &[]);
    assert!(!text.contains("example.com") && !is_withheld, "{text}");
}

#[test]
fn a_part_held_by_its_name_comes_out_masked_when_nothing_more_comes() {
    let mut stream = redactor().stream(Shape::of_media_type(TYPE));
    let body = String::from_utf8(body(&named("name=password"), SECRET.as_bytes())).unwrap();
    let at = body.find(SECRET).unwrap() + 4;
    // What may be the beginning of a delimiter stays.
    let mut text = stream.push(&body[..at]).text + &stream.push(&"z".repeat(20)).text;
    assert!(stream.has_tail());
    text.push_str(&stream.flush_after_timeout().text);
    assert!(!stream.has_tail() && text.contains("[password:"), "{text}");
    let out = stream.push_last(&body[at..]);
    text.push_str(&out.text);
    assert!(out.withheld.is_none() && !text.contains("gk3") && !text.contains("81xv"), "{text}");
    assert!(text.ends_with("beside\r\n---x7b--\r\n"), "{text}");
}

/// The beginning of a delimiter, held back, is no end of a value that would make it a text.
#[test]
fn a_named_value_stays_masked_wherever_the_body_breaks_off() {
    for kind in 0..=1 {
        let (head, content) = part(kind, 0);
        let body = body(&head, &content);
        for end in 0..=body.len() {
            let (text, is_withheld) = whole(&body[..end]);
            assert!(!text.contains(SECRET), "{text}");
            assert!(is_withheld || end == 0 || end + 2 >= body.len(), "{text}");
        }
    }
}

#[test]
fn what_is_held_of_parts_is_bounded_whatever_comes() {
    let run = "a1B2".repeat(4096);
    for begin in [
        "",
        "---x7b",
        "---x7b\r\n",
        "---x7b\r\nX: ",
        "---x7b\r\n\r\n",
        "---x7b\r\nContent-Type: application/json\r\n\r\n{\"a\":\"",
        "---x7b\r\nContent-Disposition: form-data; name=password\r\n\r\n",
        "---x7b\r\nContent-Encoding: gzip\r\n\r\n",
        "---x7b--",
    ] {
        let mut stream = redactor().stream(Shape::of_media_type(TYPE));
        let mut out = stream.push(begin).text.len();
        for _ in 0..20 {
            out += stream.push(&run).text.len();
            assert!(stream.held_bytes() <= 130 * 1024, "{begin}: {}", stream.held_bytes());
        }
        out += stream.finish().text.len();
        assert!(out > 8, "{begin}");
    }
}

/// Parts, each with whether it holds the secret, and the pieces' ends.
fn parts() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..10_usize, 0..5000_usize), 1..5)
}

fn part(kind: usize, length: usize) -> (String, Vec<u8>) {
    let filler = "lorem é ---x7 \r\n--- ipsum ".repeat(length / 26);
    let json = || serde_json::json!({"a": filler, "password": {"v": [SECRET]}}).to_string();
    let (head, content) = match kind {
        0 => (named("name=\"password\""), SECRET.to_owned()),
        1 => (named("name*=utf-8''client%5Fsecret"), SECRET.to_owned()),
        2 => (named("name=a") + "\r\nContent-Type: application/json", json()),
        3 => (named("name=a"), json()),
        4 => (named("name=a; filename=b"), format!("{filler} password={SECRET} {filler}")),
        5 => (named("name=token; filename=b"), format!("{SECRET}{}", "x".repeat(length * 20))),
        6 => (
            named("name=a") + "\r\nContent-Type: application/x-www-form-urlencoded",
            format!("a={length}&password={SECRET}"),
        ),
        7 => (named("name=a"), filler),
        8 => (named("name=a"), String::new()),
        _ => {
            let mut content = filler.into_bytes();
            content.extend_from_slice(b"\xff\0");
            content.extend_from_slice(SECRET.as_bytes());
            return (named("name=a"), content);
        }
    };
    (head, content.into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parts_in_any_pieces_are_masked_as_in_one(
        parts in parts(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        broken in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut body = Vec::new();
        for (kind, length) in parts {
            let (head, content) = part(kind, length);
            body.extend_from_slice(format!("---x7b\r\n{head}\r\n\r\n").as_bytes());
            body.extend_from_slice(&content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"---x7b--\r\n");
        if let Some(place) = broken {
            body.truncate(place.index(body.len()));
        }
        let places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        let (text, is_withheld) = whole(&body);
        prop_assert_eq!(in_pieces(TYPE, &body, &places), (text.clone(), is_withheld));
        prop_assert!(!text.contains(SECRET), "{}", text);
        prop_assert!(broken.is_some() || !is_withheld, "{}", text);
    }

    #[test]
    fn any_bytes_at_all_come_through_without_panic_and_alike(
        tokens in prop::collection::vec(prop::sample::select(vec![
            &b"---x7b"[..], b"\r\n", b"\n", b"\r", b"--", b"-", b" ", b"Content-Disposition: form-data; name=",
            b"password", b"\"", b"a", b": ", b"\xe2\x82", b"\xac", b"\0", b"{\"secret\":[\"", b"gk3-1a2b3c", b"\\",
        ]), 0..60),
        opened: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut body = if opened { b"---x7b\r\n\r\n".to_vec() } else { Vec::new() };
        body.extend(tokens.concat());
        let places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        prop_assert_eq!(in_pieces(TYPE, &body, &places), whole(&body));
    }
}
