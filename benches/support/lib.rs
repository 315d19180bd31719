#![doc = include_str!("../README.md")]

mod cpu;
mod events;
mod figure;

pub use cpu::{Cpu, process_cpu, thread_cpu};
pub use events::{event, seeded_text};
pub use figure::{Figures, percentile};
