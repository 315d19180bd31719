//! Rules that no anchor wakes: numbers with a form and a sum. One automaton over all of them says
//! which could match in a text, and only those look for where; both only where digits are near.

use std::ops::Range;

use regex_automata::meta::Regex;
use regex_automata::{Input, PatternSet};

use super::Rule;
use super::pattern::{any_of, bounds};
use crate::prefilter::Block;
use crate::scan::{Hit, HitName};

pub(crate) struct Everywhere {
    shapes: Regex,
    rules: Vec<usize>,
    /// A text with fewer digits is no matter of any.
    digits: usize,
    /// How far from any of its digits a match may go; none if it need not have any, or has no bound.
    reach: Option<usize>,
}

impl Everywhere {
    pub(super) fn new(all: &[Rule]) -> Option<Self> {
        let rules: Vec<usize> = (0..all.len()).filter(|rule| all[*rule].is_everywhere).collect();
        let shapes: Vec<&str> = rules.iter().map(|rule| all[*rule].pattern.text()).collect();
        let compiled = any_of(&shapes, Regex::config().hybrid_cache_capacity(CACHE_BYTES))?;
        let digits = rules.iter().map(|rule| all[*rule].digits).min().unwrap_or_default();
        let reach = shapes.iter().try_fold(0, |reach: usize, shape| {
            let bounds = bounds(shape)?;
            Some(bounds.longest.filter(|_| bounds.digits > 0)?.max(reach))
        });
        Some(Self { shapes: compiled, rules, digits, reach })
    }

    /// Where in a part of a block matches may stand, as places of the part; nowhere if there are too
    /// few digits.
    pub(crate) fn areas(
        &self,
        block: &Block<'_>,
        part: &Range<usize>,
        digits: usize,
    ) -> Vec<Range<usize>> {
        if self.rules.is_empty() || digits < self.digits {
            return Vec::new();
        }
        match self.reach {
            Some(reach) => block.digit_areas(part, reach),
            None => std::iter::once(0..part.len()).collect(),
        }
    }

    /// Whether one may match somewhere in these areas of a text.
    pub(crate) fn may_match(&self, text: &str, areas: &[Range<usize>]) -> bool {
        let may_match = |area: &Range<usize>| self.shapes.is_match(span(text, area.clone()));
        areas.iter().any(may_match)
    }

    /// Adds what matches in these areas of a text that has so many digits.
    pub(crate) fn find(
        &self,
        all: &[Rule],
        text: &str,
        (areas, digits): (&[Range<usize>], usize),
        hits: &mut Vec<Hit>,
    ) {
        if areas.is_empty() {
            return;
        }
        let mut found = PatternSet::new(self.rules.len());
        for area in areas {
            self.shapes.which_overlapping_matches(&span(text, area.clone()), &mut found);
        }
        for index in found.iter().map(|pattern| self.rules[pattern.as_usize()]) {
            let rule = &all[index];
            if digits >= rule.digits {
                add(index, rule, text, areas, hits);
            }
        }
    }
}

/// Adds what one rule finds in these areas.
fn add(index: usize, rule: &Rule, text: &str, areas: &[Range<usize>], hits: &mut Vec<Hit>) {
    let mut at = 0;
    for area in areas {
        let regex = rule.pattern.regex();
        while let Some(found) = regex.search(&span(text, at.max(area.start)..area.end)) {
            let whole = found.range();
            let held = rule.hold(text, whole.clone());
            let holds = held.is_some();
            let secret = held.unwrap_or_else(|| whole.clone());
            at = if holds { secret.end } else { whole.end };
            hits.push(Hit { whole, secret, name: HitName::Rule(index), holds });
        }
    }
}

fn span(text: &str, span: Range<usize>) -> Input<'_> {
    Input::new(text).span(span.start..span.end.max(span.start))
}

/// So that random ids fill it rarely.
const CACHE_BYTES: usize = 4 << 20;
