#![doc = include_str!("../README.md")]

mod admin;
mod clock;
mod config;
mod health;
mod ids;
mod instance;
pub mod limits;
mod metrics;
mod probe;
mod sources;
mod stage;
mod stop;
mod telemetry;

pub use admin::{AdminConfig, admin_routes, serve_admin};
pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{ConfigError, KeyProblem, config_text, environment, load, parse};
pub use health::{Health, Part, PartState};
pub use ids::{CountedIds, Ids, RandomIds};
pub use instance::{NoInstanceName, instance_name};
pub use metrics::Metrics;
pub use sources::{SourcePlace, Sources};
pub use stage::{
    CONTAINED_THREAD, Context, StageConfig, contain, install_crypto, stage_main, stop_on_panic,
    stops_by_panic,
};
pub use stop::Stop;
pub use telemetry::{LogConfig, LogFormat, LogLevel, UnknownLogLevel, start_log};
