use super::example::fires;
pub(crate) use super::example::{fill, fill_from};
use super::*;
use crate::{Redactor, TokenKey};

fn redactor() -> Redactor {
    Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]))
}

/// What every rule has to find.
pub(crate) fn examples() -> Vec<String> {
    written().iter().flat_map(|rule| &rule.examples).map(|template| fill(template)).collect()
}

/// What wakes them.
pub(crate) fn anchors() -> Vec<String> {
    written().into_iter().flat_map(|rule| rule.anchors).collect()
}

fn written() -> Vec<WrittenRule> {
    let parsed = builtin::sources().into_iter().map(|source| source.parse().unwrap().0);
    parsed.flatten().map(|(_, rule)| rule).collect()
}

#[test]
fn every_rule_finds_its_examples() {
    let rules = Rules::builtin();
    let redactor = redactor();
    let mut wrong = Vec::new();
    for (index, rule) in written().iter().enumerate() {
        assert!(!rule.examples.is_empty(), "{} has no example", rule.id);
        assert!(rule.source.starts_with("https://"), "{} says no source", rule.id);
        let by_name = rule.validators.iter().any(|check| check.is_assignment());
        for template in &rule.examples {
            let text = fill(template);
            let found = match by_name {
                true => !redactor.text(&text).findings.is_empty(),
                false => fires(&rules, index, &text),
            };
            if !found {
                wrong.push(format!("{}: not found in {text}", rule.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_example_that_is_masked_stands() {
    let redactor = redactor();
    let mut wrong = Vec::new();
    for example in examples() {
        for text in [example.clone(), format!("so it is {example} there"), format!("'{example}'")] {
            let once = redactor.text(&text).text.into_owned();
            let twice = redactor.text(&once).text.into_owned();
            if twice != once {
                wrong.push(format!("{once}: {twice}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_stands_behind_something_like_a_token_is_masked() {
    let secret = fill("{a18}");
    let masked = redactor()
        .text(&format!("https://[user:0123abcd0123abcd0123abcd0123.0123abcd]{secret}@x.example"))
        .text
        .into_owned();
    assert!(!masked.contains(&secret), "{masked}");
    assert_eq!(redactor().text(&masked).text, masked);
}

#[test]
fn every_pattern_that_is_compiled_late_compiles() {
    for rule in &Rules::builtin().rules {
        let _ = rule.pattern.regex();
    }
}

#[test]
fn no_rule_finds_anything_in_a_counterexample_of_any() {
    let redactor = redactor();
    let mut wrong = Vec::new();
    for rule in written() {
        for template in &rule.counter_examples {
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
fn there_are_as_many_formats_as_the_readme_says() {
    let all = written();
    let of = |is: fn(Class) -> bool| all.iter().filter(|rule| is(rule.class)).count();
    assert!(of(|class| class == Class::Credential) >= 250);
    assert!(of(|class| class.is_personal() && class != Class::Account) >= 60);
}

fn parse(rules: &str) -> Result<(), RulesError> {
    let source = Source { file: "mine.toml".to_owned(), text: rules.to_owned(), is_builtin: false };
    Rules::of(&[source], &[]).map(|_| ())
}

fn rule(id: &str, shape: &str) -> String {
    format!("[[rule]]\nid = '{id}'\nclass = 'credential'\nseverity = 'high'\nshape = '{shape}'\n")
}

#[test]
fn a_wrong_rule_is_told_with_its_file_and_line() {
    let told = |text: &str| parse(text).unwrap_err().to_string();
    assert_eq!(parse(&rule("a", "x+")), Ok(()));
    assert_eq!(
        told(&format!("\n{}", rule("a", "x("))),
        "mine.toml:2: rule \"a\" has a shape that does not compile"
    );
    for shape in ["x*", r"\b", "(x|)"] {
        let empty = "mine.toml:1: rule \"a\" has a shape that matches nothing at all";
        assert_eq!(told(&rule("a", shape)), empty);
    }
    assert_eq!(
        told(&rule("A b", "x")),
        "mine.toml:1: rule \"A b\" has an id with more than lower-case letters, digits and _ in it"
    );
    assert_eq!(
        told(&(rule("a", "x") + &rule("a", "y"))),
        "mine.toml:6: rule \"a\" has the id of another rule"
    );
    assert_eq!(
        told(&(rule("a", "x") + "within = 4\n")),
        "mine.toml:1: rule \"a\" has no anchors to stand within reach of"
    );
    assert!(told("nonsense").starts_with("mine.toml:1: "));
    let unknown = told(&(rule("a", "x") + "validators = ['luck']\n"));
    assert_eq!(unknown, "mine.toml:6: no validator is called luck");
}

#[test]
fn own_rules_stand_beside_the_built_in_ones_and_those_can_be_switched_off() {
    let folder = std::env::temp_dir().join(format!("trailgate-rules-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let own = rule("acme_key", r"\bacme-[a-z0-9]{8}") + "anchors = ['acme-']\n";
    std::fs::write(folder.join("acme.toml"), own).unwrap();
    let load = |off: &[&str]| {
        let off: Vec<String> = off.iter().map(|id| (*id).to_owned()).collect();
        Rules::load(std::slice::from_ref(&folder), &off)
    };
    let text = fill("acme-{u8} and ada@example.com");
    let masked = |rules: Rules| {
        let redactor = Redactor::new(Arc::new(rules), TokenKey::new(&[7; 32]));
        redactor.text(&text).findings.iter().map(|f| f.rule.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(masked(load(&[]).unwrap()), ["acme_key", "email"]);
    assert_eq!(masked(load(&["email"]).unwrap()), ["acme_key"]);
    assert_ne!(load(&["email"]).unwrap().version(), load(&[]).unwrap().version());
    let unknown = load(&["mail"]).unwrap_err();
    assert_eq!(unknown, RulesError::Unknown { rule: "mail".to_owned() });
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(load(&[]), Err(RulesError::Read { .. })));
}

#[test]
fn an_own_rule_is_held_to_its_examples() {
    let file = std::env::temp_dir().join(format!("trailgate-rule-{}.toml", std::process::id()));
    let load = |more: &str| {
        let own = rule("acme_key", r"\bacme-[a-z0-9]{8}\b") + "anchors = ['acme-']\n" + more;
        std::fs::write(&file, format!("\n{own}")).unwrap();
        Rules::load(std::slice::from_ref(&file), &[])
    };
    let place = format!("{}:2: rule \"acme_key\" ", file.display());
    load("examples = ['key=acme-{u8}']\ncounter_examples = ['acme-tool']\n").unwrap();
    let missed = load("examples = ['acme-{u8}', 'acme-{U8}']\n").unwrap_err().to_string();
    assert_eq!(missed, format!("{place}does not find its example 2"));
    let wrong = load("counter_examples = ['acme-{u8}']\n").unwrap_err().to_string();
    assert_eq!(wrong, format!("{place}finds its counter-example 1"));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_hash_over_all_rules_is_their_version() {
    let version = Rules::builtin().version().to_owned();
    assert!(version.len() == 16 && version.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(Rules::load(&[], &[]).unwrap().version(), version);
}

#[test]
fn a_finding_says_what_it_is_and_how_bad() {
    let masked = redactor().text("password=hunter2-hunter2 for ada@example.com").findings;
    let about: Vec<_> = masked.iter().map(|finding| (finding.class, finding.severity)).collect();
    let expected = [(Class::Credential, Severity::High), (Class::Contact, Severity::Medium)];
    assert_eq!(about, expected);
}
