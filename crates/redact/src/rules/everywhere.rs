//! Rules that no anchor wakes: numbers with a form and a sum. One automaton over all of them says
//! which could match in a text, and only those look for where.

use regex_automata::meta::Regex;
use regex_automata::{Input, PatternSet};

use super::Rule;
use super::pattern::any_of;

pub(crate) struct Everywhere {
    shapes: Regex,
    rules: Vec<usize>,
    /// A text with fewer digits is no matter of any.
    digits: usize,
}

impl Everywhere {
    pub(super) fn new(all: &[Rule]) -> Option<Self> {
        let rules: Vec<usize> = (0..all.len()).filter(|rule| all[*rule].is_everywhere).collect();
        let shapes: Vec<&str> = rules.iter().map(|rule| all[*rule].pattern.text()).collect();
        let compiled = any_of(&shapes, Regex::config().hybrid_cache_capacity(CACHE_BYTES))?;
        let digits = rules.iter().map(|rule| all[*rule].digits).min().unwrap_or_default();
        Some(Self { shapes: compiled, rules, digits })
    }

    /// Whether one may match somewhere in a text that has so many digits.
    pub(crate) fn may_match(&self, text: &str, digits: usize) -> bool {
        digits >= self.digits && self.shapes.is_match(text)
    }

    /// Those that match somewhere in a text, by their places.
    pub(crate) fn find(&self, all: &[Rule], text: &str) -> Vec<usize> {
        let digits = text.bytes().filter(u8::is_ascii_digit).take(DIGITS_MAX).count();
        if self.rules.is_empty() || digits < self.digits {
            return Vec::new();
        }
        let mut found = PatternSet::new(self.rules.len());
        self.shapes.which_overlapping_matches(&Input::new(text), &mut found);
        let rules = found.iter().map(|pattern| self.rules[pattern.as_usize()]);
        rules.filter(|rule| digits >= all[*rule].digits).collect()
    }
}

/// No rule asks for more digits.
const DIGITS_MAX: usize = 9;
/// So that random ids fill it rarely.
const CACHE_BYTES: usize = 4 << 20;
