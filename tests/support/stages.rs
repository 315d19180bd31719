//! The stages as separate services: Kafka, a schema registry, an OpenID Connect provider and an S3
//! server beside them, all real.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use trailgate_testkit::{
    Bucket, Daemon, Kafka, OidcProvider, Recipe, S3, SchemaRegistry, TokenRequest, free_port,
};

/// What a connection of the gateway leads to.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name.
    pub name: &'static str,
    /// `langgraph` or `http`.
    pub kind: &'static str,
    /// Where it leads.
    pub upstream: String,
    /// More lines of its section.
    pub more: &'static str,
}

/// Where the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TablePlace {
    /// In a local folder.
    Folder,
    /// In a bucket of an S3 server.
    Bucket,
}

/// Everything that runs, as separate processes.
#[derive(Debug)]
pub struct Stages {
    /// The broker.
    pub kafka: Kafka,
    /// The schema registry.
    pub registry: SchemaRegistry,
    /// The provider whose tokens are taken.
    pub oidc: OidcProvider,
    /// The S3 server, if the table is in a bucket.
    pub s3: Option<S3>,
    daemons: BTreeMap<String, Daemon>,
    ports: BTreeMap<String, u16>,
    bucket: Option<Bucket>,
    issuers: Vec<String>,
    awaits_ready: bool,
    folder: TempDir,
}

impl Stages {
    /// Starts the components, but no stage yet.
    pub async fn components(table: TablePlace) -> Self {
        let folder = tempfile::Builder::new().prefix("trailgate-stages-").tempdir().unwrap();
        let (kafka, registry, oidc) =
            tokio::join!(Kafka::start(), SchemaRegistry::start(), OidcProvider::start());
        let s3 = match table {
            TablePlace::Folder => None,
            TablePlace::Bucket => Some(S3::start().await),
        };
        let bucket = s3.as_ref().map(|s3| s3.bucket("audit"));
        let (daemons, ports) = (BTreeMap::new(), BTreeMap::new());
        let issuers = vec![oidc.issuer().to_owned()];
        let awaits_ready = true;
        let stages = Self {
            kafka,
            registry,
            oidc,
            s3,
            daemons,
            ports,
            bucket,
            issuers,
            awaits_ready,
            folder,
        };
        let keys = Recipe::of("trailgate").argument("keys").argument("new");
        let (status, said) = keys.argument(stages.keys_folder()).run_to_end().await;
        assert!(status.success(), "{said}");
        stages
    }

    /// Starts the components and one instance of each stage.
    pub async fn start(connections: &[Connection], table: TablePlace) -> Self {
        let mut stages = Self::components(table).await;
        stages.start_all(connections).await;
        stages
    }

    /// Starts one instance of each stage.
    pub async fn start_all(&mut self, connections: &[Connection]) {
        self.start_masker("masker-0").await;
        self.start_archiver("archiver-0").await;
        self.start_query().await;
        self.start_proxy(connections).await;
    }

    /// Starts the gateway with these connections, each on a port of its own.
    pub async fn start_proxy(&mut self, connections: &[Connection]) {
        let config = self.proxy_config(connections);
        self.launch("ingest-proxy", "ingest-proxy", &config).await;
    }

    /// Starts one more gateway, under this name and with ports of its own, which holds what the rules
    /// in this file say.
    pub async fn start_holding_proxy(&mut self, name: &str, connection: &Connection, rules: &Path) {
        let port = self.port(&connection_of(name, connection.name));
        let config = self.proxy_config_on(port, connection);
        let config = format!("{config}\n[policy]\nfile = \"{}\"\n", rules.display());
        self.launch("ingest-proxy", name, &config).await;
    }

    /// Where a connection of a gateway that has a name listens.
    #[must_use]
    pub fn url_of(&self, proxy: &str, connection: &str) -> String {
        self.connection_url(&connection_of(proxy, connection))
    }

    /// Starts an approver under this instance name.
    pub async fn start_approver(&mut self, instance: &str) {
        self.start_stage("approver", instance).await;
    }

    /// Starts a masker under this instance name.
    pub async fn start_masker(&mut self, instance: &str) {
        self.start_stage("masker", instance).await;
    }

    /// Starts an archiver under this instance name; it flushes every two seconds, sooner than by
    /// default and not so often that the table is all small files.
    pub async fn start_archiver(&mut self, instance: &str) {
        self.start_stage("archiver", instance).await;
    }

    /// Starts the query stage.
    pub async fn start_query(&mut self) {
        self.start_query_as("query").await;
    }

    /// Starts one more query stage, under this name.
    pub async fn start_query_as(&mut self, name: &str) {
        self.start_stage("query", name).await;
    }

    async fn start_stage(&mut self, stage: &str, name: &str) {
        let config = self.config_of(stage, name);
        self.launch(stage, name, &config).await;
    }

    /// How a stage is started, for a test that changes something first. The gateway has one
    /// connection, `web`, that leads nowhere.
    pub fn recipe(&mut self, stage: &str, name: &str) -> Recipe {
        let config = self.config_of(stage, name);
        self.recipe_with(stage, name, &config)
    }

