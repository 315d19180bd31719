//! Finding: every place in a text where a rule matches, and of those the ones that hold.

use std::ops::Range;

use regex_automata::{Anchored, Input};

use crate::layer;
use crate::limits::{BACK_BYTES, WINDOW_BYTES};
use crate::pem;
use crate::prefilter::Block;
use crate::rules::{Back, Rule, Rules};
use crate::token::{TOKEN_MAX_BYTES, is_token};

/// A match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// All of it, with what it was recognised by. A cut through it could change what is found.
    pub(crate) whole: Range<usize>,
    /// What is to be replaced.
    pub(crate) secret: Range<usize>,
    pub(crate) name: HitName,
    /// Whether it passed its check.
    pub(crate) holds: bool,
}

/// What a hit is told under; the smaller wins where hits overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HitName {
    /// A private key block.
    Pem,
    /// A rule, by its place.
    Rule(usize),
    /// An assignment, by the class of its name.
    Named(&'static str),
}

/// Every hit in a text, in no order, also those that don't hold.
pub(crate) fn scan(rules: &Rules, text: &str) -> Vec<Hit> {
    scan_part(rules, &mut Block::new(&rules.anchors, text), text, 0)
}

/// The same of a part of a block, which begins at `from`, as of a text of its own. Parts are asked
/// about in their order.
pub(crate) fn scan_part(rules: &Rules, block: &mut Block<'_>, text: &str, from: usize) -> Vec<Hit> {
    let mut hits = Vec::new();
    plain_in::<true>(rules, block, (text, from), &mut hits);
    if has_layers(rules, block, text, from) {
        layer::scan(rules, text, &mut hits);
    }
    hits
}

/// Whether something in a part of a block may be read as encoded.
fn has_layers(rules: &Rules, block: &mut Block<'_>, text: &str, from: usize) -> bool {
    let part = from..from + text.len();
    let is_loud = block.next_anchors(&part).any(|at| rules.is_loud(block.anchor(at).anchor));
    is_loud || !is_plain(block, text, from)
}

/// Whether nothing in a part of a block is read as encoded, if no anchor says so.
fn is_plain(block: &mut Block<'_>, text: &str, from: usize) -> bool {
    let part = from..from + text.len();
    let has_runs = block.has_any_run(&part);
    let mut odd = part.start;
    let odd = std::iter::from_fn(|| {
        let at = block.next_odd(odd).filter(|at| *at < part.end)?;
        odd = at + 1;
        Some(at - from)
    });
    layer::is_quiet(text, odd, has_runs)
}

/// Whether nothing is to be masked in a part of a block, which begins at `from`, if that is a text of
/// its own. Parts are asked about in their order. That nothing is to be is certain, and costs little;
/// that something may be is no more than a guess.
pub(crate) fn is_quiet(rules: &Rules, block: &mut Block<'_>, text: &str, from: usize) -> bool {
    let part = from..from + text.len();
    let mut tries = TRIES_MAX;
    block.turn_to(part.clone());
    for at in block.next_anchors(&part) {
        let found = block.anchor(at);
        if rules.is_loud(found.anchor) {
            return false;
        }
        let all = rules.need(found.anchor);
        let end = part.end.min(found.start + all.longest());
        if !all.is_met(block, part.start.max(found.start.saturating_sub(all.back))..end) {
            continue;
        }
        for index in &rules.wakes[found.anchor] {
            let rule = &rules.rules[*index];
            let need = rule.need();
            let begin = walk_back(text, found.start - from, rule.back);
            let end = part.end.min(found.start + need.longest());
            let may_be = need.is_met(block, from + begin..end)
                && rule.pattern.begin().may_be(text.as_bytes(), begin);
            if !may_be {
                continue;
            }
            tries -= 1;
            let is_held = || {
                is_held(|hits| {
                    try_at::<true>(rules, *index, text, begin, hits);
                })
            };
            if tries == 0 || is_held() {
                return false;
            }
        }
    }
    let digits = block.digits(&part);
    let areas = rules.everywhere.areas(block, &part, digits);
    if rules.everywhere.may_match(text, &areas)
        && is_held(|hits| rules.everywhere.find(&rules.rules, text, (&areas, digits), hits))
    {
        return false;
    }
    !rules.alone.may_match(text, digits) && is_plain(block, text, from)
}

/// Whether a hit holds.
fn is_held(add: impl FnOnce(&mut Vec<Hit>)) -> bool {
    let mut hits = Vec::new();
    add(&mut hits);
    hits.iter().any(|hit| hit.holds)
}

/// The hits in a text as it stands, nothing decoded.
pub(crate) fn plain(rules: &Rules, text: &str, hits: &mut Vec<Hit>) {
    plain_in::<true>(rules, &mut Block::new(&rules.anchors, text), (text, 0), hits);
}

