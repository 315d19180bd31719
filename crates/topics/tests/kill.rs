//! Killed at any moment, the embedded log loses nothing that was acknowledged, and a processor's
//! effects appear once. The process that is killed is this test binary, run again for one ignored
//! test; it ends when its standard input does, so none outlives its parent.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod contract;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use contract::processor::{Counter, spec};
use tempfile::TempDir;
use trailgate_service::SystemClock;
use trailgate_topics::{
    Appender, Backbone, BackboneError, EmbeddedConfig, EmbeddedLog, Offset, Partition, Topic,
};

fn open(folder: &Path) -> Result<EmbeddedLog, BackboneError> {
    let config = EmbeddedConfig { folder: folder.to_owned(), partitions: PARTITIONS };
    EmbeddedLog::open(&config, Arc::new(SystemClock))
}

fn reopened(folder: &TempDir) -> Arc<dyn Backbone> {
    Arc::new(open(folder.path()).unwrap())
}

/// A process that is to be killed.
struct Victim {
    process: Child,
    said: std::io::Lines<BufReader<ChildStdout>>,
    /// Its end is the child's.
    _input: ChildStdin,
}

impl Victim {
    fn start(test: &str, folder: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = process.stdin.take().unwrap();
        writeln!(input, "{}", folder.display()).unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, said, _input: input }
    }

    /// The next thing it said, behind the mark that keeps it apart from the test runner's lines.
    fn next(&mut self) -> Option<String> {
        loop {
            let line = self.said.next()?.ok()?;
            if let Some((_, said)) = line.split_once("> ") {
                return Some(said.to_owned());
            }
        }
    }

    /// SIGKILL; then what it had said before.
    fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        let rest = std::iter::from_fn(|| self.next()).collect();
        self.process.wait().unwrap();
        rest
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Already gone unless the test failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the child: the folder, and an end when the parent ends. Without a parent there is none.
fn told_folder() -> Option<PathBuf> {
    let mut folder = String::new();
    if std::io::stdin().read_line(&mut folder).unwrap() == 0 {
        return None;
    }
    std::thread::spawn(|| {
        // Nothing more is sent: this waits for the end of input.
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::abort();
    });
    Some(PathBuf::from(folder.trim_end()))
}

fn say(what: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "> {what}").unwrap();
    out.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "killed by nothing_acknowledged_is_lost"]
async fn child_appends() {
    let Some(folder) = told_folder() else { return };
    let log: Arc<dyn Backbone> = Arc::new(open(&folder).unwrap());
    log.ensure(Topic::ALL).await.unwrap();
    let ends = contract::ends(&log, Topic::Raw).await;
    let mut tasks = tokio::task::JoinSet::new();
    for (partition, end) in ends {
        let appender = log.appender().unwrap();
        tasks.spawn(append_for_ever(appender, partition, usize::try_from(end.0).unwrap()));
    }
    while tasks.join_next().await.is_some() {}
}

