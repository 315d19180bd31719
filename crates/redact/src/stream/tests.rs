use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::rules::tests::fill;
use crate::{Rules, TokenKey};

fn redactor() -> Redactor {
    Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]))
}

/// Masks a body in the given pieces, keeping and resuming the state between them.
fn in_pieces(shape: Shape, pieces: &[&str]) -> String {
    let redactor = redactor();
    let mut stream = redactor.stream(shape.clone());
    let mut text = String::new();
    for piece in pieces {
        text.push_str(&stream.push(piece).text);
        stream = redactor.resume(&stream.to_bytes()).unwrap();
    }
    text.push_str(&stream.finish().text);
    text
}

fn cut<'a>(text: &'a str, cuts: &[prop::sample::Index]) -> Vec<&'a str> {
    let mut places: Vec<usize> =
        cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

fn secrets() -> Vec<String> {
    [
        "sk-ant-api03-{w93}AA",
        "ghp_{a36}",
        "AKIA{U16}",
        "xoxb-{d12}-{d12}-{a24}",
        "hf_{a34}",
        "lsv2_pt_{h32}_{h10}",
        "glpat-{w20}",
        "sk_live_{a24}",
    ]
    .iter()
    .map(|template| fill(template))
    .chain(["ada.lovelace@example.com".to_owned(), "4111 1111 1111 1111".to_owned()])
    .collect()
}

/// Text of any length with secrets in it, each alone or behind a name.
fn planted() -> impl Strategy<Value = (Vec<String>, Vec<(usize, String)>)> {
    let words = prop::sample::select(vec!["lorem", "ipsum", "dolor", "42", "é—", "a.b", "x=1"]);
    let filler = prop::collection::vec(words, 0..900).prop_map(|words| words.join(" "));
    prop::collection::vec((filler, prop::sample::select(secrets())), 1..5).prop_map(|parts| {
        let secrets = parts.iter().map(|(_, secret)| secret.clone()).collect();
        let parts =
            parts.into_iter().map(|(filler, secret)| (filler.len(), format!("{filler} {secret} ")));
        (secrets, parts.collect())
    })
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..8)
}