/// The same of a part of a block. Without `NEEDS` rules are also tried where what they need is not.
fn plain_in<const NEEDS: bool>(
    rules: &Rules,
    block: &mut Block<'_>,
    (text, from): (&str, usize),
    hits: &mut Vec<Hit>,
) {
    let part = from..from + text.len();
    let mut tried = Tried::default();
    let mut has_pem = false;
    block.turn_to(part.clone());
    for at in block.next_anchors(&part) {
        let found = block.anchor(at);
        if found.start + rules.anchors.length(found.anchor) > part.end {
            continue;
        }
        has_pem |= rules.is_loud(found.anchor);
        let all = rules.need(found.anchor);
        let begin = found.start.saturating_sub(all.back).max(part.start);
        if NEEDS && !all.is_met(block, begin..part.end.min(found.start + all.longest())) {
            continue;
        }
        for index in &rules.wakes[found.anchor] {
            let rule = &rules.rules[*index];
            let start = walk_back(text, found.start - from, rule.back);
            let need = rule.need();
            let begin = from + start;
            if NEEDS && !need.is_met(block, begin..part.end.min(begin + need.longest())) {
                continue;
            }
            let done = tried.of(*index, rules.rules.len());
            if done.passes(start) {
                done.until =
                    try_at::<NEEDS>(rules, *index, text, start, hits).unwrap_or(done.until);
            }
        }
    }
    if has_pem {
        pem::scan(text, hits);
    }
    let digits = block.digits(&part);
    let areas = rules.everywhere.areas(block, &part, digits);
    let whole = 0..text.len();
    let areas = if NEEDS { areas.as_slice() } else { std::slice::from_ref(&whole) };
    rules.everywhere.find(&rules.rules, text, (areas, digits), hits);
    for hit in hits.iter_mut().filter(|hit| hit.holds) {
        while !hit.secret.is_empty()
            && let Some(end) = token_end(text, hit.secret.start)
        {
            hit.secret.start = end.min(hit.secret.end);
            let behind = &text.as_bytes()[hit.secret.clone()];
            hit.holds = behind.iter().any(u8::is_ascii_alphanumeric);
        }
    }
}

/// The hits that hold, those that overlap made one, in order.
pub(crate) fn resolve(hits: &[Hit]) -> Vec<(Range<usize>, HitName)> {
    let holding = hits.iter().filter(|hit| hit.holds && !hit.secret.is_empty());
    let mut spans: Vec<_> = holding.map(|hit| (hit.secret.clone(), hit.name)).collect();
    spans.sort_by_key(|(span, name)| (span.start, *name));
    let mut resolved: Vec<(Range<usize>, HitName)> = Vec::with_capacity(spans.len());
    for (span, name) in spans {
        match resolved.last_mut() {
            Some((last, last_name)) if span.start < last.end => {
                last.end = last.end.max(span.end);
                *last_name = name.min(*last_name);
            }
            _ => resolved.push((span, name)),
        }
    }
    resolved
}

/// How far a rule has been, so that hostile text can't make it look at one place again and again.
#[derive(Clone, Copy, Default)]
struct Done {
    until: usize,
    tried: Option<usize>,
}

impl Done {
    fn passes(&mut self, start: usize) -> bool {
        let passes = start >= self.until && self.tried != Some(start);
        self.tried = Some(start);
        passes
    }
}

/// How far each rule has been. Most texts wake few of the hundreds.
#[derive(Default)]
struct Tried {
    few: Vec<(usize, Done)>,
    /// One for each rule, once there are more than a few.
    all: Vec<Done>,
}

impl Tried {
    fn of(&mut self, rule: usize, rules: usize) -> &mut Done {
        if !self.all.is_empty() {
            return &mut self.all[rule];
        }
        if let Some(place) = self.few.iter().position(|(known, _)| *known == rule) {
            return &mut self.few[place].1;
        }
        if self.few.len() < FEW_RULES {
            self.few.push((rule, Done::default()));
            let last = self.few.len() - 1;
            return &mut self.few[last].1;
        }
        self.all.resize(rules, Done::default());
        for (known, done) in self.few.drain(..) {
            self.all[known] = done;
        }
        &mut self.all[rule]
    }
}

fn walk_back(text: &str, from: usize, back: Back) -> usize {
    let before = &text.as_bytes()[from.saturating_sub(BACK_BYTES)..from];
    from - before.iter().rev().take_while(|byte| back.goes_over(**byte)).count()
}

/// Where a match is looked for that begins at a place.
fn window(text: &str, at: usize) -> Input<'_> {
    Input::new(text).span(at..text.len().min(at + WINDOW_BYTES)).anchored(Anchored::Yes)
}

