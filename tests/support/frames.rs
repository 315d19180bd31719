//! What LangGraph streamed: which nodes ran, and the frames without what differs from run to run.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// How a node's execution came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Well.
    Finished,
    /// With an error.
    Failed,
    /// It asked a person.
    Interrupted,
}

impl Ending {
    /// The status that the view `nodes` has for it.
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One execution of a node, as LangGraph streamed it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Execution {
    /// The node's name.
    pub node: String,
    /// The task's id.
    pub task: String,
    /// How it came out; nothing if no finish was streamed.
    pub ending: Option<Ending>,
}

/// The executions in `tasks` frames (those of subgraphs too), sorted by node and task. `lines` are
/// what the SDK's driver printed; lines of other steps or events are left out.
#[must_use]
pub fn executions(lines: &[Value], step: &str) -> Vec<Execution> {
    let mut found: BTreeMap<(String, String), Option<Ending>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line["step"] == step) {
        let event = line["event"].as_str().unwrap_or_default();
        if event != "tasks" && !event.starts_with("tasks|") {
            continue;
        }
        let data = &line["data"];
        let key = (text(&data["name"]), text(&data["id"]));
        let ending = found.entry(key).or_default();
        if data.get("result").is_some() || data.get("error").is_some() {
            *ending = Some(ending_of(data));
        }
    }
    found.into_iter().map(|((node, task), ending)| Execution { node, task, ending }).collect()
}

/// The frames of a step as (event, data), with run-time ids and times replaced by their kind: equal
/// for two runs of one graph on one input.
#[must_use]
pub fn frames(lines: &[Value], step: &str) -> Vec<(String, Value)> {
    lines
        .iter()
        .filter(|line| line["step"] == step && line.get("event").is_some())
        .map(|line| (without_ids(&text(&line["event"])), levelled(&line["data"])))
        .collect()
}

/// `value` with run-time ids and times replaced by their kind.
#[must_use]
pub fn levelled(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_ids(text)),
        Value::Array(values) => Value::Array(values.iter().map(levelled).collect()),
        Value::Object(map) => Value::Object(map.iter().filter_map(levelled_entry).collect()),
        other => other.clone(),
    }
}

// A message's id is sometimes null and sometimes set, without a gateway too.
fn levelled_entry((key, value): (&String, &Value)) -> Option<(String, Value)> {
    let varies = matches!(key.as_str(), "langgraph_request_id" | "created_at" | "timestamp" | "ts");
    let is_message_id = key == "id" && (value.is_null() || value.is_string());
    (!varies && !is_message_id).then(|| (key.clone(), levelled(value)))
}

/// `text` with every UUID in it replaced.
fn without_ids(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        match rest.get(..36).filter(|candidate| uuid::Uuid::try_parse(candidate).is_ok()) {
            Some(_) => {
                out.push_str("<id>");
                rest = &rest[36..];
            }
            None => {
                out.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    out
}

fn ending_of(data: &Value) -> Ending {
    let interrupts = data["interrupts"].as_array().is_some_and(|list| !list.is_empty());
    match (data["error"].is_null(), interrupts) {
        (false, _) => Ending::Failed,
        (true, true) => Ending::Interrupted,
        (true, false) => Ending::Finished,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The lines of one step, whatever they hold.
#[must_use]
pub fn of_step<'a>(lines: &'a [Value], step: &str) -> Vec<&'a Map<String, Value>> {
    lines.iter().filter(|line| line["step"] == step).filter_map(Value::as_object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_levelled_wherever_they_stand() {
        let id = "df2466ce-ce0b-0008-0402-23b8d9a892e6";
        let value = json!({"run_id": id, "ns": format!("sub:{id}|x"), "id": id, "n": 1});
        assert_eq!(levelled(&value), json!({"run_id": "<id>", "ns": "sub:<id>|x", "n": 1}));
        assert_eq!(without_ids("größer als df2466ce"), "größer als df2466ce");
    }

    #[test]
    fn a_start_and_its_finish_are_one_execution() {
        let lines = [
            json!({"step": "0", "event": "metadata", "data": {"run_id": "r"}}),
            json!({"step": "0", "event": "tasks", "data": {"id": "t", "name": "n", "input": 1}}),
            json!({"step": "0", "event": "tasks|s:u", "data": {"id": "u", "name": "m", "input": 1}}),
            json!({"step": "0", "event": "tasks", "data": {"id": "t", "name": "n", "error": null,
                   "result": {}, "interrupts": [{"id": "i"}]}}),
        ];
        let found = executions(&lines, "0");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].ending, None);
        assert_eq!(found[1].ending, Some(Ending::Interrupted));
    }
}
