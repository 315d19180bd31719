#![doc = include_str!("../README.md")]

mod clock;
mod ids;

pub use clock::{Clock, ManualClock, SystemClock};
pub use ids::{CountedIds, Ids, RandomIds};
