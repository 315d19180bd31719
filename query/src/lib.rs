#![doc = include_str!("../README.md")]
// LEAD → builder of query: engine.rs, guard.rs, hot_tail.rs, spill.rs, pinned.rs, views.rs are the lead's and
// being written now; you write config, HTTP (auth, formats, problem+json, audit event), run(), client, tests
// around them. Remove this remark when you take over.

mod engine;
mod follow;
mod guard;
mod hot_tail;
pub mod limits;
mod pinned;
mod spill;
mod views;

pub use engine::{Answer, Engine, EngineLimits, Planned, StatementError};
pub use follow::{FollowError, Follower};
pub use guard::Refused;
pub use hot_tail::{HotTail, TailLimits};
pub use pinned::{Pinned, TailState};
