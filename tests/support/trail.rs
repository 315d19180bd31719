//! A gateway and the trail behind it, on either backbone, as a test uses it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use trailgate_testkit::limits::WAIT_MAX;
use trailgate_testkit::{PythonSdk, until_paced};

use crate::stages::{Connection, Stages, TablePlace};
use crate::up::Up;

/// On what a trail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// All stages in one process, on the embedded log.
    Embedded,
    /// Each stage a process, on Apache Kafka, the table in a bucket.
    Kafka,
}

/// A gateway before one LangGraph server, and the trail behind it.
#[derive(Debug)]
pub struct Trail {
    /// Where callers connect.
    pub proxy_url: String,
    /// Where SQL is asked.
    pub query_url: String,
    /// A token that may do both.
    pub token: String,
    /// What runs.
    pub running: Running,
}

/// What runs behind a trail.
#[derive(Debug)]
pub enum Running {
    /// One process.
    Up(Box<Up>),
    /// Separate services.
    Stages(Box<Stages>),
}

impl Trail {
    /// Starts everything before the LangGraph server at `upstream`.
    pub async fn start(on: On, upstream: &str) -> Self {
        match on {
            On::Embedded => Self::of_up(Up::start(upstream).await),
            On::Kafka => {
                let upstream = upstream.to_owned();
                let agents = Connection { name: "agents", kind: "langgraph", upstream, more: "" };
                let stages = Stages::start(&[agents], TablePlace::Bucket).await;
                Self::of_stages(stages, "agents").await
            }
        }
    }

    /// The trail of a running `trailgate up`.
    #[must_use]
    pub fn of_up(up: Up) -> Self {
        let dev = up.dev().clone();
        let running = Running::Up(Box::new(up));
        Self { proxy_url: dev.proxy_url, query_url: dev.query_url, token: dev.token, running }
    }

    /// The trail of running stages, seen through one connection, as alice.
    pub async fn of_stages(stages: Stages, connection: &str) -> Self {
        Self {
            proxy_url: stages.connection_url(connection),
            query_url: stages.query_url(),
            token: stages.token("alice").await,
            running: Running::Stages(Box::new(stages)),
        }
    }

    /// The SDK through the gateway.
    #[must_use]
    pub fn sdk(&self) -> PythonSdk {
        PythonSdk::bearing(&self.proxy_url, &self.token)
    }

    /// The rows that a statement gives; ends the test if it is refused.
    pub async fn sql(&self, statement: &str) -> Vec<Value> {
        match self.try_sql(statement).await {
            Ok(rows) => rows,
            Err(refused) => panic!("refused: {refused}"),
        }
    }

    /// The rows that a statement gives, or what the query stage answered instead.
    ///
    /// # Errors
    /// The status and body of a refusal.
    pub async fn try_sql(&self, statement: &str) -> Result<Vec<Value>, String> {
        let answer = reqwest::Client::new()
            .post(format!("{}/v1/sql", self.query_url))
            .bearer_auth(&self.token)
            .header("accept", "application/x-ndjson")
            .body(statement.to_owned())
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("{status}: {text}"));
        }
        let mut lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // The last line says how complete the answer is; without it the answer was cut.
        match lines.pop() {
            Some(last) if last.get("complete_until").is_some() => Ok(lines),
            _ => Err("the answer has no last line".to_owned()),
        }
    }

    /// Asks again until `look` finds in the rows what it looks for.
    pub async fn until_sql<T>(
        &self,
        what: &str,
        statement: &str,
        mut look: impl FnMut(&[Value]) -> Option<T>,
    ) -> T {
        until_paced(SQL_PAUSE, WAIT_MAX, what, async || {
            let rows = self.try_sql(statement).await.ok()?;
            look(&rows)
        })
        .await
    }

    /// One number: the first column of the first row.
    pub async fn number(&self, statement: &str) -> i64 {
        let rows = self.sql(statement).await;
        rows[0].as_object().and_then(|row| row.values().next()?.as_i64()).unwrap()
    }

    /// Every folder and log in which no planted secret may be: topics, table, state, logs.
    #[must_use]
    pub fn places(&mut self) -> Vec<PathBuf> {
        match &mut self.running {
            Running::Up(up) => vec![up.data(), up.daemon().process().log_file().to_owned()],
            Running::Stages(stages) => {
                let mut places = vec![stages.kafka.data_folder(), stages.folder().to_owned()];
                places.extend(stages.s3.iter().map(|s3| s3.objects_folder().to_owned()));
                let logs = stages.daemons().map(|daemon| daemon.process().log_file().to_owned());
                places.extend(logs);
                places
            }
        }
    }
}

/// Between two statements that wait for the same thing: each costs the query stage a plan, and the
/// trail a record.
const SQL_PAUSE: Duration = Duration::from_millis(200);
