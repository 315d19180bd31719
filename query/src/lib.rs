#![doc = include_str!("../README.md")]

mod ask;
mod config;
mod desk;
mod engine;
mod error;
mod follow;
mod format;
mod guard;
mod hot_tail;
pub mod limits;
mod listener;
mod metrics;
mod pinned;
mod problems;
mod recorder;
mod refusals;
mod reply;
mod spill;
mod stage;
mod stores;
mod summary;
mod trail;
mod views;
mod workers;

pub use config::{Config, KeysConfig, QueryConfig, QueryConfigError, TlsConfig};
pub use engine::{Answer, Engine, EngineLimits, Planned};
pub use error::StatementError;
pub use follow::{FollowError, Follower};
pub use format::{Format, UnknownFormat};
pub use guard::{Place, Refused};
pub use hot_tail::{HotTail, TailLimits};
pub use pinned::{Pinned, TailState};
pub use reply::{COMPLETE_UNTIL, CUT, ERROR, EVENT_ID, ROWS, TAIL};
pub use stage::{Bound, Ground, run};
pub use summary::{Summary, rfc3339};
