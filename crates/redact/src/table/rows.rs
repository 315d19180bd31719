//! The rows of a table, one value after the other.

use serde::{Deserialize, Serialize};

use crate::key_name::NameClass;
use crate::scan::{Hit, HitName};
use crate::table::head::{Names, is_rule};

/// A place in rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rows {
    form: Form,
    /// The columns whose names say that they are secret.
    secret: Vec<(usize, NameClass)>,
    /// How many columns there are.
    count: usize,
    column: usize,
    /// How many brackets are open; in lines one, but between them.
    depth: usize,
    value: Value,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Form {
    /// `(1, 'x'), (2, 'y')`, as SQL has them.
    Tuples,
    /// A line each, and a sign between two values.
    Lines { separator: u8, has_quotes: bool },
}

/// Where in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Value {
    /// Before it.
    Begin,
    /// Outside of quotes.
    Bare,
    /// Between these quotes, in something clear.
    Quoted(u8),
    /// In something secret of which the first part was found; between quotes, if there are any. So
    /// much more of it may come.
    Secret(Option<u8>, usize),
}

/// Whether the rows go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    On,
    Out,
}

impl Rows {
    /// Rows with these columns; none if no column is secret.
    pub(super) fn new(form: Form, names: Names) -> Option<Self> {
        let Names { secret, count } = names;
        let is_any = !secret.is_empty();
        is_any.then_some(Self { form, secret, count, column: 0, depth: 0, value: Value::Begin })
    }

    /// Goes on from `at` by a value or a part of one, not beyond `to` unless something is found there.
    pub(super) fn step(
        &mut self,
        text: &str,
        at: &mut usize,
        to: usize,
        hits: &mut Vec<Hit>,
    ) -> Goes {
        match (self.value, self.form) {
            (Value::Secret(quote, left), _) => self.more(text, at, (quote, left), hits),
            (Value::Quoted(quote), _) => {
                let end = self.quote_end(text, *at..to, quote);
                *at = end.map_or(to, |end| end + 1);
                if end.is_some() {
                    self.value = Value::Bare;
                }
                Goes::On
            }
            (_, Form::Tuples) => self.tuple(text, at, hits),
            (_, Form::Lines { separator, has_quotes }) if self.depth > 0 => {
                if self.value == Value::Begin {
                    self.cell(text, at, has_quotes, hits);
                } else {
                    self.pass_cell(&text.as_bytes()[..to], at, separator);
                }
                Goes::On
            }
            (_, Form::Lines { separator, has_quotes }) => {
                self.line(text, at, (separator, has_quotes), hits)
            }
        }
    }

    /// One byte of a tuple, or a value in it.
    fn tuple(&mut self, text: &str, at: &mut usize, hits: &mut Vec<Hit>) -> Goes {
        let byte = text.as_bytes()[*at];
        match byte {
            b'(' => {
                self.depth += 1;
                if self.depth == 1 {
                    self.column = 0;
                }
            }
            b',' if self.depth == 1 => self.column += 1,
            b')' if self.depth > 0 => self.depth -= 1,
            b',' => {}
            _ if byte.is_ascii_whitespace() => {}
            _ if self.depth == 0 => return Goes::Out,
            b';' => return Goes::Out,
            b'\'' | b'"' | b'`' => {
                self.value = Value::Quoted(byte);
                if byte == b'`' {
                    *at += 1;
                } else {
                    self.literal(text, at, Some(byte), hits);
                }
                return Goes::On;
            }
            b'0'..=b'9' if !is_joined(text.as_bytes(), *at) => {
                self.number(text, at, hits);
                return Goes::On;
            }
            _ => {}
        }
        *at += 1;
        Goes::On
    }

