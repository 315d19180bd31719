#![doc = include_str!("../README.md")]

mod frames;
mod leaks;

pub use frames::{Ending, Execution, executions, frames, levelled, of_step};
pub use leaks::{Leak, leaks};
