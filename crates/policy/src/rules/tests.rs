use std::time::Duration;

use super::*;

fn parse(text: &str) -> Result<Rules, String> {
    Rules::parse(Path::new("rules.toml"), text).map_err(|error| error.to_string())
}

fn rules(text: &str) -> Rules {
    parse(text).unwrap()
}

/// A rule with these lines more.
fn rule(lines: &str) -> Rules {
    rules(&format!("[[hold]]\nname = \"one\"\nreviewers = [\"leads\"]\n{lines}"))
}

const ASKED: Asked<'static> = Asked {
    connection: "tools",
    methods: &["POST"],
    path: "/deploy/prod",
    operations: &[],
    groups: &[],
    body_bytes: Some(10),
};

#[test]
fn a_condition_that_is_not_said_is_met_by_all_and_each_that_is_must_be() {
    let groups = ["agents".to_owned()];
    let asked = Asked { operations: &["run.read", "run.cancel"], groups: &groups, ..ASKED };
    let cases = [
        ("", true),
        ("connection = \"tools\"", true),
        ("connection = \"agents\"", false),
        ("methods = [\"DELETE\", \"post\"]", true),
        ("methods = [\"DELETE\"]", false),
        ("path = \"/deploy/**\"", true),
        ("path = \"/deploy\"", false),
        ("operations = [\"run.cancel\"]", true),
        ("operations = [\"run.delete\"]", false),
        ("groups = [\"admins\", \"agents\"]", true),
        ("groups = [\"admins\"]", false),
        ("min_body_bytes = 10", true),
        ("min_body_bytes = 11", false),
        ("max_body_bytes = 9", false),
        ("max_body_bytes = 10", true),
        ("path = \"/deploy/*\"\nmethods = [\"POST\"]\ngroups = [\"agents\"]", true),
        ("path = \"/deploy/*\"\nmethods = [\"POST\"]\ngroups = [\"admins\"]", false),
    ];
    for (lines, expected) in cases {
        assert_eq!(rule(lines).first(&asked).is_some(), expected, "{lines}");
    }
}

#[test]
fn the_first_rule_that_holds_decides() {
    let text = "[[hold]]\nname = \"reads\"\nmethods = [\"GET\"]\nreviewers = [\"a\"]\n\
                [[hold]]\nname = \"prod\"\npath = \"/deploy/prod\"\nreviewers = [\"b\"]\n\
                expires_after_s = 30\n\
                [[hold]]\nname = \"rest\"\nreviewers = [\"c\"]\n";
    let rules = rules(text);
    let first = rules.first(&ASKED).unwrap();
    assert_eq!((first.name(), first.reviewers()), ("prod", &["b".to_owned()][..]));
    assert_eq!(first.expires_after(), Duration::from_secs(30));
    let other = Asked { path: "/other", ..ASKED };
    assert_eq!(rules.first(&other).unwrap().expires_after(), Duration::from_secs(120));
}

#[test]
fn who_sends_a_body_of_unknown_length_is_not_let_off() {
    let unknown = Asked { body_bytes: None, ..ASKED };
    for lines in ["min_body_bytes = 1000", "max_body_bytes = 5"] {
        assert!(rule(lines).first(&unknown).is_some(), "{lines}");
    }
}

#[test]
fn a_method_that_headers_ask_for_instead_counts_and_head_is_a_get() {
    let overridden = Asked { methods: &["POST", "delete"], ..ASKED };
    assert!(rule("methods = [\"DELETE\"]").first(&overridden).is_some());
    let head = Asked { methods: &["HEAD"], ..ASKED };
    assert!(rule("methods = [\"GET\"]").first(&head).is_some());
}

#[test]
fn nothing_is_held_by_no_rule() {
    assert!(rules("").first(&ASKED).is_none());
}