async fn append_for_ever(appender: Arc<dyn Appender>, partition: Partition, mut number: usize) {
    let record = |number| contract::marked(Topic::Raw, partition.0, "kill", number);
    loop {
        // Several at once, so that a kill falls into the middle of a batch.
        let batch: Vec<_> = (number..number + 8).map(|n| appender.append(record(n))).collect();
        for ack in batch {
            let offset = ack.await.unwrap();
            say(format_args!("{} {number} {}", partition.0, offset.0));
            number += 1;
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<u32, Vec<(usize, i64)>> = BTreeMap::new();
    for round in 1..=6 {
        let mut child = Victim::start("child_appends", folder.path());
        let mut said: Vec<String> = (0..round * 150).map(|_| child.next().unwrap()).collect();
        said.extend(child.kill());
        for line in said {
            let mut words = line.split(' ').map(|word| word.parse::<i64>());
            let mut word = || words.next().and_then(Result::ok);
            // The last line may be cut.
            let (Some(partition), Some(number), Some(offset)) = (word(), word(), word()) else {
                continue;
            };
            let of_partition = acknowledged.entry(u32::try_from(partition).unwrap()).or_default();
            of_partition.push((usize::try_from(number).unwrap(), offset));
        }
        let log = reopened(&folder);
        let ends = contract::ends(&log, Topic::Raw).await;
        let total: i64 = ends.values().map(|end| end.0).sum();
        let start = ends.keys().map(|partition| (*partition, Offset(0))).collect();
        let is_all = |read: &[_]| read.len() as i64 == total;
        let read = contract::read_until(&log, Topic::Raw, &start, is_all).await;
        for (partition, acknowledged) in &acknowledged {
            let of = read.iter().filter(|record| record.partition.0 == *partition);
            let kept: Vec<(usize, i64)> = of
                .map(|record| (contract::number("kill", record).unwrap(), record.offset.0))
                .collect();
            let dense = kept.iter().enumerate().all(|(index, (number, _))| index == *number);
            assert!(dense, "each record once, in order, without a hole");
            assert!(acknowledged.iter().all(|acked| kept.contains(acked)), "none is lost");
        }
    }
    assert_eq!(acknowledged.len(), PARTITIONS as usize);
}

#[tokio::test]
#[ignore = "killed by a_killed_processor_s_effects_appear_once"]
async fn child_processes() {
    let Some(folder) = told_folder() else { return };
    let log = open(&folder).unwrap();
    let spec = spec("kill", "a");
    let handle = log.process(spec, Box::new(Counter::new("kill"))).unwrap();
    let mut status = handle.status();
    loop {
        // Says so also when nothing changed, so that its parent kills it in time.
        let _ = tokio::time::timeout(Duration::from_millis(10), status.changed()).await;
        say(format_args!("{}", status.borrow_and_update().committed));
    }
}

#[tokio::test]
async fn a_killed_processor_s_effects_appear_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = reopened(&folder);
    log.ensure(Topic::ALL).await.unwrap();
    let from = contract::ends(&log, Topic::Decisions).await;
    for (partition, first) in (0..PARTITIONS).flat_map(|p| [(p, 0), (p, RECORDS / 2)]) {
        let half = first..first + RECORDS / 2;
        contract::append(&log, Topic::Raw, partition, "kill", half).await;
    }
    drop(log);
    let total = RECORDS * PARTITIONS as usize;
    let mut committed = 0;
    for round in 0..8 {
        let mut child = Victim::start("child_processes", folder.path());
        // At another moment each time: a step is committed every 50 ms, and this waits for 10.
        let mut said: Vec<String> = (0..10 + 3 * round).map(|_| child.next().unwrap()).collect();
        said.extend(child.kill());
        let counts = said.iter().filter_map(|line| line.parse::<usize>().ok());
        committed += counts.max().unwrap_or_default();
        assert!(committed <= total, "what was committed is not taken again");
    }
    let log = reopened(&folder);
    let handle = log.process(spec("kill", "a"), Box::new(Counter::new("kill"))).unwrap();
    let is_all = |read: &[_]| contract::numbers("out-kill", read).len() >= total;
    let read = contract::read_until(&log, Topic::Decisions, &from, is_all).await;
    contract::within(handle.stop()).await;
    for partition in 0..PARTITIONS {
        let of = read.iter().filter(|record| record.partition.0 == partition);
        assert_eq!(contract::numbers("out-kill", of), (1..=RECORDS).collect::<Vec<_>>());
    }
}

#[tokio::test]
#[ignore = "killed by a_folder_is_held_by_one_process_and_free_when_that_is_killed"]
async fn child_holds() {
    let Some(folder) = told_folder() else { return };
    let log = open(&folder).unwrap();
    say(format_args!("{}", std::process::id()));
    log.ping(Duration::from_secs(60)).await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_folder_is_held_by_one_process_and_free_when_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Victim::start("child_holds", folder.path());
    let holder: u32 = child.next().unwrap().parse().unwrap();
    let said = open(folder.path()).err().unwrap();
    let BackboneError::Held { folder: named, pid, since } = said else { panic!("said {said:?}") };
    assert_eq!((named, pid), (folder.path().display().to_string(), holder));
    assert!(since.starts_with("20") && since.ends_with('Z'), "{since}");
    child.kill();
    open(folder.path()).unwrap();
}

const PARTITIONS: u32 = 3;
const RECORDS: usize = 15_000;
