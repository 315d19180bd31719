use super::*;
use crate::{Redactor, TokenKey};

fn redactor() -> Redactor {
    Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]))
}

/// Fills `{a24}` and the like, so that no file of this project holds anything like a real secret.
pub(crate) fn fill(template: &str) -> String {
    fill_from(0x9e37_79b9_7f4a_7c15, template)
}

/// What every rule has to find.
pub(crate) fn examples() -> Vec<String> {
    let written: Written = toml::from_str(BUILTIN_TEXT).unwrap();
    written.rule.iter().flat_map(|rule| &rule.yes).map(|template| fill(template)).collect()
}

/// As [`fill`], with letters from a seed, which is not zero.
pub(crate) fn fill_from(seed: u64, template: &str) -> String {
    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const DIGITS: &str = "0123456789";
    let mut state = seed;
    let mut out = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let close = rest[open..].find('}').map(|close| open + close);
        let inner = close.map_or("", |close| &rest[open + 1..close]);
        let alphabet = match inner.chars().next() {
            Some('a') => format!("{LOWER}{UPPER}{DIGITS}"),
            Some('w') => format!("{LOWER}{UPPER}{DIGITS}_-"),
            Some('l') => LOWER.to_owned(),
            Some('U') => format!("{UPPER}{DIGITS}"),
            Some('h') => "0123456789abcdef".to_owned(),
            Some('d') => DIGITS.to_owned(),
            _ => String::new(),
        };
        match inner.get(1..).and_then(|count| count.parse::<usize>().ok()) {
            Some(count) if !alphabet.is_empty() => {
                for place in 0..count {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    // Ends and begins with a letter or digit, and has a digit.
                    let letters = alphabet.as_bytes();
                    let choice = match place {
                        0 | 1 => state as usize % letters.len().min(26),
                        2 => letters.iter().position(u8::is_ascii_digit).unwrap_or(0),
                        _ if place + 1 == count => state as usize % letters.len().min(26),
                        _ => state as usize % letters.len(),
                    };
                    out.push(letters[choice] as char);
                }
                rest = &rest[close.unwrap_or(open) + 1..];
            }
            _ => {
                out.push('{');
                rest = &rest[open + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[test]
fn every_rule_finds_its_examples_and_leaves_its_counterexamples() {
    let written: Written = toml::from_str(BUILTIN_TEXT).unwrap();
    let redactor = redactor();
    let mut wrong = Vec::new();
    for rule in written.rule {
        assert!(!rule.yes.is_empty(), "{} has no example", rule.id);
        let names: &[&str] = if rule.id == "assignment" {
            &["password", "secret", "code"]
        } else {
            &[rule.id.as_str()]
        };
        for template in &rule.yes {
            let text = fill(template);
            let masked = redactor.text(&text);
            if !masked.findings.iter().any(|finding| names.contains(&&*finding.rule)) {
                wrong.push(format!("{}: not found in {text}: {}", rule.id, masked.text));
            }
        }
        for template in &rule.no {
            let text = fill(template);
            let masked = redactor.text(&text);
            if !masked.findings.is_empty() {
                wrong.push(format!("{}: found in {text}: {}", rule.id, masked.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wrong_rules_are_named_and_not_repeated() {
    let head = "version = '1'\nkey_names.password = {}\nkey_names.code = {}\nkey_names.secret = {}\nkey_names.weak = {}\nkey_names.not = {}\n";
    let parse = |rules: &str| Rules::parse(&format!("{head}{rules}")).map(|_| ());
    let rule = |id: &str, pattern: &str| format!("[[rule]]\nid = '{id}'\npattern = '{pattern}'\n");
    assert_eq!(parse(&rule("a", "x+")), Ok(()));
    assert_eq!(parse(&rule("a", "x(")), Err(RulesError::Pattern { rule: "a".to_owned() }));
    assert_eq!(parse(&rule("A b", "x")), Err(RulesError::Name { index: 0 }));
    let twice = rule("a", "x") + &rule("a", "y");
    assert_eq!(parse(&twice), Err(RulesError::Name { index: 1 }));
    assert_eq!(parse("nonsense"), Err(RulesError::Form { line: 7 }));
}

#[test]
fn the_built_in_rules_compile_and_say_their_version() {
    assert!(Rules::parse(BUILTIN_TEXT).is_ok());
    assert!(!Rules::builtin().version().is_empty());
}