fn assert_same(shape: Shape, text: &str, cuts: &[prop::sample::Index], secrets: &[String]) {
    let whole = redactor().body(shape.clone(), text).text.into_owned();
    let pieces = in_pieces(shape.clone(), &cut(text, cuts));
    assert_eq!(pieces, whole);
    for secret in secrets {
        assert!(!whole.contains(secret.as_str()), "{secret} survived");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn text_in_any_pieces_is_masked_as_in_one((secrets, parts) in planted(), cuts in cuts()) {
        let text: String = parts.into_iter().map(|(_, part)| part).collect();
        assert_same(Shape::Text, &text, &cuts, &secrets);
    }

    #[test]
    fn json_in_any_pieces_is_masked_as_in_one((secrets, parts) in planted(), cuts in cuts()) {
        let parts: Vec<_> = parts.into_iter().map(|(length, part)| {
            serde_json::json!({"n": length, "content": part, "args": format!("{{\"k\":\"{part}\"}}")})
        }).collect();
        let text = serde_json::to_string_pretty(&parts).unwrap();
        assert_same(Shape::Json, &text, &cuts, &secrets);
    }

    #[test]
    fn events_in_any_pieces_are_masked_as_in_one((secrets, parts) in planted(), cuts in cuts(), crlf: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let text: String = parts.iter().enumerate().map(|(number, (length, part))| {
            let data = match number % 3 {
                0 => serde_json::json!({"n": length, "content": part}).to_string(),
                1 => part.clone(),
                _ => format!("{{{end}data: \"c\": \"{part}\"{end}data: }}"),
            };
            format!("event: values{end}data: {data}{end}id: {number}{end}{end}: beat{end}{end}")
        }).collect();
        assert_same(Shape::Sse, &text, &cuts, &secrets);
    }

    #[test]
    fn forms_in_any_pieces_are_masked_as_in_one((secrets, parts) in planted(), cuts in cuts()) {
        let text: String = parts.iter().map(|(length, part)| {
            let encoded: String = part.bytes().map(|byte| match byte {
                b' ' => "+".to_owned(),
                _ if byte.is_ascii_alphanumeric() => (byte as char).to_string(),
                _ => format!("%{byte:02x}"),
            }).collect();
            format!("n{length}={encoded}&password=hunter2%21&")
        }).collect();
        let mut secrets = secrets;
        secrets.push("hunter2".to_owned());
        assert_same(Shape::Form, &text, &cuts, &secrets);
    }

    #[test]
    fn what_stands_below_a_secret_name_is_masked_in_any_pieces(
        steps in prop::collection::vec(0..4_u8, 0..6),
        name in prop::sample::select(vec!["password", "client_secret", "Api-Key", "user.token"]),
        number: bool,
        cuts in cuts(),
    ) {
        let secret = if number { "918273645" } else { "gk3-Zq81xv" };
        let scalar = if number { serde_json::json!(918_273_645) } else { secret.into() };
        let below = steps.iter().fold(scalar, |inner, step| match step {
            0 => serde_json::json!({"v": inner, "n": "x"}),
            1 => serde_json::json!([inner]),
            2 => serde_json::json!({"a b": [1, {"value": inner}]}),
            _ if inner.is_string() => inner,
            _ => serde_json::json!(format!(" {inner}")),
        });
        let beside = "plain-Zq81xv";
        let json = serde_json::json!({"a": {name: below}, "b": [beside]}).to_string();
        let escaped = serde_json::json!({"a": {"b": json}}).to_string();
        let path: String = steps.iter().map(|step| format!("[v{step}]")).collect();
        let form = format!("n={beside}&{name}{path}={secret}&x=1");
        let form_escaped = form.replace('[', "%5B").replace(']', "%5d");
        for (shape, text) in [
            (Shape::Json, json.clone()),
            (Shape::Json, escaped.clone()),
            (Shape::Sse, format!("event: values\ndata: {json}\n\ndata: {escaped}\n\n")),
            (Shape::Form, form),
            (Shape::Form, form_escaped),
            (Shape::Form, format!("n={beside}&args={}", json.replace(' ', "+"))),
        ] {
            let whole = redactor().body(shape.clone(), &text).text.into_owned();
            prop_assert_eq!(in_pieces(shape.clone(), &cut(&text, &cuts)), whole.clone());
            prop_assert!(!whole.contains(secret) && whole.contains(beside), "{} → {}", text, whole);
        }
    }

    #[test]
    fn any_text_at_all_comes_through_any_shape_without_panic(
        text in "[ -~é\n\"\\\\{}:,\\[\\]=&%+@-]{0,400}",
        cuts in cuts(),
        shape in prop::sample::select(vec![
            Shape::Unknown, Shape::Text, Shape::Json, Shape::Sse, Shape::Form, Shape::Bytes,
        ]),
    ) {
        let whole = redactor().body(shape.clone(), &text).text.into_owned();
        let pieces = in_pieces(shape.clone(), &cut(&text, &cuts));
        if shape != Shape::Bytes && shape != Shape::Unknown {
            prop_assert_eq!(pieces, whole);
        }
    }

    #[test]
    fn a_flush_at_any_place_lets_no_secret_out(
        secret in prop::sample::select(secrets()),
        shape in prop::sample::select(vec![Shape::Text, Shape::Json, Shape::Sse, Shape::Form]),
        at in any::<prop::sample::Index>(),
    ) {
        let secret = secret.replace(' ', "");
        let text = match shape {
            Shape::Json => format!("{{\"a\": 1, \"content\": \"so: {secret} it is\"}}"),
            Shape::Sse => format!("event: x\ndata: {{\"content\": \"so: {secret} it is\"}}\n\n"),
            Shape::Form => format!("a=1&content={secret}&b=2"),
            _ => format!("some words before {secret} and after"),
        };
        let at = at.index(text.len());
        let redactor = redactor();
        let mut stream = redactor.stream(shape.clone());
        let mut out = stream.push(&text[..at]).text;
        out.push_str(&stream.flush_after_timeout().text);
        prop_assert!(!stream.has_tail());
        let mut stream = redactor.resume(&stream.to_bytes()).unwrap();
        out.push_str(&stream.push(&text[at..]).text);
        out.push_str(&stream.finish().text);
        let begun = text.find(&secret).unwrap();
        // Neither all of it nor the part behind the flush.
        prop_assert!(!out.contains(&secret), "{}", out);
        if at > begun + 4 && at + 4 < begun + secret.len() {
            prop_assert!(!out.contains(&text[at..begun + secret.len()]), "{}", out);
        }
    }
}

#[test]
fn a_key_block_over_many_pieces_is_masked_whole() {
    let body: String = (0..40).map(|_| fill("{a64}") + "\n").collect();
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----");
    let text = format!("before\n{pem}\nafter, and more");
    let pieces: Vec<&str> =
        text.as_bytes().chunks(100).map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
    let masked = in_pieces(Shape::Text, &pieces);
    assert!(masked.starts_with("before\n[private_key:"), "{masked}");
    assert!(masked.ends_with("]\nafter, and more"), "{masked}");
    assert_eq!(masked, redactor().text(&text).text);
    let json = serde_json::json!({"k": text, "n": 1}).to_string();
    let pieces: Vec<&str> =
        json.as_bytes().chunks(77).map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
    let masked = in_pieces(Shape::Json, &pieces);
    assert!(masked.contains("before\\n[private_key:") && !masked.contains("BEGIN"), "{masked}");
}

#[test]
fn a_key_block_that_never_ends_is_masked_also_after_a_flush() {
    let body: String = (0..10).map(|_| fill("{a64}") + "\n").collect();
    let mut stream = redactor().stream(Shape::Text);
    let mut out = stream.push(&format!("x -----BEGIN PRIVATE KEY-----\n{body}")).text;
    out.push_str(&stream.flush_after_timeout().text);
    out.push_str(&stream.push(&body).text);
    out.push_str(&stream.push("-----END PRIVATE KEY-----\nafter").text);
    out.push_str(&stream.finish().text);
    assert!(out.starts_with("x [private_key:") && out.ends_with("]\nafter"), "{out}");
    assert_eq!(
        out.len(),
        "x [private_key:0000000000000000000000000000.00000000]\nafter".len(),
        "{out}"
    );
}

#[test]
fn what_is_held_is_bounded_whatever_comes() {
    let run = "a1B2".repeat(4096);
    for shape in [Shape::Text, Shape::Json, Shape::Sse, Shape::Form, Shape::Bytes, Shape::Unknown] {
        for begin in
            ["", "{\"a\":\"", "{\"password\":\"", "data: ", "data: {\"a\":\"", "event", "a=", "[1,"]
        {
            let mut stream = redactor().stream(shape.clone());
            let mut out = stream.push(begin).text.len();
            for _ in 0..20 {
                out += stream.push(&run).text.len();
                assert!(
                    stream.held_bytes() <= 130 * 1024,
                    "{shape:?} {begin}: {}",
                    stream.held_bytes()
                );
            }
            out += stream.finish().text.len();
            assert!(out > 8, "{shape:?} {begin}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_come_back_as_they_were_and_secrets_in_them_do_not() {
    let clean: Vec<u8> = (0..=255u8).cycle().take(5000).collect();
    let encoded = STANDARD.encode(&clean);
    assert_eq!(redactor().body(Shape::Bytes, &encoded).text, encoded);
    let secret = fill("ghp_{a36}");
    let mut dirty = clean.clone();
    dirty.extend_from_slice(format!("\0{secret}\0").as_bytes());
    let masked = redactor().body(Shape::Bytes, &STANDARD.encode(&dirty)).text.into_owned();
    let masked = STANDARD.decode(masked).unwrap();
    assert!(!masked.windows(secret.len()).any(|window| window == secret.as_bytes()));
}

#[test]
fn a_state_of_another_form_is_refused() {
    assert_eq!(redactor().resume(b"{}").map(|_| ()), Err(StreamError));
    let other = br#"{"form":2,"machine":{"Unknown":""}}"#;
    assert_eq!(redactor().resume(other).map(|_| ()), Err(StreamError));
}

/// What LangGraph sends, taken from a real server: ids, hashes, times, tool calls, state.
#[test]
fn clean_traffic_of_langgraph_passes_byte_for_byte() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/clean");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for shape in [Shape::Unknown, Shape::Text, Shape::Json, Shape::Sse] {
            let masked = redactor().body(shape.clone(), &text);
            let found = masked
                .findings
                .first()
                .map(|finding| (finding.rule.clone(), masked.text[..finding.start].to_owned()));
            assert_eq!(found, None, "{} as {shape:?}", path.display());
            let pieces: Vec<&str> = cut(&text, &[]);
            assert_eq!(in_pieces(shape.clone(), &pieces), text, "{} as {shape:?}", path.display());
        }
        files += 1;
    }
    assert!(files >= 10);
}
