use crate::{Redactor, Rules, TokenKey};

fn redactor() -> Redactor {
    Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]))
}

fn masked(json: &str) -> String {
    redactor().json(json).text.into_owned()
}

#[test]
fn clean_json_passes_byte_for_byte() {
    let json = r#"{"b": 1.50, "a" : [ 1e3, true,null ], "s":"\u00e9\/\n", "id":"1f0c-12"}"#;
    let redacted = redactor().json(json);
    assert!(matches!(redacted.text, std::borrow::Cow::Borrowed(text) if text == json));
}

#[test]
fn a_value_is_masked_because_of_its_key_and_the_rest_stays() {
    let json = r#"{"x":1,"password":"hunter2","clientSecret": "abc123def", "max_tokens": 100, "token":"ok"}"#;
    let masked = masked(json);
    assert!(!masked.contains("hunter2") && !masked.contains("abc123def"), "{masked}");
    assert!(masked.contains(r#""max_tokens": 100, "token":"ok"}"#), "{masked}");
    assert!(serde_json::from_str::<serde_json::Value>(&masked).is_ok());
}

#[test]
fn escapes_do_not_hide_a_secret() {
    let json = r#"{"t":"mail \u0061da@example\u002ecom","pass\u0077ord":"hunter2"}"#;
    let masked = masked(json);
    assert!(!masked.contains("hunter2") && !masked.contains("example"), "{masked}");
    assert!(serde_json::from_str::<serde_json::Value>(&masked).is_ok(), "{masked}");
}

#[test]
fn json_in_a_string_in_json_is_masked_and_escaped_again() {
    let inner = serde_json::json!({"password": "hunter2", "n": 1.50}).to_string();
    let middle = serde_json::json!({"arguments": inner}).to_string();
    let outer = serde_json::json!({"body": middle}).to_string();
    let masked = masked(&outer);
    assert!(!masked.contains("hunter2"), "{masked}");
    let outer: serde_json::Value = serde_json::from_str(&masked).unwrap();
    let middle: serde_json::Value = serde_json::from_str(outer["body"].as_str().unwrap()).unwrap();
    let inner: serde_json::Value =
        serde_json::from_str(middle["arguments"].as_str().unwrap()).unwrap();
    assert!(inner["password"].as_str().unwrap().starts_with("[password:"));
}

#[test]
fn a_number_that_is_a_secret_becomes_a_string() {
    let masked = masked(r#"{"card":4111111111111111,"pin":1234,"n":1234}"#);
    let value: serde_json::Value = serde_json::from_str(&masked).unwrap();
    assert!(value["card"].as_str().unwrap().starts_with("[payment_card:"), "{masked}");
    assert!(value["pin"].as_str().unwrap().starts_with("[code:"), "{masked}");
    assert_eq!(value["n"], 1234);
}

#[test]
fn names_and_values_beside_each_other_belong_together() {
    let masked =
        masked(r#"{"env":[{"name":"DB_PASSWORD","value":"hunter2"},{"name":"N","value":"x"}]}"#);
    assert!(!masked.contains("hunter2"), "{masked}");
    assert!(masked.contains(r#""value":"x""#), "{masked}");
}

#[test]
fn elements_of_a_secret_array_are_masked() {
    let masked = masked(r#"{"api_keys":["abcdef123456"],"names":["abcdef123456"]}"#);
    assert_eq!(masked.matches("abcdef123456").count(), 1, "{masked}");
}

#[test]
fn every_scalar_below_a_secret_name_is_masked_and_what_stands_beside_it_is_not() {
    let cases = [
        (r#"{"secret":{"value":"gk3-1a2b3c"},"n":{"value":"gk3-beside"}}"#, "gk3-1a2b3c"),
        (r#"{"password":{"v":{"w":["hunter"]}},"w":["gk3-beside"]}"#, "hunter"),
        (r#"[{"password":[[{"a":"x"},"hunter"]],"n":1},"gk3-beside"]"#, "hunter"),
        (r#"{"api_key":{"v":12345678},"v":"gk3-beside"}"#, "12345678"),
        (r#"{"password":{"v":[7,{"w":"gk3-81"}]},"v":"gk3-beside"}"#, "gk3-81"),
        (r#"{"name":"password","value":{"v":"hunter"},"x":"gk3-beside"}"#, "hunter"),
        (r#"{"tokens":{"a":"gk3-1a2b3c","count":1234567},"x":"gk3-beside"}"#, "gk3-1a2b3c"),
        (r#"{"secret":"{ \"value\": {\"v\": \"gk3-1a2b3c\"} }","x":"gk3-beside"}"#, "gk3-1a2b3c"),
        (r#"{"secret":{"v":"{ \"value\": \"gk3-1a2b3c\" }"},"x":"gk3-beside"}"#, "gk3-1a2b3c"),
        (r#"{"args":"{\"secret\":{\"v\":\"gk3-1a2b3c\"}}","x":"gk3-beside"}"#, "gk3-1a2b3c"),
    ];
    for (json, secret) in cases {
        let masked = masked(json);
        assert!(!masked.contains(secret), "{json} → {masked}");
        assert!(masked.contains("gk3-beside"), "{json} → {masked}");
        assert!(serde_json::from_str::<serde_json::Value>(&masked).is_ok(), "{masked}");
    }
    let counts = r#"{"tokens":{"cached":1234567},"cache_read_input_tokens":1234567,"token":null}"#;
    assert_eq!(masked(counts), counts);
}

#[test]
fn a_secret_name_counts_however_deep_it_stands() {
    for depth in [10, 254, 255, 256, 257, 400] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let json = format!(
            r#"{open}{{"password":{{"v":{{"w":["hunter"]}}}},"n":{{"w":"plain"}}}}{close}"#
        );
        let masked = masked(&json);
        assert!(!masked.contains("hunter"), "{depth}");
        assert!(masked.contains(r#""n":{"w":"plain"}"#), "{depth}: {masked}");
    }
}

#[test]
fn a_scheme_stays_readable() {
    let masked = masked(r#"{"authorization":"Bearer abcdef1234567890"}"#);
    assert!(masked.contains(r#""Bearer ["#), "{masked}");
    assert!(!masked.contains("abcdef1234567890"));
}

#[test]
fn what_is_no_json_is_masked_as_text() {
    for text in [
        "{password: \"hunter2\"",
        "{'password': 'hunter2'}",
        "{\"a\":1} password=hunter2",
        "password=\"hunter2\"",
        "{\"password\": \"hunter2",
        "]]]]{{{ \"password\" : \"hunter2\" }",
    ] {
        let masked = masked(text);
        assert!(!masked.contains("hunter2"), "{text} → {masked}");
    }
}

#[test]
fn whatever_breaks_a_document_hides_no_secret_in_it() {
    let token = "ghp_aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2";
    let clear = format!(r#"{{"a":[1,"say {token} now",true],"b\n":{{"c":"{token}"}},"d":null}}"#);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let stands = |text: &str| {
        let before = text.match_indices(token).map(|(at, _)| text[..at].chars().next_back());
        let behind =
            text.match_indices(token).map(|(at, _)| text[at + token.len()..].chars().next());
        before.zip(behind).all(|(a, b)| !a.is_some_and(is_word) && !b.is_some_and(is_word))
    };
    for at in 0..clear.len() {
        let (before, behind) = clear.split_at(at);
        let mut broken = vec![before.to_owned(), before.to_owned() + &behind[1..]];
        for sign in ["\"", "\\", "{", "]", ":", ",", "\n", "x", "\0", "'", " 1 2"] {
            broken.extend([
                format!("{before}{sign}{behind}"),
                format!("{before}{sign}{}", &behind[1..]),
            ]);
        }
        for text in broken.iter().filter(|text| stands(text)) {
            assert!(!masked(text).contains(token), "{text}");
        }
    }
}

#[test]
fn depth_takes_no_memory_without_bound() {
    let deep = "[".repeat(200_000) + "{\"password\":\"hunter2\"}";
    assert!(!masked(&deep).contains("hunter2"));
}

#[test]
fn a_string_longer_than_what_is_held_is_masked_too() {
    let filler = "lorem ipsum dolor ".repeat(8000);
    let json = format!(r#"{{"a":"{filler}\n ada@example.com {filler}","password":"{filler}"}}"#);
    let masked = masked(&json);
    assert!(!masked.contains("ada@example.com"));
    let value: serde_json::Value = serde_json::from_str(&masked).unwrap();
    assert!(value["password"].as_str().unwrap().starts_with("[password:"));
    assert!(value["a"].as_str().unwrap().ends_with(&filler));
}

#[test]
fn an_escaped_quote_does_not_hide_what_stands_before_a_secret() {
    let text = r#"see {"pass": "hunter2xyz1"} here"#;
    let masked: serde_json::Value =
        serde_json::from_str(&masked(&serde_json::json!({ "text": text }).to_string())).unwrap();
    assert_eq!(masked["text"].as_str().unwrap(), redactor().text(text).text);
    assert!(!masked.to_string().contains("hunter2"), "{masked}");
}

/// Result sets in which `hunter` is secret and `beside` is not.
const RESULT_SETS: &[&str] = &[
    r#"{"columns":["id","password","note"],"rows":[[1,"hunter2","beside"],[2,"hunter3",null]]}"#,
    r#"{"fields":[{"name":"id","type":"int"},{"type":"text","name":"password"}],"values":[["beside","hunter2"]]}"#,
    r#"{"column_names":["pass\u0077ord","id"],"data":[["hunter2","beside"],["hunter3",{"a":["x","beside"]}]]}"#,
    r#"{"meta":[{"column_name":"id"},{"label":"Password"}],"results":[[ "beside" , "hunter2" ]]}"#,
    r#"{"schema":{"fields":[{"name":"id"},{"name":"password"}]},"rows":[{"f":[{"v":"beside"},{"v":"hunter2"}]}]}"#,
    r#"{"manifest":{"schema":{"columns":[{"name":"password"}]}},"result":{"data_array":[["hunter2"]],"x":["beside"]}}"#,
    r#"{"results":[{"series":[{"name":"m","columns":["time","password"],"values":[["beside","hunter2"]]}]}]}"#,
    r#"{"columnMetadata":[{"name":"id"},{"name":"password"}],"records":[[{"stringValue":"beside"},{"stringValue":"hunter2"}]]}"#,
    r#"{"headers":["id","pin"],"rows":[["beside",[48213]],[77001,48213]]}"#,
    r#"[{"columns":["id","password"],"rows":[["beside","hunter2"]]},{"rows":[["x","beside"]]}]"#,
    r#"{"columns":["id","password"],"rows":[{"tags":["x","beside"],"password":"hunter2"}]}"#,
    r#"{"content":"{\"columns\":[\"id\",\"password\"],\"rows\":[[\"beside\",\"hunter2\"]]}"}"#,
];

#[test]
fn values_of_a_result_set_are_masked_because_of_their_columns_name() {
    for json in RESULT_SETS {
        for json in [(*json).to_owned(), json.replace(':', " : ").replace(',', " ,\n")] {
            let masked = masked(&json);
            assert!(!masked.contains("hunter") && !masked.contains("48213"), "{json} → {masked}");
            for clear in ["beside", "77001"] {
                assert_eq!(masked.matches(clear).count(), json.matches(clear).count(), "{masked}");
            }
            assert!(serde_json::from_str::<serde_json::Value>(&masked).is_ok(), "{masked}");
            assert_eq!(self::masked(&masked), masked);
            let redactor = redactor();
            let mut stream = redactor.stream(crate::Shape::Json);
            let mut out = String::new();
            for piece in json.as_bytes().chunks(1) {
                out.push_str(&stream.push(std::str::from_utf8(piece).unwrap()).text);
                stream = redactor.resume(&stream.to_bytes()).unwrap();
            }
            out.push_str(&stream.finish().text);
            assert_eq!(out, masked);
        }
    }
}

#[test]
fn columns_say_nothing_of_what_are_no_rows_of_theirs() {
    for json in [
        r#"{"columns":["id","password"],"other":[["a","hunter2"]]}"#,
        r#"{"a":{"columns":["id","password"]},"rows":[["a","hunter2"]]}"#,
        r#"{"columns":["id","note"],"rows":[["a","hunter2"]]}"#,
        r#"{"columns":["id","password"],"columns":["id","note"],"rows":[["a","hunter2"]]}"#,
        r#"{"columns":["id","token"],"rows":[["a","GET"],["b",null],["c",true]]}"#,
    ] {
        assert_eq!(masked(json), json);
    }
}
