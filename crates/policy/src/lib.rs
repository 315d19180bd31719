#![doc = include_str!("../README.md")]

mod asked;
pub mod limits;
mod pattern;
mod rule;
mod rules;
mod words;

pub use asked::Asked;
pub use pattern::PathPattern;
pub use rule::HoldRule;
pub use rules::{Known, Rules, RulesError};
