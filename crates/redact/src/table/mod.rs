//! Values in text that are masked because of their column's name: `INSERT INTO t (id, password) VALUES
//! (1, 'x')`, what `COPY t (id, password) FROM stdin` is followed by, CSV with a line of names at the
//! beginning of a text, and tables as `psql`, `mysql` and Markdown draw them.
//!
//! The names may be far from the values, so which column a place is in is part of a text's state.
//! What decides anything stands within [`WINDOW_BYTES`] behind the place, and a stream lets nothing out
//! before it has so much; so it does not matter in which pieces a text comes.

use serde::{Deserialize, Serialize};

use crate::redactor::Redactor;
use crate::scan::Hit;

mod head;
mod marks;
mod rows;

pub(crate) use head::begins_table;
pub(crate) use marks::Marks;
use rows::Rows;

/// Where in a table a text is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Table {
    /// At the beginning of a text, which may be a line of names.
    #[default]
    Begin,
    /// In none.
    Outside,
    /// In its rows.
    Inside(Rows),
}

impl Table {
    /// Adds the hits in a text that begins here.
    pub(crate) fn scan(&self, redactor: &Redactor, text: &str, hits: &mut Vec<Hit>) {
        self.clone().walk(redactor, text, text.len(), hits);
    }

    /// Goes on to a place in a text that begins here, which no hit crosses.
    pub(crate) fn advance(&mut self, redactor: &Redactor, text: &str, to: usize) {
        if *self != Self::Outside || marks::has_mark(&text[..to]) {
            let here = std::mem::take(self);
            *self = here.walk(redactor, text, to, &mut Vec::new());
        }
    }

    fn walk(self, redactor: &Redactor, text: &str, to: usize, hits: &mut Vec<Hit>) -> Self {
        let mut marks = marks::of(text);
        let (mut table, mut at) = (self, 0);
        while at < to {
            table = match table {
                Self::Begin => match head::names_line(redactor, text) {
                    Some(head) => head.enter(&mut at, hits),
                    None => Self::Outside,
                },
                Self::Outside => {
                    // A head begins before the sign by which it is known.
                    let head = marks.find_map(|mark| head::at(redactor, text, at, mark));
                    match head.filter(|head| head.whole.start < to) {
                        Some(head) => head.enter(&mut at, hits),
                        None => return Self::Outside,
                    }
                }
                Self::Inside(mut rows) => match rows.step(text, &mut at, to, hits) {
                    rows::Goes::On => Self::Inside(rows),
                    rows::Goes::Out => Self::Outside,
                },
            };
        }
        // A beginning stays one until something came.
        table
    }
}

/// What says which columns there are, and where it stands.
struct Head {
    whole: std::ops::Range<usize>,
    rows: Rows,
}

impl Head {
    /// Goes behind it. No cut may go through it, since it would be none any more.
    fn enter(self, at: &mut usize, hits: &mut Vec<Hit>) -> Table {
        *at = self.whole.end;
        hits.push(rows::guard(self.whole));
        Table::Inside(self.rows)
    }
}

#[cfg(test)]
mod tests;
