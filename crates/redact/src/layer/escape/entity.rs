//! Characters as HTML and XML name them.

use crate::layer::escape::Unit;

pub(super) fn unit(rest: &[u8]) -> Option<Unit> {
    match rest.get(1)? {
        b'#' => numbered(rest),
        first if first.is_ascii_alphabetic() => named(rest),
        _ => None,
    }
}

/// `&#115;`, `&#x73;`; browsers do not ask for the semicolon.
fn numbered(rest: &[u8]) -> Option<Unit> {
    let is_hex = matches!(rest.get(2), Some(b'x' | b'X'));
    let from = if is_hex { 3 } else { 2 };
    let base = if is_hex { 16 } else { 10 };
    let digit = |byte: &u8| (*byte as char).to_digit(base);
    let digits: Vec<u32> = rest[from..].iter().take(DIGITS_MAX + 1).map_while(digit).collect();
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * base + digit);
    let end = from + digits.len();
    Some(Unit::code(code, end + usize::from(rest.get(end) == Some(&b';'))))
}

fn named(rest: &[u8]) -> Option<Unit> {
    let end = rest.iter().take(NAME_MAX + 2).position(|byte| *byte == b';')?;
    let name = &rest[1..end];
    let (_, character) = NAMES.iter().find(|(known, _)| known.as_bytes() == name)?;
    Some(Unit::byte(*character, end + 1))
}

const DIGITS_MAX: usize = 7;
const NAME_MAX: usize = 8;

/// Those of ASCII.
const NAMES: &[(&str, u8)] = &[
    ("amp", b'&'),
    ("AMP", b'&'),
    ("apos", b'\''),
    ("ast", b'*'),
    ("bsol", b'\\'),
    ("colon", b':'),
    ("comma", b','),
    ("commat", b'@'),
    ("dash", b'-'),
    ("dollar", b'$'),
    ("equals", b'='),
    ("excl", b'!'),
    ("grave", b'`'),
    ("gt", b'>'),
    ("GT", b'>'),
    ("Hat", b'^'),
    ("hyphen", b'-'),
    ("lbrace", b'{'),
    ("lbrack", b'['),
    ("lcub", b'{'),
    ("lowbar", b'_'),
    ("lpar", b'('),
    ("lsqb", b'['),
    ("lt", b'<'),
    ("LT", b'<'),
    ("nbsp", b' '),
    ("NewLine", b'\n'),
    ("num", b'#'),
    ("percnt", b'%'),
    ("period", b'.'),
    ("plus", b'+'),
    ("quest", b'?'),
    ("quot", b'"'),
    ("QUOT", b'"'),
    ("rbrace", b'}'),
    ("rbrack", b']'),
    ("rcub", b'}'),
    ("rpar", b')'),
    ("rsqb", b']'),
    ("semi", b';'),
    ("sol", b'/'),
    ("Tab", b'\t'),
    ("tilde", b'~'),
    ("verbar", b'|'),
    ("vert", b'|'),
];
