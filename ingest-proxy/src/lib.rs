#![doc = include_str!("../README.md")]

mod agent;
mod config;
mod credentials;
mod door;
mod exchange;
mod files;
mod gateway;
mod head;
mod holds;
mod join;
mod journal;
mod keys;
pub mod langgraph;
pub mod limits;
mod media;
mod metrics;
mod node;
mod payload;
mod piece;
mod policy;
mod proxy;
mod pulse;
mod raw;
mod recorder;
mod relay;
mod server;
mod sessions;
mod shorten;
mod stage;
#[cfg(test)]
mod testing;
mod tunnel;
mod upstream;
mod verify;
mod websocket;

pub use config::{
    BadName, BadUpstream, ConnectionConfig, ConnectionError, ConnectionKind, ConnectionName,
    GatewayConfig, ProxyConfig, TlsConfig, Upstream,
};
pub use holds::{Deciding, Decisions, Holding, OpenError, SignedDecisions};
pub use keys::ProxyKeys;
pub use policy::{Policy, PolicyConfig, PolicyError};
pub use proxy::{Deps, Proxy, ProxyError};
pub use recorder::{Recorder, Recording, Unrecorded};
pub use stage::{Config, KeysConfig, run};
pub use verify::{Verify, Verifying};
