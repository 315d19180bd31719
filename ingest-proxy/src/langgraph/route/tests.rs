use proptest::prelude::*;

use super::*;

const THREAD: &str = "01a207e7-3b33-7212-8090-ee2cd8226ffe";
const RUN: &str = "01a207e7-42d1-72c5-bb59-317bf5395d90";

fn asked(method: &str, path: &str) -> Operation {
    Operation::classify(&method.parse().unwrap(), path, "").unwrap()
}

fn name(method: &str, path: &str) -> &'static str {
    let path = path.replace("{t}", THREAD).replace("{r}", RUN).replace("{id}", RUN);
    asked(method, &path).name()
}

#[test]
fn every_route_of_the_server_has_its_name() {
    for line in include_str!("../../../testdata/langgraph/routes.txt").lines() {
        let [method, path, expected, write] = line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        let path = path.replace("{t}", THREAD).replace("{r}", RUN).replace("{id}", RUN);
        let operation = asked(method, &path);
        assert_eq!(operation.name(), expected, "{line}");
        assert_eq!(operation.is_write(), write == "write", "{line}");
        assert_eq!(operation.thread_id().is_some(), path.contains(THREAD), "the thread of {line}");
    }
}

#[test]
fn ids_are_kept_only_if_they_are_ids() {
    let thread = THREAD.parse().ok();
    let run = RUN.parse().ok();
    assert_eq!(
        asked("GET", &format!("/threads/{THREAD}/runs/{RUN}/stream")),
        Operation::RunStream(thread, run)
    );
    assert_eq!(
        asked("GET", &format!("/threads/hunter2/runs/{RUN}")),
        Operation::RunRead(None, run)
    );
    assert_eq!(asked("POST", "/threads/hunter2/runs/stream").session(), SessionOf::Caller);
}

#[test]
fn a_stateless_run_has_a_session_of_its_own_and_a_thread_gives_its_own() {
    assert_eq!(asked("POST", "/runs/stream").session(), SessionOf::StatelessRun);
    assert_eq!(
        asked("POST", &format!("/threads/{THREAD}/runs")).session(),
        SessionOf::Thread(THREAD.parse().unwrap())
    );
    assert_eq!(asked("POST", "/threads/search").session(), SessionOf::Caller);
}

#[test]
fn an_escaped_path_is_read_as_the_server_reads_it() {
    assert_eq!(name("POST", "/runs/%73tream"), "run.create.stream");
    assert_eq!(name("POST", "/threads%2F{t}%2fruns%2Fwait"), "run.create.wait");
    assert_eq!(name("POST", "/runs/stream/"), "run.create.stream");
}

#[test]
fn a_path_that_could_mean_two_things_is_refused() {
    for path in
        ["/x/../runs/stream", "/runs/%2e%2e/runs", "//runs/stream", "/runs//stream", "/./runs"]
    {
        let refused = Operation::classify(&Method::POST, path, "");
        assert_eq!(refused, Err(PathError::Ambiguous), "{path}");
    }
    for path in ["/runs/%7", "/runs/%zz", "/%ff"] {
        let refused = Operation::classify(&Method::POST, path, "");
        assert_eq!(refused, Err(PathError::Escape), "{path}");
    }
}

#[test]
fn a_mount_prefix_is_taken_off_and_a_path_beside_it_is_still_seen() {
    for prefix in ["/agents", "/agents/"] {
        let classify = |path| Operation::classify(&Method::POST, path, prefix).unwrap().name();
        assert_eq!(classify("/agents/runs/wait"), "run.create.wait");
        assert_eq!(classify("/runs/wait"), "run.create.wait");
        assert_eq!(classify("/agentsruns/wait"), "other");
    }
}

proptest! {
    #[test]
    fn no_path_panics(path in "\\PC{0,60}", method in "GET|POST|HEAD|DELETE|PATCH|PUT|TRACE") {
        let _ = Operation::classify(&method.parse().unwrap(), &path, "/x");
    }
}