    /// A number in a tuple, which is a secret if its column's name says so.
    fn number(&self, text: &str, at: &mut usize, hits: &mut Vec<Hit>) {
        let is_of = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
        let bytes = text[*at..].bytes().take(NUMBER_BYTES);
        let length = bytes.take_while(is_of).count();
        let span = *at..*at + length;
        let number = &text[span.clone()];
        if let Some(class) = self.class().filter(|class| class.fits_number(number)) {
            hits.push(found(span.clone(), class));
        }
        *at = span.end;
    }

    /// The beginning of a line.
    fn line(
        &mut self,
        text: &str,
        at: &mut usize,
        (separator, has_quotes): (u8, bool),
        hits: &mut Vec<Hit>,
    ) -> Goes {
        let rest = &text.as_bytes()[*at..];
        let line = &rest[..rest.len().min(ROW_BYTES)];
        let (mut separators, mut is_quoted, mut end) = (0, false, line.len());
        for (place, byte) in line.iter().enumerate() {
            match byte {
                b'"' if has_quotes => is_quoted = !is_quoted,
                b'\n' if !is_quoted => {
                    end = place;
                    break;
                }
                _ if *byte == separator && !is_quoted => separators += 1,
                _ => {}
            }
        }
        let is_drawn = separator == b'|' && end > 0 && is_rule(&line[..end]);
        if is_drawn {
            let whole = *at..*at + (end + 1).min(rest.len());
            *at = whole.end;
            hits.push(guard(whole));
            return Goes::On;
        }
        // A line that is not all there is taken for a row, since a secret may be in it.
        let is_all = end < line.len();
        if is_all && (separators + 1 < self.count || self.is_end(&line[..end])) {
            return Goes::Out;
        }
        (self.depth, self.column, self.value) = (1, 0, Value::Begin);
        Goes::On
    }

    /// Whether a line ends the rows of a table that has but one column.
    fn is_end(&self, line: &[u8]) -> bool {
        self.count == 1 && (line.trim_ascii().is_empty() || line.starts_with(b"\\."))
    }

    /// The beginning of a value in a line.
    fn cell(&mut self, text: &str, at: &mut usize, has_quotes: bool, hits: &mut Vec<Hit>) {
        self.value = Value::Bare;
        let rest = &text.as_bytes()[*at..];
        if has_quotes && rest.first() == Some(&b'"') {
            self.value = Value::Quoted(b'"');
            self.literal(text, at, Some(b'"'), hits);
        } else {
            self.literal(text, at, None, hits);
        }
    }

    /// Goes on to the end of a value in a line.
    fn pass_cell(&mut self, bytes: &[u8], at: &mut usize, separator: u8) {
        let Some(end) = memchr::memchr2(separator, b'\n', &bytes[*at..]) else {
            *at = bytes.len();
            return;
        };
        if bytes[*at + end] == b'\n' {
            self.depth = 0;
        } else {
            self.column += 1;
        }
        self.value = Value::Begin;
        *at += end + 1;
    }

    /// Finds what stands behind a quote, or without any to the end of its place, if it is a secret.
    fn literal(&mut self, text: &str, at: &mut usize, quote: Option<u8>, hits: &mut Vec<Hit>) {
        let begin = *at;
        *at += usize::from(quote.is_some());
        let Some(class) = self.class() else { return };
        let (span, is_all) = self.part(text, *at, quote);
        let content = &text[span.clone()];
        if is_no_value(content.trim()) || !class.fits(content) {
            if !is_all && span.end == text.len() {
                // What may come of it after a flush can't be judged without this.
                self.value = Value::Secret(quote, SECRET_MAX_BYTES);
                *at = span.end;
            }
            return;
        }
        let start = span.start + content.len() - content.trim_start().len();
        let end = if is_all { span.start + content.trim_end().len() } else { span.end };
        // What is decided at the quote must not be cut from it.
        hits.push(Hit { whole: begin..span.end, ..found(start..end, class) });
        *at = span.end;
        if !is_all {
            self.value = Value::Secret(quote, SECRET_MAX_BYTES);
        }
    }

