#![doc = include_str!("../README.md")]

mod check;
mod delta;
mod form;
mod json;
mod key_name;
mod layer;
mod limits;
mod machine;
mod multipart;
mod name_memo;
mod open;
mod pem;
mod prefilter;
mod redacted;
mod redactor;
mod rules;
mod scan;
mod shape;
mod sse;
mod stream;
mod table;
mod text;
mod token;

pub use open::Wrapping;
pub use redacted::{Finding, Length, Out, Redacted, Withheld};
pub use redactor::Redactor;
pub use rules::{Class, Fault, OwnRules, RuleFiles, Rules, RulesError, Severity};
pub use shape::Shape;
pub use stream::{StreamError, StreamRedactor};
pub use token::{TokenKey, hash_of};

#[cfg(test)]
#[path = "../examples/encodings/mod.rs"]
mod encodings;
