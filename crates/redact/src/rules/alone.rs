//! Values that stand for themselves: a field that holds nothing but a number with a sum in it needs
//! no word beside it that says what it is.

use std::ops::Range;

use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input, PatternSet};

use super::Rule;
use super::pattern::{Bounds, any_of, bounds};
use crate::scan::HitName;

/// The rules that find such values, as one automaton.
pub(crate) struct Alone {
    shapes: Regex,
    rules: Vec<usize>,
    /// For each length of a text, how many digits it must have.
    fits: Vec<usize>,
}

impl Alone {
    pub(super) fn new(shapes: &[(usize, String)]) -> Option<Self> {
        let mut fits = vec![usize::MAX; MAX_BYTES + 1];
        for (_, shape) in shapes {
            let Bounds { digits, shortest, .. } = bounds(shape)?;
            let longer = fits.iter_mut().skip(shortest);
            longer.for_each(|least| *least = digits.min(*least));
        }
        let whole: Vec<String> = shapes.iter().map(|(_, shape)| format!("^(?:{shape})$")).collect();
        let compiled = any_of(&whole, Regex::config())?;
        let rules = shapes.iter().map(|(rule, _)| *rule).collect();
        Some(Self { shapes: compiled, rules, fits })
    }

    /// Whether a whole text that has so many digits may be such a value, or several.
    pub(crate) fn may_match(&self, text: &str, digits: usize) -> bool {
        let is_likely = digits > 0 && text.len() <= MAX_BYTES && self.fits[text.len()] <= digits;
        is_likely && {
            let bare = text.trim_end_matches('.').trim();
            let mut parts = bare.split(BETWEEN);
            self.is_match(bare) || bare.contains(BETWEEN) && parts.any(|part| self.is_match(part))
        }
    }

    fn is_match(&self, value: &str) -> bool {
        value.len() >= MIN_BYTES && self.shapes.is_match(Input::new(value).anchored(Anchored::Yes))
    }

    /// The spans in a whole text that is such a value, or several.
    pub(crate) fn find(&self, rules: &[Rule], text: &str) -> Vec<(Range<usize>, HitName)> {
        let is_one = text.len() <= MAX_BYTES && text.bytes().any(|byte| byte.is_ascii_digit());
        if !is_one {
            return Vec::new();
        }
        let bare = text.trim_end_matches('.').trim();
        let start = text.find(bare).unwrap_or_default();
        if let Some(name) = self.name(rules, bare) {
            return vec![(start..start + bare.len(), name)];
        }
        let mut spans = Vec::new();
        let mut at = start;
        for part in bare.split(BETWEEN) {
            let span = at..at + part.len();
            at = span.end + 1;
            match self.name(rules, part) {
                Some(name) => spans.push((span, name)),
                None if part.is_empty() || part == "and" => {}
                None => return Vec::new(),
            }
        }
        spans
    }

    fn name(&self, rules: &[Rule], value: &str) -> Option<HitName> {
        if !self.is_match(value) {
            return None;
        }
        let mut found = PatternSet::new(self.rules.len());
        let input = Input::new(value).anchored(Anchored::Yes);
        self.shapes.which_overlapping_matches(&input, &mut found);
        let mut holding = found.iter().map(|pattern| self.rules[pattern.as_usize()]);
        let holds = |rule: &usize| rules[*rule].hold(value, 0..value.len()) == Some(0..value.len());
        holding.find(holds).map(HitName::Rule)
    }
}

/// What stands between several values.
const BETWEEN: [char; 3] = [' ', ',', ';'];
/// Longer texts are more than one value.
const MAX_BYTES: usize = 80;
/// Shorter ones say too little.
const MIN_BYTES: usize = 5;
