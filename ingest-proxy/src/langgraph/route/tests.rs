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

#[test]
fn a_path_has_one_plain_form_however_it_is_written() {
    let cases = [
        ("/admin/users", "/admin/users"),
        ("/admin/users/", "/admin/users"),
        ("/%61dmin/user%73", "/admin/users"),
        ("/caf%C3%A9", "/caf\u{e9}"),
        ("/a%20b", "/a b"),
        ("/", "/"),
        ("", "/"),
    ];
    for (path, plain) in cases {
        assert_eq!(Operation::plain_path(path, "").as_deref(), Ok(plain), "{path}");
    }
    assert_eq!(Operation::plain_path("/lg/runs", "/lg").as_deref(), Ok("/runs"));
    assert_eq!(Operation::plain_path("/runs", "/lg").as_deref(), Ok("/runs"));
}

#[test]
fn a_path_that_any_server_might_read_otherwise_has_no_plain_form() {
    let paths = [
        "/a/../admin",
        "/a/./b",
        "//admin",
        "/a//b",
        "/a/%2e%2e/admin",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/%2561dmin",
        "/admin;x=1",
        "/admin%3bx",
        "/admin%00",
        "/a%0ab",
        "/%zz",
        "/%ff",
        "/a%",
    ];
    for path in paths {
        assert!(Operation::plain_path(path, "").is_err(), "{path}");
    }
}

#[test]
fn every_operation_has_a_name_that_rules_may_say() {
    use Operation as Op;
    let scopes = [Scope::Thread(None), Scope::Stateless];
    let styles = [CreateStyle::Stream, CreateStyle::Wait, CreateStyle::Background];
    let accesses = [Access::Create, Access::Read, Access::Edit, Access::Delete, Access::Search];
    let mut all = vec![
        Op::RunCreateBatch,
        Op::RunJoin(None, None),
        Op::RunStream(None, None),
        Op::RunRead(None, None),
        Op::RunList(None),
        Op::RunCancel(None, None),
        Op::RunCancelMany,
        Op::RunDelete(None, None),
        Op::ThreadStream(None),
        Op::StateRead(None),
        Op::StateEdit(None),
        Op::HistoryRead(None),
        Op::ThreadCopy(None),
        Op::ThreadPrune,
        Op::Mcp,
        Op::A2a,
        Op::Command(None),
        Op::CommandEvents(None),
        Op::Meta,
        Op::Other,
    ];
    for scope in scopes {
        all.extend(styles.map(|style| Op::RunCreate(style, scope)));
    }
    for access in accesses {
        all.extend([Op::Thread(access, None), Op::Assistant(access, None)]);
        all.extend([Op::Cron(access, None), Op::Store(access)]);
    }
    let names: std::collections::BTreeSet<_> = all.iter().map(Op::name).collect();
    assert_eq!(names, std::collections::BTreeSet::from(OPERATIONS));
}

proptest! {
    #[test]
    fn a_plain_path_is_what_is_classified_and_stays_as_it_is(path in "/[a-z%/.;+2fF5cC]{0,24}") {
        if let Ok(plain) = Operation::plain_path(&path, "") {
            prop_assert!(Operation::classify(&Method::GET, &path, "").is_ok(), "{}", path);
            prop_assert_eq!(Operation::plain_path(&plain, ""), Ok(plain.clone()));
            prop_assert!(plain.starts_with('/') && !plain.contains("//"));
        }
    }

    #[test]
    fn no_path_panics(path in "\\PC{0,60}", method in "GET|POST|HEAD|DELETE|PATCH|PUT|TRACE") {
        let _ = Operation::classify(&method.parse().unwrap(), &path, "/x");
    }
}