/// Tries one rule at one place; returns how far it need not be tried again. Without `NEEDS` also where
/// no match of it begins, and its group is always looked for.
fn try_at<const NEEDS: bool>(
    rules: &Rules,
    index: usize,
    text: &str,
    at: usize,
    hits: &mut Vec<Hit>,
) -> Option<usize> {
    let rule = &rules.rules[index];
    if NEEDS && !rule.pattern.begin().may_be(text.as_bytes(), at) {
        return None;
    }
    let input = window(text, at);
    let look = input.end();
    let whole = at..rule.pattern.end(&input)?;
    let told = rule.pattern.group().within(&whole).filter(|_| NEEDS && !rule.is_assignment());
    let (mut secret, name) = match told {
        Some(group) => (group, 0..0),
        None => groups(rule, text, &whole),
    };
    if secret.end == look {
        secret.end = run_end(text, look);
    }
    let whole = snap(text, whole.start..whole.end.max(secret.end));
    let secret = snap(text, secret);
    let mut hit = Hit { whole, secret, name: HitName::Rule(index), holds: false };
    if rule.is_assignment() {
        assignment(rules, text, name, &mut hit);
        hit.holds &= rule.hold(text, hit.secret.clone()).is_some();
    } else if let Some(held) = rule.hold(text, hit.secret.clone()) {
        hit.secret = held;
        hit.holds = true;
    }
    // What has no digit has no part that has one.
    let is_barren =
        rule.wants_digits && !text[hit.secret.clone()].bytes().any(|byte| byte.is_ascii_digit());
    let until = (hit.holds || is_barren).then_some(hit.secret.end);
    hits.push(hit);
    until
}

/// Where the last group of a match stands, or else all of it; and its first, which has a name if the
/// rule wants one.
fn groups(rule: &Rule, text: &str, whole: &Range<usize>) -> (Range<usize>, Range<usize>) {
    let regex = rule.pattern.regex();
    let mut captures = regex.create_captures();
    let input = Input::new(text).span(whole.clone()).anchored(Anchored::Yes);
    regex.search_captures(&input, &mut captures);
    let span = |group: usize| captures.get_group(group).map(|span| span.range());
    let last = (1..captures.group_len()).rev().find_map(span);
    (last.unwrap_or_else(|| whole.clone()), span(1).unwrap_or(0..0))
}

/// Whether the name before a value says that the value is a secret, and the value fits.
fn assignment(rules: &Rules, text: &str, name: Range<usize>, hit: &mut Hit) {
    let Some(class) = rules.names.classify(&text[name.clone()]) else { return };
    let between = &text[name.end..hit.secret.start];
    let value = &text[hit.secret.clone()];
    let is_quoted = between.ends_with(['"', '\'', '`']);
    let sign = between.trim_start_matches(['\\', '"', '\'', '`', ')', ']', ' ', '\t']);
    let is_prose = sign.starts_with("is") || sign.starts_with("to");
    let is_tag = sign.starts_with('>');
    // A list of arguments: `set("TOKEN", "…")`.
    let is_list = sign.starts_with(',') && !(is_quoted && between.starts_with(['"', '\'']));
    let opens_tag = name.start > 0 && text.as_bytes()[name.start - 1] == b'<';
    let next = text.as_bytes().get(hit.secret.end);
    // A token of ours reads as an assignment, too: masked again, it would hide that two are equal.
    let token = name.start.saturating_sub(1)..hit.secret.end + 1;
    let is_token = text.get(token).is_some_and(is_token);
    let is_code = !is_quoted && (matches!(next, Some(b'(' | b'[' | b'{')) || is_path(value));
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    hit.name = HitName::Named(class.rule());
    hit.holds = class.fits(value)
        && !is_token
        && !is_code
        && !is_list
        && (!is_tag || opens_tag)
        && (!is_prose || is_quoted || (has_digit && value.len() >= 6));
}

/// Where the token of ours ends that a place is within or at: masked again, that would not be what it
/// was.
fn token_end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let from = at.saturating_sub(TOKEN_MAX_BYTES);
    let start = from + memchr::memrchr(b'[', &bytes[from..bytes.len().min(at + 1)])?;
    let far = bytes.len().min(start + TOKEN_MAX_BYTES);
    let end = start + memchr::memchr(b']', &bytes[start..far])? + 1;
    (at < end && text.get(start..end).is_some_and(is_token)).then_some(end)
}

/// `self.config.password` and the like: names, not values.
fn is_path(value: &str) -> bool {
    let mut parts = value.split('.');
    let is_name = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && part.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
    };
    value.contains('.') && parts.all(is_name)
}

fn run_end(text: &str, from: usize) -> usize {
    let rest = &text.as_bytes()[from..];
    let goes_on = |b: &u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'_' | b'-' | b'+' | b'/' | b'=' | b'.' | b'%' | b'~')
    };
    from + rest.iter().position(|b| !goes_on(b)).unwrap_or(rest.len())
}

/// Patterns see bytes; what is cut are characters.
fn snap(text: &str, range: Range<usize>) -> Range<usize> {
    text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end)
}

/// Where more than these matches are tried the text is looked at closely, which bounds them.
const TRIES_MAX: usize = 16;
/// As many are found again faster one by one than by their places in a table of all.
const FEW_RULES: usize = 16;

#[cfg(test)]
mod tests;
