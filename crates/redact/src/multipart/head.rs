//! What a part's head says: the field's name, and what the content is.

use crate::form::decode;
use crate::key_name::NameClass;
use crate::machine::Machine;
use crate::multipart::part::{Content, Part};
use crate::redactor::Redactor;
use crate::shape::Shape;

/// The part that begins with this head; none if it is no head.
pub(super) fn opened(redactor: &Redactor, head: &str) -> Option<Part> {
    let mut class = None;
    let mut shape = None;
    let mut is_readable = true;
    for (name, value) in fields(head)? {
        match name.as_str() {
            "content-disposition" => {
                let said = named(redactor, &params(&value)?);
                class = [class, said].into_iter().flatten().min();
            }
            "content-type" if shape.is_some() => return None,
            "content-type" => {
                let known = Shape::of_media_type(&value);
                is_readable &= !matches!(known, Shape::Multipart(_) | Shape::Bytes);
                is_readable &= has_readable_charset(&params(&value)?);
                shape = Some(known);
            }
            "content-transfer-encoding" => is_readable &= is_one_of(&value, PLAIN_TRANSFERS),
            "content-encoding" => is_readable &= is_one_of(&value, &["identity"]),
            _ => {}
        }
    }
    let shape = shape.unwrap_or(Shape::Unknown);
    Some(Part::new(match class {
        _ if !is_readable => Content::Unreadable,
        Some(class) => Content::Named { class, held: String::new() },
        None => Content::Shaped(Box::new(Machine::new(shape))),
    }))
}

/// The boundary that a media type names, if it is one.
pub(crate) fn boundary_of(media_type: &str) -> Option<String> {
    let params = params(media_type)?;
    let mut named = params.into_iter().filter(|(name, _)| name == "boundary");
    let (_, boundary) = named.next()?;
    let is_visible = boundary.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let fits = (1..=BOUNDARY_MAX_BYTES).contains(&boundary.len());
    (named.next().is_none() && is_visible && fits && !boundary.ends_with(' ')).then_some(boundary)
}

/// Names, in lower case, and values, those on several lines made one.
fn fields(head: &str) -> Option<Vec<(String, String)>> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.split_terminator('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.contains(['\r', '\0']) {
            return None;
        }
        if line.starts_with([' ', '\t']) {
            fields.last_mut()?.1.push_str(line);
            continue;
        }
        let (name, value) = line.split_once(':')?;
        let name = name.trim_end_matches([' ', '\t']);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(fields)
}

/// The parameters of a value: `form-data; name="a"; filename=b`. None where a quote does not end.
fn params(value: &str) -> Option<Vec<(String, String)>> {
    let mut params = Vec::new();
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    while !rest.is_empty() {
        let end = rest.find([';', '=']).unwrap_or(rest.len());
        let name = rest[..end].trim().to_ascii_lowercase();
        let Some(text) = rest[end..].strip_prefix('=') else {
            rest = rest[end..].strip_prefix(';').unwrap_or_default();
            continue;
        };
        let text = text.trim_start();
        let (value, behind) = match text.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (value, behind) = text.split_at(text.find(';').unwrap_or(text.len()));
                (value.trim_end().to_owned(), behind)
            }
        };
        params.push((name, value));
        rest = match behind.trim_start() {
            "" => "",
            behind => behind.strip_prefix(';')?,
        };
    }
    Some(params)
}

/// What stands before the closing quote, and what stands behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// What the names among the parameters say: `name=`, `name*=utf-8''…`, `name*0=`; also together. Of
/// several readings the one that says most counts.
fn named(redactor: &Redactor, params: &[(String, String)]) -> Option<NameClass> {
    let mut readings = vec![String::new()];
    for (key, value) in params {
        if key.split('*').next().map(str::trim) != Some("name") {
            continue;
        }
        let clear = if key.ends_with('*') { value.rsplit('\'').next() } else { None };
        let clear = decode(clear.unwrap_or(value));
        readings[0].push_str(&clear);
        readings.extend([clear, value.clone()]);
    }
    readings.iter().filter_map(|name| redactor.classify_path(name)).min()
}

/// Whether bytes are characters as in UTF-8, as far as they are ASCII.
fn has_readable_charset(params: &[(String, String)]) -> bool {
    let charsets = params.iter().filter(|(name, _)| name == "charset");
    charsets.map(|(_, charset)| charset.to_ascii_lowercase()).all(|charset| {
        ["utf-8", "utf8", "us-ascii", "ascii", "latin1"].contains(&charset.as_str())
            || ["iso-8859-", "windows-125"].iter().any(|family| charset.starts_with(family))
    })
}

fn is_one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

const PLAIN_TRANSFERS: &[&str] = &["7bit", "8bit", "binary"];
/// As RFC 2046 has it.
const BOUNDARY_MAX_BYTES: usize = 70;
