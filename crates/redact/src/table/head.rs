//! What says which columns a table has.

use std::ops::Range;

use crate::key_name::NameClass;
use crate::limits::SECRET_COLUMNS_MAX;
use crate::redactor::Redactor;
use crate::table::Head;
use crate::table::marks::{Kind, Mark};
use crate::table::rows::{Form, Rows};

/// The head of which a sign tells, if it begins no sooner than `from`.
pub(super) fn at(redactor: &Redactor, text: &str, from: usize, mark: Mark) -> Option<Head> {
    if mark.start < from {
        return None;
    }
    match mark.kind {
        // The sign leaves out the first letter, whose case is any.
        Kind::Insert => insert(redactor, text, mark.start.checked_sub(1)?),
        Kind::Copy => copy(redactor, text, mark.start),
        Kind::Line => drawn(redactor, text, mark.start),
    }
    .filter(|head| head.whole.start >= from)
}

/// `INSERT INTO t (id, password) … VALUES`, behind which the tuples stand.
fn insert(redactor: &Redactor, text: &str, start: usize) -> Option<Head> {
    let rest = window(text, start);
    let word = rest.get(..1)?.eq_ignore_ascii_case("i") || rest[..1].eq_ignore_ascii_case("r");
    let before = text.as_bytes()[..start].last();
    if !word || before.is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let (list, columns) = list(redactor, rest)?;
    let behind = &rest[list.end..];
    let reach = &behind[..behind.floor_char_boundary(BETWEEN_BYTES.min(behind.len()))];
    // Else it ends before its values, or they are said in another way.
    let values = ["values", "VALUES", "Values"].iter().filter_map(|word| reach.find(word)).min()?;
    if reach[..values].contains([';', '(']) {
        return None;
    }
    let end = start + list.end + values + "values".len();
    let rows = Rows::new(Form::Tuples, columns)?;
    Some(Head { whole: start..end, rows })
}

/// `COPY t (id, password) FROM stdin;`, behind which lines with tabs stand.
fn copy(redactor: &Redactor, text: &str, start: usize) -> Option<Head> {
    let rest = window(text, start);
    if text.as_bytes()[..start].last().is_some_and(|byte| !byte.is_ascii_whitespace()) {
        return None;
    }
    let (list, columns) = list(redactor, rest)?;
    let (behind, _) = rest[list.end..].split_once('\n')?;
    if !behind.to_ascii_lowercase().contains("from stdin") {
        return None;
    }
    let is_csv = behind.to_ascii_lowercase().contains("csv");
    let separator = if is_csv { b',' } else { b'\t' };
    let rows = Rows::new(Form::Lines { separator, has_quotes: is_csv }, columns)?;
    Some(Head { whole: start..start + list.end + behind.len() + 1, rows })
}

/// The list of columns in brackets that follows a word and the name of a table, and what the names say.
fn list(redactor: &Redactor, text: &str) -> Option<(Range<usize>, Names)> {
    let open = text.bytes().take(TABLE_NAME_BYTES).position(|byte| byte == b'(')?;
    if !is_statement(&text[..open]) {
        return None;
    }
    let close = open + text[open..].find(')')?;
    let inner = &text[open + 1..close];
    if inner.contains(['(', ';', '=']) {
        return None;
    }
    Some((open..close + 1, Names::new(redactor, inner.split(','))))
}

/// Whether what stands before a list reads as words and the name of a table.
fn is_statement(text: &str) -> bool {
    !text.contains([';', ')', '='])
        && (2..=WORDS_MAX).contains(&text.split_ascii_whitespace().count())
}

/// A table whose names are divided from its rows by a line, on which a sign stands: `----+----`.
fn drawn(redactor: &Redactor, text: &str, sign: usize) -> Option<Head> {
    let bytes = text.as_bytes();
    let line = line_start(bytes, sign)?;
    // One sign for each line is enough.
    let drawn = bytes[line..sign].iter().skip_while(|byte| matches!(byte, b'+' | b'|' | b' '));
    if !drawn.clone().all(|byte| matches!(byte, b'-' | b':')) {
        return None;
    }
    let end = line_end(window(text, line)).map(|end| line + end)?;
    if !is_rule(&bytes[line..end]) {
        return None;
    }
    let names_end = line.checked_sub(1)?;
    let names_start = line_start(bytes, names_end)?;
    let names_line = text.get(names_start..names_end).filter(|line| line.contains('|'))?;
    let names = Names::new(redactor, names_line.split('|'));
    let rows = Rows::new(Form::Lines { separator: b'|', has_quotes: false }, names)?;
    Some(Head { whole: names_start..(end + 1).min(text.len()), rows })
}

