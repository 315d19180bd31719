//! A real Apache Kafka: one broker that is its own controller.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::child::Child;
use crate::fail::{OrGiveUp, give_up};
use crate::parts::Parts;
use crate::port::free_port;

/// A broker with a data folder of its own. It makes no topics by itself, flushes every record to
/// disk before it acknowledges it, and keeps its port and folder over kills and restarts.
#[derive(Debug)]
pub struct Kafka {
    port: u16,
    folder: TempDir,
    broker: Child,
}

impl Kafka {
    /// Formats a new folder and starts a broker on it. Takes about 5 s.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("trailgate-kafka-").tempdir();
        let folder = folder.or_give_up("making Kafka's folder");
        let port = free_port();
        let properties = server_properties(folder.path(), port, free_port());
        std::fs::write(properties_file(folder.path()), properties).or_give_up("configuring Kafka");
        format(folder.path());
        let mut kafka = Self { port, broker: launch(folder.path()), folder };
        kafka.await_start(0).await;
        kafka
    }

    /// What clients take as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills the broker at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.broker.kill();
    }

    /// Asks the broker to stop and waits until it has.
    pub async fn stop(&mut self) {
        self.broker.terminate().await;
    }

    /// Starts the broker again on the same folder and port, after killing it if it still runs.
    pub async fn restart(&mut self) {
        self.broker.kill();
        let printed = self.broker.log().len();
        self.broker = launch(self.folder.path());
        self.await_start(printed).await;
    }

    /// Stops the broker where it is: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.broker.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.broker.resume();
    }

    /// Takes a right on a topic from everybody, until [`Self::allow`]. Takes about 5 s.
    ///
    /// A right is one of Kafka's words: `Read`, `Write`, `Describe`.
    pub fn deny(&self, right: &str, topic: &str) {
        // A topic with any rule is closed to whom no rule allows.
        self.change_rights("--add", &["--allow-principal", "User:*", "--operation", "All"], topic);
        self.change_rights("--add", &["--deny-principal", "User:*", "--operation", right], topic);
    }

    /// Gives all rights on a topic back to everybody.
    pub fn allow(&self, topic: &str) {
        self.change_rights("--remove", &["--force"], topic);
    }

    fn change_rights(&self, change: &str, rule: &[&str], topic: &str) {
        let mut command = java(&["-Xmx128m"]);
        command.args([
            "org.apache.kafka.tools.AclCommand",
            "--bootstrap-server",
            &self.bootstrap(),
            change,
        ]);
        let changed = command.args(rule).args(["--topic", topic]).output();
        let changed = changed.or_give_up("changing the rights on a topic");
        if !changed.status.success() {
            let text = [changed.stdout, changed.stderr].concat();
            give_up("changing the rights on a topic", &String::from_utf8_lossy(&text));
        }
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Child {
        &self.broker
    }

    /// Where the broker keeps its records, to search them for what must not be there.
    #[must_use]
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    // The port is open before the broker serves; its log says when it does.
    async fn await_start(&mut self, printed: usize) {
        let started = |log: &str| log.contains("Kafka Server started");
        self.broker
            .await_ready(async |broker| broker.log().get(printed..).is_some_and(started))
            .await;
    }
}

fn server_properties(folder: &Path, port: u16, controller: u16) -> String {
    let data = folder.join("data");
    [
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
        format!("listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"),
        format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        format!("log.dirs={}", data.display()),
        "auto.create.topics.enable=false".to_owned(),
        // Everybody may do everything until a test says otherwise.
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
        "allow.everyone.if.no.acl.found=true".to_owned(),
        // An acknowledged record is on disk, as with several brokers it would be on others.
        "log.flush.interval.messages=1".to_owned(),
        // One broker can't keep three copies; few internal partitions start and fail over faster.
        "offsets.topic.replication.factor=1".to_owned(),
        "offsets.topic.num.partitions=4".to_owned(),
        "transaction.state.log.replication.factor=1".to_owned(),
        "transaction.state.log.min.isr=1".to_owned(),
        "transaction.state.log.num.partitions=4".to_owned(),
        "share.coordinator.state.topic.replication.factor=1".to_owned(),
        "share.coordinator.state.topic.min.isr=1".to_owned(),
        "group.initial.rebalance.delay.ms=0".to_owned(),
        String::new(),
    ]
    .join("\n")
}

fn format(folder: &Path) {
    let mut format = java(&["-Xmx128m"]);
    format.args(["kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID, "-c"]);
    let formatted = format.arg(properties_file(folder)).output().or_give_up("formatting Kafka");
    if !formatted.status.success() {
        let text = [formatted.stdout, formatted.stderr].concat();
        give_up("formatting Kafka's folder", &String::from_utf8_lossy(&text));
    }
}

fn launch(folder: &Path) -> Child {
    let mut broker = java(&["-Xms256m", "-Xmx512m", "-Dlog4j2.level=INFO"]);
    broker.arg("kafka.Kafka").arg(properties_file(folder));
    Child::start("kafka", broker, &folder.join("kafka.log"))
}

fn java(options: &[&str]) -> Command {
    let parts = Parts::find();
    let mut command = parts.java_command();
    command.args(options).arg("-cp").arg(parts.kafka_libs().join("*"));
    command
}

fn properties_file(folder: &Path) -> PathBuf {
    folder.join("server.properties")
}

// Any id: a cluster of one, in a folder of its own.
const CLUSTER_ID: &str = "dHJhaWxnYXRlLXRlc3RraQ";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_broker_comes_back_on_its_port_after_a_kill() {
        let mut kafka = Kafka::start().await;
        let bootstrap = kafka.bootstrap();
        kafka.kill();
        assert!(tokio::net::TcpStream::connect(&bootstrap).await.is_err());
        kafka.restart().await;
        assert!(tokio::net::TcpStream::connect(&bootstrap).await.is_ok());
    }
}
