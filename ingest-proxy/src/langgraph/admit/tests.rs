use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const REQUEST: Uuid = Uuid::from_u128(0x01a2_07e7_0000_7000_8000_0000_0000_000a);

fn admitted(body: &str, style: CreateStyle) -> (Value, AdmittedRun) {
    let admitted = admit_run(body.as_bytes(), style, REQUEST).unwrap();
    (serde_json::from_slice(&admitted.body).unwrap(), admitted.run)
}

fn streamed(body: &str) -> (Value, AdmittedRun) {
    admitted(body, CreateStyle::Stream)
}

fn injected(run: &AdmittedRun) -> &Injected {
    match &run.plan {
        StripPlan::Injected(injected) => injected,
        StripPlan::Untouched => panic!("untouched"),
    }
}

#[test]
fn tasks_are_asked_for_beside_what_the_client_asked() {
    for (asked, sent) in [
        ("", json!(["values", "tasks"])),
        (r#","stream_mode":[]"#, json!(["values", "tasks"])),
        (r#","stream_mode":null"#, json!(["values", "tasks"])),
        (r#","stream_mode":"updates""#, json!(["updates", "tasks"])),
        (r#","stream_mode":"tasks""#, json!(["tasks"])),
        (
            r#","stream_mode":["debug","messages-tuple"]"#,
            json!(["debug", "messages-tuple", "tasks"]),
        ),
        (r#","stream_mode":["tasks","values"]"#, json!(["tasks", "values"])),
    ] {
        let (body, run) = streamed(&format!(r#"{{"assistant_id":"agent"{asked}}}"#));
        assert_eq!(body["stream_mode"], sent, "{asked}");
        assert_eq!(body["metadata"][ASKED_KEY], injected(&run).to_text());
        assert_eq!(body["metadata"][REQUEST_KEY], REQUEST.to_string());
    }
}

#[test]
fn inner_frames_are_asked_for_only_where_they_can_be_told_apart() {
    for (modes, forced) in [
        (r#"["values","updates","tasks","debug","checkpoints","custom","events"]"#, true),
        (r#""messages""#, false),
        (r#"["values","messages-tuple"]"#, false),
        (r#""some-future-mode""#, false),
    ] {
        let (body, run) = streamed(&format!(r#"{{"stream_mode":{modes}}}"#));
        assert_eq!(body["stream_subgraphs"] == true, forced, "{modes}");
        assert_eq!(injected(&run).subgraphs.forced, forced, "{modes}");
    }
    let (body, run) = streamed(r#"{"stream_mode":"messages","stream_subgraphs":true}"#);
    assert_eq!(body["stream_subgraphs"], true);
    assert!(!injected(&run).subgraphs.forced, "the client asked for it itself");
}

#[test]
fn a_run_whose_creator_does_not_listen_is_made_replayable() {
    for style in [CreateStyle::Wait, CreateStyle::Background] {
        let (body, run) = admitted("{}", style);
        assert_eq!(body["stream_resumable"], true);
        assert!(run.plan.drops_ids());
        let (_, run) = admitted(r#"{"stream_resumable":true}"#, style);
        assert!(!run.plan.drops_ids(), "the client asked for ids itself");
    }
    let (body, run) = streamed("{}");
    assert_eq!(body.get("stream_resumable"), None);
    assert!(!run.plan.drops_ids());
}

#[test]
fn forged_identity_is_taken_out_wherever_the_server_would_merge_it() {
    let forged = r#"{
        "metadata": {"langgraph_auth_user_id":"root","ls_x":1,"gw_request_id":"mine","gw_asked":"x",
            "run_id":"r","thread_id":"t","assistant_id":"a","graph_id":"g","user_id":"u",
            "created_by":"system","cron_id":"c","lang\u0067raph_request_id":"q","team":"blue"},
        "config": {"tags":["x"],"metadata":{"langgraph_auth_user_id":"root","kept":1},
            "configurable":{"langgraph_auth_user":{"a":1},"langgraph_request_id":"q","gw_x":1,
                "__event_streaming_v2":true,"user_id":"u-7","model":"m"}},
        "context": {"langgraph_auth_user_id":"root","kept":2},
        "checkpoint": {"langgraph_request_id":"q","checkpoint_ns":""}
    }"#;
    let (body, run) = streamed(forged);
    let metadata = body["metadata"].as_object().unwrap();
    let keys: Vec<&str> = metadata.keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert_eq!(metadata["team"], "blue");
    assert_eq!(metadata[REQUEST_KEY], REQUEST.to_string());
    assert_eq!(body["config"]["metadata"], json!({"kept": 1}));
    assert_eq!(body["config"]["configurable"], json!({"user_id": "u-7", "model": "m"}));
    assert_eq!(body["config"]["tags"], json!(["x"]));
    assert_eq!(body["context"], json!({"kept": 2}));
    assert_eq!(body["checkpoint"], json!({"checkpoint_ns": ""}));
    assert_eq!(run.forged, 19);
}

#[test]
fn a_key_that_stands_twice_is_passed_on_once_by_its_last_value() {
    let (_, run) = streamed(r#"{"stream_mode":"messages","stream_mode":"values"}"#);
    assert!(injected(&run).subgraphs.forced);
    let twice = r#"{"metadata":{"langgraph_x":1},"a":1,"metadata":{"langgraph_y":2,"b":3},"a":2}"#;
    let body = admit_run(twice.as_bytes(), CreateStyle::Stream, REQUEST).unwrap().body;
    let text = std::str::from_utf8(&body).unwrap();
    assert_eq!(text.matches("\"metadata\"").count(), 1);
    assert!(!text.contains("langgraph_"), "{text}");
    assert!(text.starts_with(r#"{"a":1,"metadata":{"b":3,"gw_request_id":"#), "{text}");
    assert!(text.contains(r#""a":2"#), "what does not matter here stays, twice or not");
}

#[test]
fn what_need_not_change_stays_the_text_that_it_was() {
    let input = r#"{"z":1.50e+3,"a":12345678901234567890123,"z":"\u00e9\/"}"#;
    let body = format!(r#"{{"input":{input},"assistant_id":"agent","x":[1, 2]}}"#);
    let sent = admit_run(body.as_bytes(), CreateStyle::Stream, REQUEST).unwrap().body;
    let sent = std::str::from_utf8(&sent).unwrap();
    let head = format!(r#"{{"input":{input},"assistant_id":"agent","x":[1, 2],"#);
    assert!(sent.starts_with(&head), "{sent}");
}

#[test]
fn fields_of_no_valid_type_are_left_for_the_server_to_refuse() {
    for body in [
        r#"{"stream_mode":7}"#,
        r#"{"stream_mode":[1]}"#,
        r#"{"stream_mode":"a\"b"}"#,
        r#"{"stream_mode":{"a":1}}"#,
        r#"{"stream_subgraphs":"yes"}"#,
        r#"{"stream_resumable":1}"#,
    ] {
        let (sent, run) = streamed(body);
        assert_eq!(run.plan, StripPlan::Untouched, "{body}");
        let asked: Value = serde_json::from_str(body).unwrap();
        for (key, value) in asked.as_object().unwrap() {
            assert_eq!(&sent[key], value);
        }
    }
    let (sent, _) = streamed(r#"{"metadata":7,"config":"x","context":[]}"#);
    assert_eq!((&sent["metadata"], &sent["config"]), (&json!(7), &json!("x")));
}

#[test]
fn an_answer_to_an_interrupt_is_seen_whatever_its_value() {
    for (command, resumes) in [
        (r#"{"resume":{"ok":true}}"#, true),
        (r#"{"resume":false}"#, true),
        (r#"{"resume":null}"#, false),
        (r#"{"goto":"x"}"#, false),
        ("null", false),
        ("[]", false),
    ] {
        let (_, run) = streamed(&format!(r#"{{"command":{command}}}"#));
        assert_eq!(run.resumes, resumes, "{command}");
    }
    assert!(!streamed(r#"{"input":{"resume":1}}"#).1.resumes);
}

#[test]
fn what_the_proxy_needs_to_know_of_the_run_is_found() {
    let id = "fe096781-5601-53d2-b2f6-0d3403f7e9ca";
    let (_, run) = streamed(&format!(r#"{{"assistant_id":"{id}","on_disconnect":"cancel"}}"#));
    assert_eq!(run.assistant, id.parse().ok());
    assert_eq!(run.on_disconnect, OnDisconnect::Cancel);
    let (_, run) = streamed(r#"{"assistant_id":"agent"}"#);
    assert_eq!((run.assistant, run.on_disconnect), (None, OnDisconnect::Continue));
}

#[test]
fn a_batch_is_rewritten_run_by_run_in_its_order() {
    let body = r#"[{"assistant_id":"a","stream_mode":"updates"}, {"command":{"resume":1}}]"#;
    let batch = admit_batch(body.as_bytes(), REQUEST).unwrap();
    let sent: Value = serde_json::from_slice(&batch.body).unwrap();
    assert_eq!(sent[0]["stream_mode"], json!(["updates", "tasks"]));
    assert_eq!(sent[1]["stream_resumable"], true);
    assert_eq!(batch.runs.len(), 2);
    assert!(batch.runs[1].resumes);
    assert_eq!(admit_batch(b"[]", REQUEST).unwrap().body, "[]");
}

#[test]
fn a_bad_body_is_told_by_code_and_position_only() {
    let refused = |body: &[u8]| admit_run(body, CreateStyle::Stream, REQUEST).unwrap_err();
    assert_eq!(refused(b"{\"hunter2\": nope}"), AdmitError::NotJson { line: 1, column: 14 });
    assert_eq!(refused(b""), AdmitError::NotJson { line: 1, column: 0 });
    assert_eq!(refused(b"hunter2"), AdmitError::NotJson { line: 1, column: 1 });
    assert_eq!(refused(b"[1]"), AdmitError::NotAnObject);
    assert_eq!(refused(b"\"x\""), AdmitError::NotAnObject);
    assert_eq!(refused(b"{\"a\":\"\xff\"}"), AdmitError::NotUtf8 { offset: 6 });
    assert_eq!(refused(b"{} {}").code(), "body_not_json");
    assert_eq!(refused(b"\xef\xbb\xbf{}").code(), "body_not_json");
    let batch = |body: &[u8]| admit_batch(body, REQUEST).unwrap_err();
    assert_eq!(batch(b"{}"), AdmitError::NotAnArray);
    assert_eq!(batch(b"[{},7]"), AdmitError::ElementNotAnObject { index: 1 });
    let long = format!("[{}{{}}]", "{},".repeat(BATCH_MAX_RUNS));
    assert_eq!(batch(long.as_bytes()), AdmitError::BatchTooLong { limit: BATCH_MAX_RUNS });
    assert!(!refused(b"{\"hunter2\": nope}").to_string().contains("hunter2"));
}

#[test]
fn a_deep_body_costs_no_stack() {
    let depth = 500_000;
    for key in ["input", "metadata", "config", "stream_mode", "command"] {
        let body = format!("{{\"{key}\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(admit_run(body.as_bytes(), CreateStyle::Stream, REQUEST).is_ok(), "{key}");
    }
    let body = format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(admit_run(body.as_bytes(), CreateStyle::Stream, REQUEST).is_ok());
}

#[test]
fn a_cron_gets_the_request_id_but_no_stream_mode() {
    let body =
        br#"{"schedule":"* * * * *","metadata":{"user_id":"x"},"config":{"metadata":{"ls_a":1}}}"#;
    let (sent, forged) = admit_cron(body, REQUEST).unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["metadata"], json!({ REQUEST_KEY: REQUEST.to_string() }));
    assert_eq!(sent.get("stream_mode"), None);
    assert_eq!(forged, 2);
}

#[test]
fn a_command_that_starts_a_run_is_cleaned_like_its_creation() {
    let body = br#"{"id":1,"method":"run.start","params":{"assistant_id":"agent",
        "config":{"configurable":{"langgraph_auth_user_id":"root"}},"metadata":{"user_id":"x"}}}"#;
    let sent = admit_command(body, REQUEST).unwrap();
    assert_eq!((sent.command, sent.forged), (Command::RunStart, 2));
    let sent: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(sent["params"]["metadata"], json!({ REQUEST_KEY: REQUEST.to_string() }));
    assert_eq!(sent["params"]["config"]["configurable"], json!({}));
    assert_eq!(sent["id"], 1);

    let answer = br#"{"id":2,"method":"input.respond","params":{"interrupt_id":"i","response":1}}"#;
    let sent = admit_command(answer, REQUEST).unwrap();
    assert_eq!(sent.command, Command::InputRespond);
    assert_eq!(&sent.body[..], &answer[..]);
}

#[test]
fn a_thread_keeps_the_keys_its_application_files_it_by() {
    let body = br#"{"metadata":{"user_id":"u-7","langgraph_auth_user_id":"root","gw_asked":"x"}}"#;
    let (sent, forged) = clean_metadata(body).unwrap();
    assert_eq!(&sent[..], br#"{"metadata":{"user_id":"u-7"}}"#);
    assert_eq!(forged, 2);
    assert_eq!(clean_metadata(b"").unwrap().0, "");
}

/// JSON values whose keys are often those that matter.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\é]{0,6}".prop_map(Value::from),
        prop::sample::select(&["values", "messages", "tasks", "true"][..]).prop_map(Value::from),
    ];
    let key = prop_oneof![
        prop::sample::select(&RUN_KEYS[..]).prop_map(str::to_owned),
        prop::sample::select(&["configurable", "resume", "langgraph_x", "gw_request_id", "a"][..])
            .prop_map(str::to_owned),
        "[a-z\"é]{0,4}",
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..8)
                .prop_map(|map| Value::from(serde_json::Map::from_iter(map))),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_sent_is_json_that_differs_only_where_it_may(asked in values()) {
        let Ok(sent) = admit_run(asked.to_string().as_bytes(), CreateStyle::Wait, REQUEST) else {
            prop_assert!(!asked.is_object());
            return Ok(());
        };
        let sent: Value = serde_json::from_slice(&sent.body).unwrap();
        let may_differ = &RUN_KEYS[..7];
        for (key, value) in asked.as_object().unwrap() {
            if !may_differ.contains(&key.as_str()) {
                prop_assert_eq!(&sent[key], value);
            }
        }
        for key in sent.as_object().unwrap().keys() {
            prop_assert!(asked.get(key).is_some() || may_differ.contains(&key.as_str()));
        }
        if let Some(metadata) = sent["metadata"].as_object() {
            for key in metadata.keys().filter(|key| *key != REQUEST_KEY && *key != ASKED_KEY) {
                prop_assert!(!Reserved::RunMetadata.holds(key));
            }
        }
    }

    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a1\\\\u ]{0,40}") {
        for body in [&body[..], text.as_bytes()] {
            let _ = admit_run(body, CreateStyle::Stream, REQUEST);
            let _ = admit_batch(body, REQUEST);
            let _ = admit_command(body, REQUEST);
            let _ = clean_metadata(body);
        }
    }
}