/// Whether a line is nothing but what lines in tables are drawn of.
pub(super) fn is_rule(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b'-' | b'+' | b'|' | b':' | b' ' | b'=' | b'\r'))
}

/// The first line of a text, if it is one of names.
pub(super) fn names_line(redactor: &Redactor, text: &str) -> Option<Head> {
    let line = line(text)?;
    let separator = separator(line)?;
    let names = Names::new(redactor, line.split(char::from(separator)));
    let rows = Rows::new(Form::Lines { separator, has_quotes: true }, names)?;
    Some(Head { whole: 0..line_end(text)? + 1, rows })
}

/// Whether a string's content with escapes in it may begin with a line of names.
pub(crate) fn begins_table(redactor: &Redactor, content: &str) -> bool {
    let reach = &content[..content.floor_char_boundary(LINE_BYTES.min(content.len()))];
    let Some(end) = reach.find("\\n") else { return false };
    let line = reach[..end].replace("\\t", "\t").replace("\\\"", "\"");
    let line = line.strip_suffix("\\r").unwrap_or(&line);
    let names = |separator| Names::new(redactor, line.split(char::from(separator)));
    separator(line).is_some_and(|separator| !names(separator).secret.is_empty())
}

/// What divides the names in a line of nothing else.
fn separator(line: &str) -> Option<u8> {
    let is_line = |separator: &u8| {
        let separator = char::from(*separator);
        line.contains(separator) && line.split(separator).all(is_name)
    };
    [b'\t', b',', b';', b'|'].into_iter().find(is_line)
}

/// Whether a field of a line is a column's name. Prose has blanks behind its commas and begins
/// sentences only with capitals.
fn is_name(field: &str) -> bool {
    let bare = field.strip_prefix('"').and_then(|field| field.strip_suffix('"'));
    let name = bare.unwrap_or(field);
    let words = name.split(' ').count();
    let is_of_name =
        |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/' | '#');
    let begins = name.chars().next().is_some_and(|first| {
        first.is_alphabetic() && (words == 1 || bare.is_some() || first.is_uppercase())
    });
    begins && name.len() <= 64 && words <= 3 && name.chars().all(is_of_name) && !name.ends_with(' ')
}

/// What the names of columns say.
pub(super) struct Names {
    pub(super) secret: Vec<(usize, NameClass)>,
    pub(super) count: usize,
}

impl Names {
    fn new<'a>(redactor: &Redactor, names: impl Iterator<Item = &'a str>) -> Self {
        let mut all = Self { secret: Vec::new(), count: 0 };
        for name in names {
            let bare = name.trim_matches(|c: char| !c.is_alphanumeric());
            if let Some(class) = redactor.classify(bare)
                && all.secret.len() < SECRET_COLUMNS_MAX
            {
                all.secret.push((all.count, class));
            }
            all.count += 1;
        }
        all
    }
}

/// The first line, if it is no longer than lines of names are.
fn line(text: &str) -> Option<&str> {
    let line = &text[..line_end(text)?];
    Some(line.strip_suffix('\r').unwrap_or(line))
}

/// Where the line begins in which a place is, if that is near.
fn line_start(bytes: &[u8], place: usize) -> Option<usize> {
    let from = place.saturating_sub(LINE_BYTES);
    let end = memchr::memrchr(b'\n', &bytes[from..place]);
    end.map(|end| from + end + 1).or((from == 0).then_some(0))
}

fn line_end(text: &str) -> Option<usize> {
    text.bytes().take(LINE_BYTES).position(|byte| byte == b'\n')
}

/// As far as a head goes.
fn window(text: &str, start: usize) -> &str {
    let end = text.floor_char_boundary((start + HEAD_BYTES).min(text.len()));
    &text[start..end]
}

/// Longest statement before its values. With what has to be seen behind it, it is within the window
/// that a stream sees behind a place.
const HEAD_BYTES: usize = 1536;
/// Longest line of names.
const LINE_BYTES: usize = 700;
/// Longest name of a table, and the words before it.
const TABLE_NAME_BYTES: usize = 200;
/// Those: `INSERT IGNORE INTO "a"."b"`, with `OR REPLACE` or an alias.
const WORDS_MAX: usize = 8;
/// What stands between the names and the values: `OVERRIDING SYSTEM VALUE`, `OUTPUT inserted.id`.
const BETWEEN_BYTES: usize = 160;
