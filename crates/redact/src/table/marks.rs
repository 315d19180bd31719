//! Signs that a table may be near, or a token: looked for in a whole text at once, since nearly all have
//! none.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, FindIter, Input};

use crate::token;

/// What a sign may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Insert,
    Copy,
    /// The line between names and rows.
    Line,
}

/// A sign, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) kind: Kind,
    pub(super) start: usize,
}

/// The signs in a text, in order.
pub(super) fn of(text: &str) -> impl Iterator<Item = Mark> + '_ {
    let found: FindIter<'static, '_> = SIGNS.find_iter(Input::new(text));
    found.map(|found| Mark { kind: KINDS[found.pattern().as_usize()].1, start: found.start() })
}

pub(super) fn has_mark(text: &str) -> bool {
    SIGNS.is_match(text)
}

/// Where the signs in a block are, of which parts are asked for in their order.
pub(crate) struct Marks {
    /// The last comes first.
    places: Vec<usize>,
}

impl Marks {
    pub(crate) fn new(text: &str) -> Self {
        let tokens = token::ends(text.as_bytes()).map(|end| end - 1);
        let mut places: Vec<usize> = of(text).map(|mark| mark.start).chain(tokens).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        Self { places }
    }

    /// Whether a part that begins no sooner than those that were asked about has a sign in it.
    pub(crate) fn has_any(&mut self, part: &Range<usize>) -> bool {
        while self.places.last().is_some_and(|place| *place < part.start) {
            self.places.pop();
        }
        self.places.last().is_some_and(|place| *place < part.end)
    }
}

#[expect(clippy::expect_used, reason = "a few short words compile, which every test shows")]
static SIGNS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::new(KINDS.iter().map(|(word, _)| word)).expect("a few short words")
});

/// In both cases, since a search that goes over cases is slower by far.
const KINDS: &[(&str, Kind)] = &[
    ("nsert", Kind::Insert),
    ("NSERT", Kind::Insert),
    ("eplace into", Kind::Insert),
    ("EPLACE INTO", Kind::Insert),
    ("copy ", Kind::Copy),
    ("COPY ", Kind::Copy),
    ("-+-", Kind::Line),
    ("-|-", Kind::Line),
    ("- | -", Kind::Line),
    ("-|:-", Kind::Line),
];
