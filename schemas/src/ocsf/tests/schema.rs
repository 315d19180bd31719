//! As much of JSON Schema as the files of `schemas/ocsf` use; a word that is not known here ends the
//! test, so nothing is passed over. The crate `jsonschema` does more, and was tried: its features
//! change serde_json's and serde's for all that is built with it. `tests/siem.rs` has a full
//! validator.

use serde_json::{Map, Value};

/// A schema that was read.
pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    /// What of `value` the schema does not allow.
    pub(super) fn faults(&self, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(&self.0, value, "", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
        let schema = schema.as_object().unwrap();
        for (word, wants) in schema {
            let is_well = match word.as_str() {
                "$schema" | "title" | "x-profiles" | "x-ocsf-regex" | "$defs" => true,
                "type" => has_type(value, wants.as_str().unwrap()),
                "const" => value == wants,
                "enum" => wants.as_array().unwrap().contains(value),
                // Of what is no text it says nothing.
                "maxLength" => value
                    .as_str()
                    .is_none_or(|text| text.chars().count() as u64 <= wants.as_u64().unwrap()),
                "required" => names(wants).all(|name| value.get(name).is_some()),
                "anyOf" => wants.as_array().unwrap().iter().any(|one| {
                    let mut of_one = Vec::new();
                    self.check(one, value, place, &mut of_one);
                    of_one.is_empty()
                }),
                "$ref" => {
                    let name = wants.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    self.check(&self.0["$defs"][name], value, place, faults);
                    true
                }
                "items" => {
                    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(wants, item, &format!("{place}/{at}"), faults);
                    }
                    true
                }
                "properties" => {
                    self.properties(wants.as_object().unwrap(), value, place, faults);
                    true
                }
                "additionalProperties" => {
                    assert_eq!(wants, false);
                    let known = schema["properties"].as_object().unwrap();
                    value.as_object().is_none_or(|o| o.keys().all(|name| known.contains_key(name)))
                }
                other => panic!("schema word {other} is not known"),
            };
            if !is_well {
                faults.push(format!("{place}: {word} {wants} of {value}"));
            }
        }
    }

    fn properties(
        &self,
        wants: &Map<String, Value>,
        value: &Value,
        place: &str,
        faults: &mut Vec<String>,
    ) {
        for (name, value) in value.as_object().into_iter().flatten() {
            if let Some(schema) = wants.get(name) {
                self.check(schema, value, &format!("{place}/{name}"), faults);
            }
        }
    }
}

fn names(names: &Value) -> impl Iterator<Item = &str> {
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap())
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("type {other} is not known"),
    }
}

#[test]
fn what_a_schema_forbids_is_found() {
    let schema = Schema::read(
        r##"{"type": "object", "required": ["a"], "additionalProperties": false,
            "anyOf": [{"required": ["b"]}, {"required": ["c"]}],
            "properties": {"a": {"enum": [1, 2]}, "b": {"$ref": "#/$defs/b"}, "c": {"const": 3}},
            "$defs": {"b": {"type": "array", "items": {"type": "string", "maxLength": 2}}}}"##,
    );
    let faults = |text: &str| schema.faults(&serde_json::from_str(text).unwrap()).len();
    for allowed in [r#"{"a": 1, "b": []}"#, r#"{"a": 2, "b": ["xx"], "c": 3}"#] {
        assert_eq!(faults(allowed), 0, "{allowed}");
    }
    for forbidden in [
        r#"[]"#,
        r#"{"b": []}"#,
        r#"{"a": 1}"#,
        r#"{"a": 3, "b": []}"#,
        r#"{"a": 1, "b": ["xxx"]}"#,
        r#"{"a": 1, "b": [1]}"#,
        r#"{"a": 1, "c": 4}"#,
        r#"{"a": 1, "b": [], "d": 1}"#,
    ] {
        assert_ne!(faults(forbidden), 0, "{forbidden}");
    }
}
