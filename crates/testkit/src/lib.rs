#![doc = include_str!("../README.md")]

mod child;
mod daemon;
mod fail;
mod kafka;
mod keycloak;
mod langgraph;
pub mod limits;
mod mark;
mod nursery;
mod oidc;
mod parts;
mod port;
mod registry;
mod s3;
mod sdk;
mod upstream;
mod wait;

pub use child::Child;
pub use daemon::{Daemon, Recipe};
pub use kafka::Kafka;
pub use keycloak::Keycloak;
pub use langgraph::LangGraph;
pub use mark::{Mark, Planted};
pub use oidc::{Flaw, OidcProvider, TokenRequest};
pub use parts::{Parts, project_root};
pub use port::free_port;
pub use registry::SchemaRegistry;
pub use s3::{Bucket, S3};
pub use sdk::{PythonSdk, SdkRun};
pub use upstream::{Seen, Upstream, body_sum, generated_body};
pub use wait::{until, until_paced, until_within};