    fn config_of(&mut self, stage: &str, name: &str) -> String {
        let sections = match stage {
            "ingest-proxy" => {
                let upstream = "http://127.0.0.1:1".to_owned();
                return self.proxy_config(&[Connection {
                    name: "web",
                    kind: "http",
                    upstream,
                    more: "",
                }]);
            }
            "masker" => {
                vec![format!("[masker]\ninstance = \"{name}\"\n"), self.backbone(), self.keys()]
            }
            "approver" => {
                let port = self.port(name);
                let head =
                    format!("[approver]\ninstance = \"{name}\"\nlisten = \"127.0.0.1:{port}\"\n");
                vec![head, self.backbone(), self.keys(), self.identity()]
            }
            "archiver" => {
                let head = format!("instance = \"{name}\"\n[archive]\nflush_after_ms = 2000\n");
                vec![head, self.backbone(), self.table()]
            }
            "query" => {
                let port = self.port(name);
                let head = format!(
                    "[query]\nlisten = \"127.0.0.1:{port}\"\nallow_groups = [\"auditors\"]\n\
                     scratch = \"{}\"\n",
                    self.folder().join("scratch").join(name).display(),
                );
                vec![head, self.backbone(), self.keys(), self.table(), self.identity()]
            }
            other => panic!("{other} is no stage"),
        };
        sections.join("\n")
    }

    /// Makes stages that start from now on not be waited for.
    pub const fn do_not_await(&mut self) {
        self.awaits_ready = false;
    }

    /// Makes stages that start from now on take this issuer's tokens, too.
    pub fn trust(&mut self, issuer: &str) {
        self.issuers.push(issuer.to_owned());
    }

    /// A running process: `ingest-proxy`, `query`, or the instance's name.
    pub fn daemon(&mut self, name: &str) -> &mut Daemon {
        self.daemons.get_mut(name).unwrap()
    }

    /// Everything that runs as a process of ours.
    pub fn daemons(&mut self) -> impl Iterator<Item = &mut Daemon> {
        self.daemons.values_mut()
    }

    /// Where a connection of the gateway listens.
    #[must_use]
    pub fn connection_url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.ports[name])
    }

    /// Where the query stage answers.
    #[must_use]
    pub fn query_url(&self) -> String {
        self.connection_url("query")
    }

    /// Where a process of ours has its health and metrics.
    #[must_use]
    pub fn admin_url(&self, name: &str) -> String {
        self.connection_url(&admin_of(name))
    }

    /// A token of somebody who may use the connections and may ask.
    pub async fn token(&self, subject: &str) -> String {
        self.oidc.token(&TokenRequest::of(subject).groups(&["agents", "auditors"])).await
    }

    /// Where keys, configuration and, if it is local, the table are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The keys of this deployment.
    #[must_use]
    pub fn keys_folder(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// The `[backbone]` section of every stage.
    #[must_use]
    pub fn backbone(&self) -> String {
        format!(
            "[backbone]\nkind = \"kafka\"\nbootstrap = \"{}\"\nregistry = \"{}\"\n\
             partitions = 4\ndurability = \"one-broker\"\n",
            self.kafka.bootstrap(),
            self.registry.url(),
        )
    }

    /// The `[identity]` section of the gateway and of query.
    #[must_use]
    pub fn identity(&self) -> String {
        let section = |issuer: &String| {
            format!("[[identity.issuers]]\nissuer = \"{issuer}\"\naudiences = [\"trailgate\"]\n")
        };
        self.issuers.iter().map(section).collect()
    }

    /// The gateway's configuration, with new ports for new connections.
    pub fn proxy_config(&mut self, connections: &[Connection]) -> String {
        let mut sections = vec![self.backbone(), self.keys(), self.identity()];
        for connection in connections {
            let port = self.port(connection.name);
            sections.push(section(port, connection));
        }
        sections.join("\n")
    }

    fn proxy_config_on(&self, port: u16, connection: &Connection) -> String {
        let sections = [self.backbone(), self.keys(), self.identity(), section(port, connection)];
        sections.join("\n")
    }

    fn keys(&self) -> String {
        format!("[keys]\nfolder = \"{}\"\n", self.keys_folder().display())
    }

    fn table(&self) -> String {
        match &self.bucket {
            None => format!("[table]\nlocation = \"{}\"\n", self.folder().join("table").display()),
            Some(bucket) => format!(
                "[table]\nlocation = \"s3://{}/trail\"\n[table.s3]\nendpoint = \"{}\"\n\
                 region = \"{}\"\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\n\
                 allow_http = true\n",
                bucket.name,
                bucket.endpoint,
                bucket.region,
                bucket.access_key_id,
                bucket.secret_access_key,
            ),
        }
    }

    async fn launch(&mut self, stage: &str, name: &str, config: &str) {
        let recipe = self.recipe_with(stage, name, config);
        let daemon = if self.awaits_ready { recipe.start().await } else { recipe.launch() };
        self.daemons.insert(name.to_owned(), daemon);
    }

    fn recipe_with(&mut self, stage: &str, name: &str, config: &str) -> Recipe {
        let port = self.port(&admin_of(name));
        let config = format!("{config}\n[admin]\nlisten = \"127.0.0.1:{port}\"\n");
        Recipe::of(&format!("trailgate-{stage}"))
            .config(&config)
            .ready_at(&format!("http://127.0.0.1:{port}/readyz"))
    }

    fn port(&mut self, name: &str) -> u16 {
        *self.ports.entry(name.to_owned()).or_insert_with(free_port)
    }
}

fn section(port: u16, connection: &Connection) -> String {
    let Connection { name, kind, upstream, more } = connection;
    format!(
        "[connections.{name}]\nkind = \"{kind}\"\nlisten = \"127.0.0.1:{port}\"\n\
         upstream = \"{upstream}\"\nallow_groups = [\"agents\"]\n{more}\n"
    )
}

fn connection_of(proxy: &str, connection: &str) -> String {
    format!("{connection} of {proxy}")
}

fn admin_of(name: &str) -> String {
    format!("admin of {name}")
}