#[test]
fn a_typo_is_told_by_line_and_key_and_never_by_its_text() {
    let base = "[[hold]]\nname = \"one\"\nreviewers = [\"leads\"]\n";
    let cases = [
        ("pth = \"/hunter2\"", "rules.toml:4: hold[0].pth: unknown key"),
        ("path = \"hunter2\"", "rules.toml:4: hold[0].path: expected a pattern"),
        ("methods = []", "rules.toml:4: hold[0].methods: expected 1 to 32 names"),
        ("groups = [\"\"]", "rules.toml:4: hold[0].groups: expected 1 to 32 names"),
        ("expires_after_s = 901", "rules.toml:4: hold[0].expires_after_s: expected 1 to 900"),
        ("expires_after_s = 0", "rules.toml:4: hold[0].expires_after_s: expected 1 to 900"),
        ("min_body_bytes = \"hunter2\"", "rules.toml:4: hold[0].min_body_bytes: expected u64"),
        ("[[hold]]\nname = \"Two hunter2\"", "rules.toml:5: hold[1].name: expected 1 to 64"),
        ("[[hold]]\nname = \"two\"", "rules.toml:4: hold[1].reviewers: missing"),
        ("[allow]", "rules.toml:4: allow: unknown key"),
        ("[[hold]]\nname = \"one\"\nreviewers = [\"x\"]", "rules.toml: hold[1].name: another"),
        ("methods = [\"GET\", \"DELTE\"]", "rules.toml: hold[0].methods: names what is no method"),
        ("min_body_bytes = 2\nmax_body_bytes = 1", "rules.toml: hold[0].max_body_bytes: is below"),
    ];
    for (lines, expected) in cases {
        let said = parse(&format!("{base}{lines}\n")).unwrap_err();
        assert!(said.starts_with(expected), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn what_a_rule_names_must_be_there() {
    let known = Known {
        connections: [("tools", false), ("agents", true)].into(),
        operations: ["run.cancel"].into(),
    };
    let cases = [
        ("connection = \"tools\"", None),
        ("connection = \"tolls\"", Some("hold[0].connection: the gateway has no such")),
        ("operations = [\"run.cancel\"]", None),
        ("connection = \"agents\"\noperations = [\"run.cancel\"]", None),
        ("operations = [\"run.cancle\"]", Some("hold[0].operations: names what is no")),
        ("connection = \"tools\"\noperations = [\"run.cancel\"]", Some("hold[0].operations: its")),
    ];
    for (lines, expected) in cases {
        let said = rule(lines).check(&known).map_err(|error| error.to_string());
        match expected {
            None => assert_eq!(said, Ok(()), "{lines}"),
            Some(expected) => assert!(said.unwrap_err().contains(expected), "{lines}"),
        }
    }
}

#[test]
fn a_connection_whose_paths_a_rule_reads_is_known() {
    let rules = rule("connection = \"tools\"\npath = \"/x\"");
    assert!(rules.reads_paths_of("tools") && !rules.reads_paths_of("agents"));
    assert!(rule("path = \"/x\"").reads_paths_of("agents"));
    assert!(!rule("methods = [\"GET\"]").reads_paths_of("tools"));
}

#[test]
fn the_version_is_that_of_the_file_and_changes_with_it() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("rules.toml");
    let text = "[[hold]]\nname = \"one\"\nreviewers = [\"leads\"]\n";
    std::fs::write(&file, text).unwrap();
    let loaded = Rules::load(&file).unwrap();
    assert_eq!(loaded.version(), rules(text).version());
    assert_eq!(loaded.version().len(), 16);
    assert_ne!(loaded.version(), rules(&format!("{text}# later\n")).version());
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(Rules::load(&file), Err(RulesError::File(_))));
}

#[test]
fn more_rules_than_a_request_may_be_held_against_are_refused() {
    let many = (0..=RULES_MAX).map(|n| format!("[[hold]]\nname = \"r{n}\"\nreviewers = [\"x\"]\n"));
    assert!(parse(&many.collect::<String>()).unwrap_err().ends_with("more than 256 rules"));
}

#[test]
fn the_rules_that_people_are_told_to_write_are_rules() {
    let readme = include_str!("../../README.md");
    let guide = include_str!("../../../../docs/guide.md");
    for (text, begin) in [(readme, "```toml\n[[hold]]"), (guide, "```toml\n# rules.toml")] {
        let (_, rest) = text.split_once(begin).unwrap();
        let (rest, _) = rest.split_once("\n```").unwrap();
        let begin = begin.strip_prefix("```toml\n").unwrap();
        assert!(rules(&format!("{begin}{rest}")).reads_paths_of("tickets") || text == readme);
    }
}
