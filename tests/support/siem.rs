//! The trail's topics as others read them: kcat, rsyslog's imkafka, and a Python consumer that knows
//! Avro and a schema registry. Each is the real program, configured as the guide says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use trailgate_testkit::limits::WAIT_MAX;
use trailgate_testkit::{Child, Parts, project_root, until_within};

use crate::stages::Stages;

/// A record of `audit.siem` as a consumer got it.
#[derive(Clone, Debug)]
pub struct SiemRecord {
    /// Its key.
    pub key: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its value.
    pub object: Value,
}

/// A record of `audit.events` as a consumer got it that asked the registry for its schema.
#[derive(Clone, Debug, Deserialize)]
pub struct AvroRecord {
    /// Its key.
    pub key: String,
    /// The registry's id of the schema that wrote it.
    pub schema_id: i64,
    /// Its fields.
    pub event: Value,
}

/// All that is on `audit.siem`, by kcat.
pub async fn by_kcat(stages: &Stages) -> Vec<SiemRecord> {
    #[derive(Deserialize)]
    struct Printed {
        key: String,
        headers: Vec<String>,
        payload: String,
    }
    let mut kcat = Command::new(Parts::find().kcat());
    kcat.args(["-C", "-b", &stages.kafka.bootstrap(), "-t", "audit.siem"]).args([
        "-o",
        "beginning",
        "-e",
        "-q",
        "-J",
        "-X",
        "isolation.level=read_committed",
    ]);
    let parsed = |line: &String| {
        let printed: Printed = serde_json::from_str(line).unwrap();
        let pairs = printed.headers.chunks_exact(2);
        SiemRecord {
            key: printed.key,
            headers: pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
            object: serde_json::from_str(&printed.payload).unwrap(),
        }
    };
    lines_of("kcat", kcat).await.iter().map(parsed).collect()
}

/// All that is on `audit.siem`, by a syslog daemon that writes what it gets to a file: at least
/// `count` records, and whatever comes until it has ended.
pub async fn by_rsyslog(stages: &Stages, count: usize) -> Vec<Value> {
    let folder = tempfile::Builder::new().prefix("trailgate-rsyslog-").tempdir().unwrap();
    let (config, output) = (folder.path().join("rsyslog.conf"), folder.path().join("siem.jsonl"));
    let text = rsyslog_config(&stages.kafka.bootstrap(), folder.path(), &output);
    std::fs::write(&config, text).unwrap();
    let (rsyslogd, _) = Parts::find().rsyslog();
    let mut command = Command::new(rsyslogd);
    command.arg("-n").arg("-f").arg(&config).arg("-i").arg(folder.path().join("pid"));
    let mut daemon = Child::start("rsyslogd", command, &folder.path().join("log"));
    let lines = || std::fs::read_to_string(&output).unwrap_or_default();
    until_within(WAIT_MAX, "rsyslog's lines", async || {
        daemon.must_live();
        (lines().matches('\n').count() >= count).then_some(())
    })
    .await;
    daemon.terminate().await;
    lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All that is on `audit.events`, by a consumer that knows the registry.
pub async fn by_avro_consumer(stages: &Stages) -> Vec<AvroRecord> {
    let mut consumer = Command::new(Parts::find().consumer_python());
    consumer
        .arg(project_root().join("tests/parts/consumer/events.py"))
        .args([&stages.kafka.bootstrap(), &stages.registry.url(), "audit.events"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "127.0.0.1");
    let lines = lines_of("avro consumer", consumer).await;
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The event ids of OCSF objects; ends the test if one is there twice.
#[must_use]
pub fn event_ids<'a>(objects: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for object in objects {
        let id = object["metadata"]["uid"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "event {id} is there twice");
    }
    ids
}

/// Ends the test if an object is not valid by the published schema of the class that it names.
pub async fn must_be_valid_ocsf(objects: &[&Value]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
    std::fs::write(file.path(), lines).unwrap();
    let mut validator = Command::new(Parts::find().consumer_python());
    validator
        .arg(project_root().join("tests/parts/consumer/valid.py"))
        .arg(project_root().join("schemas/ocsf"))
        .arg(file.path())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let said = lines_of("ocsf validator", validator).await;
    assert_eq!(said, [format!("{} valid", objects.len())]);
}

/// What a command that ends by itself has printed; ends the test if it fails.
async fn lines_of(name: &str, command: Command) -> Vec<String> {
    let folder = tempfile::Builder::new().prefix("trailgate-consumer-").tempdir().unwrap();
    let (output, log) = (folder.path().join("lines"), folder.path().join("log"));
    let mut process = Child::start_with_output(name, command, &output, &log);
    let what = format!("the end of {name}");
    let status = until_within(WAIT_MAX, &what, async || process.ended()).await;
    if !status.success() {
        process.complain("failed");
    }
    std::fs::read_to_string(&output).unwrap().lines().map(str::to_owned).collect()
}

fn rsyslog_config(bootstrap: &str, folder: &Path, output: &Path) -> String {
    let (folder, output) = (folder.display(), output.display());
    format!(
        r#"global(workDirectory="{folder}" maxMessageSize="128k")
module(load="imkafka")
template(name="json" type="string" string="%rawmsg%\n")
ruleset(name="siem") {{
  action(type="omfile" file="{output}" template="json")
}}
input(type="imkafka" ruleset="siem" broker=["{bootstrap}"] topic="audit.siem"
      consumergroup="rsyslog"
      confParam=["isolation.level=read_committed", "auto.offset.reset=earliest"])
"#
    )
}
