//! A real S3 server: versitygw over a folder.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::child::Child;
use crate::daemon::accepts;
use crate::fail::OrGiveUp;
use crate::parts::Parts;
use crate::port::free_port;

/// An S3 server that keeps its objects in a folder of its own, also over a restart.
#[derive(Debug)]
pub struct S3 {
    port: u16,
    folder: TempDir,
    process: Child,
}

/// A bucket and how it is reached.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The server's address.
    pub endpoint: String,
    /// The region that signatures name.
    pub region: &'static str,
    /// The access key's id.
    pub access_key_id: &'static str,
    /// The access key's secret.
    pub secret_access_key: &'static str,
}

impl S3 {
    /// Starts a server. Takes less than a second.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("trailgate-s3-").tempdir();
        let folder = folder.or_give_up("making the S3 server's folder");
        for inner in ["objects", "versions"] {
            std::fs::create_dir(folder.path().join(inner)).or_give_up("making an S3 folder");
        }
        let port = free_port();
        let process = launch(folder.path(), port);
        let mut s3 = Self { port, folder, process };
        s3.await_start().await;
        s3
    }

    /// Makes a bucket; `name` has at least three characters.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Bucket {
        // A bucket is a folder of the server's.
        let folder = self.folder.path().join("objects").join(name);
        std::fs::create_dir_all(folder).or_give_up("making a bucket");
        Bucket {
            name: name.to_owned(),
            endpoint: format!("http://127.0.0.1:{}", self.port),
            region: "us-east-1",
            access_key_id: ACCESS_KEY,
            secret_access_key: SECRET_KEY,
        }
    }

    /// Kills the server at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again over the same objects.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = launch(self.folder.path(), self.port);
        self.await_start().await;
    }

    /// Its process, to pause it.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }

    /// Where the objects are, each a file, to search them for what must not be there.
    #[must_use]
    pub fn objects_folder(&self) -> &Path {
        self.folder.path()
    }

    async fn await_start(&mut self) {
        let port = self.port;
        self.process.await_ready(async |_| accepts(port).await).await;
    }
}

impl Bucket {
    /// The bucket's settings by the names that object_store and deltalake take.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("aws_access_key_id", self.access_key_id.to_owned()),
            ("aws_secret_access_key", self.secret_access_key.to_owned()),
            ("aws_endpoint", self.endpoint.clone()),
            ("aws_region", self.region.to_owned()),
            ("aws_allow_http", "true".to_owned()),
            ("aws_conditional_put", "etag".to_owned()),
        ]
    }
}

fn launch(folder: &Path, port: u16) -> Child {
    let mut command = Command::new(Parts::find().versitygw());
    command
        .env("ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("ROOT_SECRET_KEY", SECRET_KEY)
        .args(["--port", &format!("127.0.0.1:{port}"), "posix", "--versioning-dir"])
        .arg(folder.join("versions"))
        .arg(folder.join("objects"));
    Child::start("s3", command, &folder.join("s3.log"))
}

const ACCESS_KEY: &str = "trailgate-test";
const SECRET_KEY: &str = "trailgate-test-secret";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_without_credentials_refuses() {
        let mut s3 = S3::start().await;
        let bucket = s3.bucket("audit");
        let url = format!("{}/{}/object", bucket.endpoint, bucket.name);
        assert_eq!(reqwest::get(&url).await.unwrap().status(), 403);
        s3.restart().await;
        assert_eq!(reqwest::get(&url).await.unwrap().status(), 403);
    }
}
