use proptest::prelude::*;

use super::*;
use crate::rules::tests::{anchors, examples};

/// The hits in a text, each rule tried wherever an anchor of it stands, and each reading read.
fn slow(rules: &Rules, text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    plain_in::<false>(rules, &mut Block::new(&rules.anchors, text), (text, 0), &mut hits);
    layer::scan(rules, text, &mut hits);
    hits
}

/// Pieces of what rules match, whole and cut, in capitals and encoded, and what stands between them.
fn texts() -> impl Strategy<Value = String> {
    let mut pieces = anchors();
    pieces.extend(anchors().iter().map(|word| word.to_ascii_uppercase()));
    for text in examples() {
        pieces.push(text[..text.floor_char_boundary(text.len() * 2 / 3)].to_owned());
        pieces.push(text.bytes().map(|byte| format!("%{byte:02x}")).collect());
        pieces.push(text.bytes().map(|byte| format!("{byte:02x}")).collect());
        pieces.push(text.replace('-', "\\u002d").replace('@', "&#64;"));
        pieces.push(text);
    }
    let more =
        ["aB3dE5gH7j", "0123456789", "deadbeef", "a", "-", ".", "_", "=", "don't", "é", "\u{200b}"];
    pieces.extend(more.map(str::to_owned));
    let between = ["", "", " ", "\n", "\"", ": ", "=", ",", "\\", "/", "-", "\t", "'", "? a+"];
    let part = (prop::sample::select(pieces), prop::sample::select(between.to_vec()));
    prop::collection::vec(part, 0..12)
        .prop_map(|parts| parts.into_iter().map(|(piece, between)| piece + between).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn what_is_found_is_what_each_rule_and_each_reading_finds(text in texts()) {
        let rules = Rules::builtin();
        prop_assert_eq!(resolve(&scan(&rules, &text)), resolve(&slow(&rules, &text)), "{}", text);
    }

    #[test]
    fn what_is_quiet_holds_nothing(text in texts(), before in texts()) {
        let rules = Rules::builtin();
        let holds = !resolve(&slow(&rules, &text)).is_empty()
            || !rules.alone.find(&rules.rules, &text).is_empty();
        let all = before.clone() + &text;
        let mut block = Block::new(&rules.anchors, &all);
        prop_assert!(!(holds && is_quiet(&rules, &mut block, &text, before.len())), "{}", text);
    }

    #[test]
    fn a_part_of_a_block_is_scanned_as_a_text_of_its_own(parts in prop::collection::vec(texts(), 1..4)) {
        let rules = Rules::builtin();
        let all = parts.concat();
        let mut block = Block::new(&rules.anchors, &all);
        let mut from = 0;
        for text in parts {
            let hits = scan_part(&rules, &mut block, &text, from);
            prop_assert_eq!(resolve(&hits), resolve(&slow(&rules, &text)), "{}", text);
            from += text.len();
        }
    }

    /// As it stands between the quotes of JSON, with escapes or without.
    #[test]
    fn what_json_passes_holds_nothing(text in texts()) {
        let rules = Rules::builtin();
        let redactor = crate::Redactor::new(rules, crate::TokenKey::new(&[7; 32]));
        let document = format!("{{\"text\":{}}}", serde_json::to_string(&text).unwrap());
        let masked: serde_json::Value = serde_json::from_str(&redactor.json(&document).text).unwrap();
        // What is JSON itself is masked as that.
        if !text.trim_start().starts_with(['{', '[', '"']) {
            prop_assert_eq!(masked["text"].as_str().unwrap(), redactor.text(&text).text);
        }
    }
}
