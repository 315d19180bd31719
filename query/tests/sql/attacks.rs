//! What a statement must not do: change anything, read a file, take all time or all memory.

use std::time::{Duration, Instant};

use trailgate_testkit::until;

use crate::world::{Plan, World, events};

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_do_harm_are_refused_with_their_code() {
    let world = World::start().await;
    world.log.append(&events(10)).await;
    let cases = include_str!("../data/attacks.sql").lines().filter(|line| !line.is_empty());
    let cases = cases.filter_map(|line| line.split_once("-- "));
    let mut tried = 0;
    for (sql, expected) in cases {
        let request = world.auditor().body(sql.trim().to_owned());
        let (status, code, body) = World::problem(request).await;
        assert_eq!(format!("{status} {code}"), expected.trim(), "{sql}: {body}");
        tried += 1;
    }
    assert!(tried > 40);
    // After all of them it still answers.
    until("all are seen", async || {
        (world.number("SELECT count(*) AS n FROM events").await == 10).then_some(())
    })
    .await;
}

/// Statements that are too large to stand in a file.
#[tokio::test(flavor = "multi_thread")]
async fn statements_that_nest_or_go_on_without_end_are_refused_and_crash_nothing() {
    let world = World::start().await;
    let deep = |open: &str, inner: &str, close: &str, n| {
        format!("SELECT {}{inner}{}", open.repeat(n), close.repeat(n))
    };
    let cases = [
        deep("(", "1", ")", 20_000),
        deep("(SELECT ", "1", ")", 5_000),
        deep("abs(", "1", ")", 10_000),
        deep("NOT ", "true", "", 10_000),
        deep("- ", "1", "", 20_000),
        deep("CASE WHEN true THEN ", "1", " END", 2_000),
        deep("[", "1", "]", 20_000),
        format!("SELECT {}", "1+".repeat(33_000)),
    ];
    for sql in cases {
        let start = &sql[..30];
        let (status, code, _) = World::problem(world.auditor().body(sql.clone())).await;
        assert!(status == 400, "{start}: {status} {code}");
    }
    let longs = [
        format!("SELECT {}1", "1+".repeat(30_000)),
        format!("SELECT {}true", "true AND ".repeat(6_000)),
        format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(3_000)),
        format!("SELECT 'x'{}", "||'x'".repeat(12_000)),
    ];
    for sql in longs {
        let (_, code, _) = World::problem(world.auditor().body(sql.clone())).await;
        assert_eq!(code, "statement_too_complex", "{}", &sql[..30]);
    }
    let lists = [
        format!("SELECT 1 WHERE 1 IN ({}1)", "1,".repeat(30_000)),
        format!("SELECT array_length([{}1])", "1,".repeat(10_000)),
        format!("SELECT {}1", "1+".repeat(400)),
    ];
    for sql in lists {
        assert_eq!(world.ask(&sql).await.status(), 200, "{}", &sql[..30]);
    }
    assert_eq!(world.number("SELECT 1 AS one").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_ends_in_its_time() {
    let configure = |config: &mut trailgate_query::QueryConfig| {
        config.max_time_s = 1;
        config.max_statements = 1;
    };
    let world = World::with(Plan { configure, ..Plan::default() }).await;
    let statements = [
        "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000) b",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
        "SELECT sum(value) FROM generate_series(1, 100000000000)",
        // Joins of few rows whose product has no end: nothing is read that could give way.
        "SELECT count(*) FROM generate_series(1, 5000) a, generate_series(1, 5000) b, generate_series(1, 1000000) c",
    ];
    for sql in statements {
        let since = Instant::now();
        // The place of the one before it is free again as soon as its task has ended.
        let (status, code) = until("the statement is taken", async || {
            let (status, code, _) = World::problem(world.auditor().body(sql)).await;
            (status != 429).then_some((status, code))
        })
        .await;
        assert_eq!((status, code.as_str()), (422, "statement_took_too_long"), "{sql}");
        assert!(since.elapsed() < Duration::from_secs(10), "{sql}: {:?}", since.elapsed());
    }
    until("another statement is taken", async || {
        (world.ask("SELECT 1").await.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_needs_too_much_memory_is_refused_it() {
    let configure = |config: &mut trailgate_query::QueryConfig| {
        config.max_memory_bytes = 4 * 1024 * 1024;
        config.max_spill_bytes = 4 * 1024 * 1024;
    };
    let world = World::with(Plan { configure, ..Plan::default() }).await;
    let statements = [
        "SELECT array_agg(value) FROM generate_series(1, 10000000)",
        "SELECT text FROM (SELECT 'x' || CAST(value AS TEXT) AS text FROM generate_series(1, 3000000)) ORDER BY text DESC",
        "SELECT a.value FROM generate_series(1, 3000000) a CROSS JOIN generate_series(1, 3000000) b",
        "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM t) SELECT max(s) FROM t",
    ];
    for sql in statements {
        let (status, code, body) = World::problem(world.auditor().body(sql)).await;
        assert_eq!(
            (status, code.as_str()),
            (422, "statement_needs_too_much_memory"),
            "{sql}: {body}"
        );
    }
}

/// Out of memory in the middle of a join the engine panics.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_on_which_the_engine_panics_fails_and_the_next_one_is_answered() {
    let world = World::start().await;
    let sql = "SELECT count(*) FROM generate_series(1, 5000) a CROSS JOIN generate_series(1, 5000) b \
               JOIN generate_series(1, 1000000) c ON a.value + b.value < c.value";
    let (status, code, _) = World::problem(world.auditor().body(sql)).await;
    assert!(status >= 400, "{status} {code}");
    assert_eq!(world.number("SELECT 1 AS one").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_statements_than_may_run_at_once_are_told_to_wait() {
    let configure = |config: &mut trailgate_query::QueryConfig| {
        config.max_time_s = 2;
        config.max_statements = 2;
    };
    let world = World::with(Plan { configure, ..Plan::default() }).await;
    let slow = "SELECT sum(value) FROM generate_series(1, 100000000000)";
    let asked = || World::problem(world.auditor().body(slow));
    let answers = tokio::join!(asked(), asked(), asked());
    let mut codes = [answers.0.1, answers.1.1, answers.2.1];
    codes.sort();
    assert_eq!(
        codes,
        ["statement_took_too_long", "statement_took_too_long", "too_many_statements"]
    );
}
