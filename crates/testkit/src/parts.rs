//! Where the real components are that `scripts/install-test-parts` installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::fail::{OrGiveUp, give_up};

/// The installed components of this checkout's pinned versions; what is not installed is absent.
#[derive(Clone, Debug, Deserialize)]
pub struct Parts {
    /// The cache folder that holds them.
    pub cache: PathBuf,
    python: Option<PathBuf>,
    langgraph: Option<PathBuf>,
    java: Option<PathBuf>,
    kafka_libs: Option<PathBuf>,
    registry_jar: Option<PathBuf>,
    node: Option<PathBuf>,
    oidc_modules: Option<PathBuf>,
    versitygw: Option<PathBuf>,
    keycloak: Option<PathBuf>,
    consumer_python: Option<PathBuf>,
    kcat: Option<PathBuf>,
    rsyslogd: Option<PathBuf>,
    rsyslog_imkafka: Option<PathBuf>,
}

impl Parts {
    /// Asks the installer, once a process.
    #[must_use]
    pub fn find() -> &'static Self {
        static PARTS: OnceLock<Parts> = OnceLock::new();
        PARTS.get_or_init(ask)
    }

    /// Python with `langgraph_sdk`. Like all of these: ends the test if it is not installed.
    #[must_use]
    pub fn python(&self) -> &Path {
        present("python", self.python.as_deref())
    }

    /// The `langgraph` command.
    #[must_use]
    pub fn langgraph(&self) -> &Path {
        present("langgraph", self.langgraph.as_deref())
    }

    /// Java's run time.
    #[must_use]
    pub fn java(&self) -> &Path {
        present("java", self.java.as_deref())
    }

    /// A Java program about to be started: compiled once and quickly, since none runs for longer than
    /// a test, and collecting with one thread.
    pub(crate) fn java_command(&self) -> Command {
        let mut command = Command::new(self.java());
        command.args([COMPILE_QUICKLY, "-XX:+UseSerialGC"]);
        command
    }

    /// The folder of Apache Kafka's jars.
    #[must_use]
    pub fn kafka_libs(&self) -> &Path {
        present("kafka_libs", self.kafka_libs.as_deref())
    }

    /// The schema registry's jar.
    #[must_use]
    pub fn registry_jar(&self) -> &Path {
        present("registry_jar", self.registry_jar.as_deref())
    }

    /// Node.js.
    #[must_use]
    pub fn node(&self) -> &Path {
        present("node", self.node.as_deref())
    }

    /// The folder of the OpenID Connect provider's modules.
    #[must_use]
    pub fn oidc_modules(&self) -> &Path {
        present("oidc_modules", self.oidc_modules.as_deref())
    }

    /// The S3 server.
    #[must_use]
    pub fn versitygw(&self) -> &Path {
        present("versitygw", self.versitygw.as_deref())
    }

    /// Keycloak's folder.
    #[must_use]
    pub fn keycloak(&self) -> &Path {
        present("keycloak", self.keycloak.as_deref())
    }

    /// Python with a Kafka consumer that knows Avro and a schema registry.
    #[must_use]
    pub fn consumer_python(&self) -> &Path {
        present("consumer_python", self.consumer_python.as_deref())
    }

    /// The `kcat` command.
    #[must_use]
    pub fn kcat(&self) -> &Path {
        present("kcat", self.kcat.as_deref())
    }

    /// The `rsyslogd` command, and the module by which it reads Kafka.
    #[must_use]
    pub fn rsyslog(&self) -> (&Path, &Path) {
        let module = present("rsyslog_imkafka", self.rsyslog_imkafka.as_deref());
        (present("rsyslogd", self.rsyslogd.as_deref()), module)
    }
}

/// The root of the checkout.
#[must_use]
pub fn project_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .or_give_up("the project's root")
}

fn ask() -> Parts {
    let script = project_root().join("scripts/install-test-parts");
    let answer = Command::new("python3").arg(&script).arg("--where").output();
    let answer = answer.or_give_up("running scripts/install-test-parts --where");
    if !answer.status.success() {
        give_up("scripts/install-test-parts --where", &String::from_utf8_lossy(&answer.stderr));
    }
    serde_json::from_slice(&answer.stdout).or_give_up("reading where the parts are")
}

fn present<'a>(name: &str, path: Option<&'a Path>) -> &'a Path {
    path.unwrap_or_else(|| give_up(name, &"not installed; run scripts/install-test-parts"))
}

/// A Java program of a test runs too short for more to pay.
pub(crate) const COMPILE_QUICKLY: &str = "-XX:TieredStopAtLevel=1";
