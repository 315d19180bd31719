use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::rules::tests::{examples, fill};
use crate::{Redactor, Rules, Shape, TokenKey};

fn redactor() -> Redactor {
    Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]))
}

type Format = (&'static str, fn(&str) -> Json);

/// How a word comes.
const FORMATS: &[Format] = &[
    ("chat", |word| json!({"id": "c-1", "choices": [{"index": 0, "delta": {"content": word}}]})),
    ("call", |word| {
        let call = json!({"index": 0, "function": {"arguments": word}});
        json!({"id": "c-1", "choices": [{"delta": {"tool_calls": [call]}, "index": 0}]})
    }),
    (
        "response",
        |word| json!({"type": "response.output_text.delta", "item_id": "m-1", "delta": word}),
    ),
    ("block", |word| {
        let delta = json!({"type": "text_delta", "text": word});
        json!({"type": "content_block_delta", "index": 1, "delta": delta})
    }),
    ("input", |word| {
        let delta = json!({"type": "input_json_delta", "partial_json": word});
        json!({"type": "content_block_delta", "index": 1, "delta": delta})
    }),
    (
        "message",
        |word| json!([{"content": word, "type": "AIMessageChunk", "id": "run-1"}, {"step": 1}]),
    ),
    ("message_blocks", |word| {
        let block = json!({"type": "text", "text": word, "index": 0});
        json!([{"content": [block], "type": "AIMessageChunk", "id": "run-1"}, {"step": 1}])
    }),
    ("message_call", |word| {
        let chunk = json!({"name": null, "args": word, "id": null, "index": 0});
        json!([{"content": "", "type": "AIMessageChunk", "id": "run-1", "tool_call_chunks": [chunk]}])
    }),
];

fn event(number: usize, data: &Json) -> String {
    format!("event: message\ndata: {data}\nid: {number}\n\n")
}

fn events(format: Format, words: &[&str]) -> String {
    let words = words.iter().map(|word| format.1(word)).enumerate();
    words.map(|(number, data)| event(number, &data)).collect()
}

/// Cuts a text into words of a length.
fn words(text: &str, length: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, behind) = rest.split_at(rest.ceil_char_boundary(length.min(rest.len())));
        words.push(word);
        rest = behind;
    }
    words
}

/// What the words of a masked stream say together.
fn said(stream: &str) -> String {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut said = String::new();
    for data in data {
        words_of(&serde_json::from_str(data).unwrap(), &mut said);
    }
    said
}

fn words_of(data: &Json, said: &mut String) {
    match data {
        Json::Object(fields) => {
            for (name, value) in fields {
                let is_word = ["content", "arguments", "delta", "text", "partial_json", "args"]
                    .contains(&name.as_str());
                match value {
                    Json::String(word) if is_word => said.push_str(word),
                    other => words_of(other, said),
                }
            }
        }
        Json::Array(elements) => elements.iter().for_each(|element| words_of(element, said)),
        _ => {}
    }
}

fn masked(stream: &str) -> String {
    redactor().body(Shape::Sse, stream).text.into_owned()
}

/// Masks in pieces, keeping and resuming the state between them.
fn in_pieces(stream: &str, length: usize) -> String {
    let redactor = redactor();
    let mut machine = redactor.stream(Shape::Sse);
    let mut out = String::new();
    for piece in words(stream, length) {
        out.push_str(&machine.push(piece).text);
        machine = redactor.resume(&machine.to_bytes()).unwrap();
    }
    out + &machine.finish().text
}

