//! Making a JSON text fit by leaving out its largest parts whole. A string is never cut in two: half
//! a secret would be recognised by nobody.

use serde_json::Value;

use crate::limits::SHORTEN_MAX_BYTES;

/// A JSON text that fits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fit {
    pub(crate) text: String,
    pub(crate) is_shortened: bool,
}

/// `json` in at most `max` bytes, still JSON; none if that can't be had.
pub(crate) fn shorten(json: &[u8], max: usize) -> Option<Fit> {
    let text = std::str::from_utf8(json).ok()?;
    if text.len() <= max {
        return Some(Fit { text: text.to_owned(), is_shortened: false });
    }
    if text.len() > SHORTEN_MAX_BYTES {
        return None;
    }
    let whole: Value = serde_json::from_str(text).ok()?;
    // What of one value may stay: strings of this many bytes, lists and objects of this many items.
    for (bytes, items) in [(4096, 256), (1024, 64), (256, 32), (64, 8), (16, 2)] {
        let text = left_out(&whole, bytes, items).to_string();
        if text.len() <= max {
            return Some(Fit { text, is_shortened: true });
        }
    }
    None
}

fn left_out(value: &Value, bytes: usize, items: usize) -> Value {
    match value {
        Value::String(text) if text.len() > bytes => mark("bytes", text.len()),
        Value::Array(list) => {
            let mut kept: Vec<Value> =
                list.iter().take(items).map(|v| left_out(v, bytes, items)).collect();
            if list.len() > items {
                kept.push(mark("items", list.len() - items));
            }
            Value::Array(kept)
        }
        Value::Object(members) => {
            let kept = members.iter().take(items).filter(|(key, _)| key.len() <= bytes);
            let mut kept: serde_json::Map<String, Value> =
                kept.map(|(key, v)| (key.clone(), left_out(v, bytes, items))).collect();
            if kept.len() < members.len() {
                kept.insert(MARK.to_owned(), (members.len() - kept.len()).into());
            }
            Value::Object(kept)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn mark(unit: &str, count: usize) -> Value {
    Value::String(format!("[{MARK}: {count} {unit}]"))
}

const MARK: &str = "left out by trailgate";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_not_touched() {
        let fit = shorten(br#"{"a": 1.0}"#, 64).unwrap();
        assert_eq!(fit, Fit { text: r#"{"a": 1.0}"#.to_owned(), is_shortened: false });
    }

    #[test]
    fn the_largest_parts_are_left_out_whole() {
        let secret = "s3cr3t".repeat(2000);
        let json = format!(r#"{{"keep":"me","long":"{secret}","list":[{}1]}}"#, "1,".repeat(900));
        let fit = shorten(json.as_bytes(), 2048).unwrap();
        assert!(fit.is_shortened && fit.text.len() <= 2048);
        assert!(fit.text.contains(r#""keep":"me""#), "{}", fit.text);
        assert!(!fit.text.contains("s3cr3t"));
        assert!(serde_json::from_str::<Value>(&fit.text).is_ok());
    }

    #[test]
    fn what_can_not_be_shortened_is_left_out() {
        assert_eq!(shorten(&[b'['; 200_000], 65_536), None);
        assert_eq!(shorten(&[0xff; 10], 65_536), None);
        assert_eq!(shorten(&vec![b'1'; SHORTEN_MAX_BYTES + 1], 65_536), None);
    }
}