    /// Finds a further part of a secret.
    fn more(
        &mut self,
        text: &str,
        at: &mut usize,
        (quote, left): (Option<u8>, usize),
        hits: &mut Vec<Hit>,
    ) -> Goes {
        let (span, is_all) = self.part(text, *at, quote);
        if let Some(class) = self.class()
            && !span.is_empty()
        {
            hits.push(found(span.clone(), class));
        }
        *at = span.end;
        let left = left.saturating_sub(span.len());
        self.value = match quote {
            Some(quote) if is_all => Value::Quoted(quote),
            None if is_all => Value::Bare,
            _ => Value::Secret(quote, left),
        };
        if left == 0 { Goes::Out } else { Goes::On }
    }

    /// The part of a value from `at` on that is looked at at once, and whether that is all of it.
    fn part(&self, text: &str, at: usize, quote: Option<u8>) -> (std::ops::Range<usize>, bool) {
        let reach = text.floor_char_boundary((at + PART_BYTES).min(text.len()));
        let end = match (quote, self.form) {
            (Some(quote), _) => self.quote_end(text, at..reach, quote),
            (None, Form::Lines { separator, .. }) => {
                memchr::memchr3(separator, b'\n', b'\r', &text.as_bytes()[at..reach])
                    .map(|end| at + end)
            }
            (None, Form::Tuples) => Some(at),
        };
        (at..end.unwrap_or(reach), end.is_some())
    }

    /// Where in a range the quote stands that ends what stands between two.
    fn quote_end(&self, text: &str, range: std::ops::Range<usize>, quote: u8) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut at = range.start;
        loop {
            at += memchr::memchr(quote, bytes[..range.end].get(at..)?)?;
            if at + 1 < range.end && bytes[at + 1] == quote {
                at += 2;
            } else if at > range.start && self.is_escaped(bytes, range.start, at) {
                at += 1;
            } else {
                return Some(at);
            }
        }
    }

    /// Whether a quote behind a backslash is one of the value's, as MySQL has it: in others a backslash
    /// is a letter, and what follows says which it is.
    fn is_escaped(&self, bytes: &[u8], from: usize, at: usize) -> bool {
        let slashes = bytes[from..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        let behind =
            bytes[at + 1..].iter().take(BLANKS_MAX).find(|byte| !byte.is_ascii_whitespace());
        self.form == Form::Tuples && slashes % 2 == 1 && !matches!(behind, Some(b',' | b')') | None)
    }

    /// What the name of the column says.
    fn class(&self) -> Option<NameClass> {
        let is_here = |(place, _): &&(usize, NameClass)| *place == self.column;
        self.secret.iter().find(is_here).map(|(_, class)| *class)
    }
}

/// What no cut may go through, though nothing in it is to be masked.
pub(super) fn guard(whole: std::ops::Range<usize>) -> Hit {
    let secret = whole.start..whole.start;
    Hit { whole, secret, name: HitName::Named(""), holds: false }
}

/// Whether it is what a database writes for nothing, or a literal is put together there by a program.
fn is_no_value(content: &str) -> bool {
    content == "\\N"
        || content.starts_with(['"', '\'']) && content[1..].trim_start().starts_with('+')
}

fn found(span: std::ops::Range<usize>, class: NameClass) -> Hit {
    let name = HitName::Named(class.rule());
    Hit { whole: span.clone(), secret: span, name, holds: true }
}

/// Whether a digit is part of a word, or of a place for a value: `$1`.
fn is_joined(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|at| bytes[at]);
    before
        .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b':' | b'@' | b'.'))
}

/// How much of a value is looked at at once: a longer secret is masked in parts of this length.
const PART_BYTES: usize = 1024;
/// Longest secret: where no quote ends it there never was one.
const SECRET_MAX_BYTES: usize = 64 * 1024;
/// Longest line that is looked at before its first value.
const ROW_BYTES: usize = 1024;
/// Longest number.
const NUMBER_BYTES: usize = 128;
/// Blanks behind a quote.
const BLANKS_MAX: usize = 16;