#[test]
fn every_example_is_found_though_it_comes_word_by_word() {
    let redactor = redactor();
    let mut missed = Vec::new();
    for example in examples() {
        let text = format!("so it is {example} and that was it");
        if redactor.text(&text).findings.is_empty() {
            continue;
        }
        for format in FORMATS {
            for length in [1, 3, 7] {
                let stream = events(*format, &words(&text, length));
                let out = redactor.body(Shape::Sse, &stream);
                // The very tokens that stand where it comes at once.
                if said(&out.text) != redactor.text(&text).text {
                    missed.push(format!("{} {length}: {text} → {}", format.0, said(&out.text)));
                }
                assert_eq!(out.text.matches("\nid: ").count(), stream.matches("\nid: ").count());
            }
        }
    }
    assert!(missed.is_empty(), "{} missed\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn what_was_found_is_told_with_where_it_stands() {
    let secret = fill("sk-ant-api03-{w93}AA");
    let text = format!("a key {secret} and ada@example.com there");
    let stream = events(FORMATS[0], &words(&text, 5));
    let out = redactor().body(Shape::Sse, &stream);
    let rules: Vec<&str> = out.findings.iter().map(|finding| &*finding.rule).collect();
    assert_eq!(rules, ["anthropic_api_key", "email"]);
    for finding in &out.findings {
        assert!(out.text[finding.start..].starts_with(&format!("[{}:", finding.rule)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_secret_in_words_is_masked_whatever_the_cuts(
        format in prop::sample::select(FORMATS),
        template in prop::sample::select(vec![
            "sk-ant-api03-{w93}AA", "ghp_{a36}", "glpat-{w20}", "password={a14}", "AKIA{U16}",
        ]),
        filler in prop::collection::vec("[a-z]{1,9}", 0..60),
        lengths in prop::collection::vec(1usize..12, 1..6),
        piece in 1usize..3000,
        others: bool,
    ) {
        let secret = fill(template);
        let text = format!("{} {secret} {}", filler.join(" "), filler.join(" "));
        let mut stream = String::new();
        let mut rest = text.as_str();
        for (number, length) in lengths.iter().cycle().enumerate() {
            let (word, behind) = rest.split_at(rest.len().min(*length));
            stream.push_str(&event(number, &format.1(word)));
            if others {
                stream.push_str(": beat\n\n");
                stream.push_str(&event(number, &json!({"choices": [{"index": 7, "delta": {"content": "x y "}}]})));
            }
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let whole = masked(&stream);
        let secret = secret.trim_start_matches("password=");
        prop_assert!(!said(&whole).contains(secret), "{}", said(&whole));
        prop_assert_eq!(whole.matches("\n\n").count(), stream.matches("\n\n").count());
        prop_assert_eq!(in_pieces(&stream, piece), whole);
    }

    #[test]
    fn a_flush_between_words_lets_no_secret_out(
        format in prop::sample::select(FORMATS),
        length in 1usize..9,
        at in any::<prop::sample::Index>(),
    ) {
        let secret = fill("ghp_{a36}");
        let stream = events(format, &words(&format!("so it is {secret} and more"), length));
        let at = stream.floor_char_boundary(at.index(stream.len()));
        let redactor = redactor();
        let mut machine = redactor.stream(Shape::Sse);
        let mut out = machine.push(&stream[..at]).text;
        out.push_str(&machine.flush_after_timeout().text);
        prop_assert!(!machine.has_tail());
        let mut machine = redactor.resume(&machine.to_bytes()).unwrap();
        out.push_str(&machine.push(&stream[at..]).text);
        out.push_str(&machine.finish().text);
        // No twelve characters of it, which three words are.
        let plain: String = out.lines().filter_map(|line| line.strip_prefix("data: "))
            .filter_map(|data| serde_json::from_str::<Json>(data).ok())
            .map(|data| { let mut said = String::new(); words_of(&data, &mut said); said })
            .collect();
        for part in secret.as_bytes().windows(16) {
            prop_assert!(memchr::memmem::find(plain.as_bytes(), part).is_none(), "{}", plain);
        }
    }

    #[test]
    fn clean_words_pass_byte_for_byte(
        format in prop::sample::select(FORMATS),
        text in "[a-zA-Z ,.\"\\\\\n]{0,600}",
        length in 1usize..9,
    ) {
        let stream = events(format, &words(&text, length));
        let redacted = redactor().body(Shape::Sse, &stream);
        if redactor().text(&text).findings.is_empty() && redacted.findings.is_empty() {
            prop_assert_eq!(redacted.text, stream.clone());
            prop_assert_eq!(in_pieces(&stream, 500), stream);
        }
    }
}

#[test]
fn values_of_several_choices_and_calls_are_told_apart() {
    let secret = fill("ghp_{a36}");
    let choice = |index: usize, word: &str| {
        event(index, &json!({"choices": [{"index": index, "delta": {"content": word}}]}))
    };
    let stream: String =
        words(&secret, 4).iter().flat_map(|word| [choice(0, word), choice(1, "lorem ")]).collect();
    let out = masked(&stream);
    assert_eq!(out.matches("[github_token:").count(), 1, "{out}");
    assert_eq!(out.matches("lorem ").count(), words(&secret, 4).len(), "{out}");
}

#[test]
fn what_is_held_of_events_is_bounded_and_comes_out_masked() {
    let key = ("-----BEGIN PRIVATE KEY-----\n", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n");
    for ((begin, go_on), end) in [
        (key, "-----END PRIVATE KEY-----\n and then"),
        (("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", "eyJzdWIiOiIxMjM0NTY3ODkwIn0a"), " and then"),
        (("see ", "aB3dE5gH7jK9mN1pQ2rS4tU6vW8x"), " and then"),
    ] {
        let redactor = redactor();
        let mut machine = redactor.stream(Shape::Sse);
        let mut out = machine.push(&events(FORMATS[5], &[begin])).text;
        for number in 0..2000 {
            out.push_str(&machine.push(&event(number, &FORMATS[5].1(go_on))).text);
            assert!(machine.held_bytes() <= 130 * 1024, "{}", machine.held_bytes());
        }
        out.push_str(&machine.push(&events(FORMATS[5], &[end])).text);
        out.push_str(&machine.finish().text);
        let said = said(&out);
        assert!(!said.contains(go_on.trim()), "{begin}: {}", &said[..said.len().min(300)]);
        assert!(said.ends_with(" and then"), "{}", &said[said.len().saturating_sub(99)..]);
        assert_eq!(out.matches("\nid: ").count(), 2002);
    }
}
