//! What a terminal may be shown: recorded text is anybody's text, and must neither steer the terminal
//! nor look like something else.

use std::io::IsTerminal;

use comfy_table::{ContentArrangement, Table, presets};

/// A cell of a table: what a terminal would act on is made visible, and what is too long is cut.
pub(crate) fn printable(text: &str) -> String {
    let cut: String = text.chars().take(CELL_MAX_CHARS).map(shown).collect();
    if text.chars().nth(CELL_MAX_CHARS).is_some() { cut + "…" } else { cut }
}

/// All of a text, with what a terminal would act on made visible.
pub(crate) fn printable_whole(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// JSON in which what a terminal would act on is escaped. It means the same.
pub(crate) fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// An empty table, as wide as the terminal, and as wide as it likes in a file.
pub(crate) fn table() -> Table {
    let arrangement = if std::io::stdout().is_terminal() {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    };
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_content_arrangement(arrangement);
    table
}

/// What a stage says of a refusal, in one line.
pub(crate) fn refusal(stage: &str, status: u16, told: &str) -> String {
    let problem: serde_json::Value = serde_json::from_str(told).unwrap_or_default();
    let text = |name: &str| problem[name].as_str().map(printable);
    let place = problem["line"].as_u64().zip(problem["column"].as_u64());
    let place = place.map(|(line, column)| format!("line {line}, column {column}"));
    let parts = [text("title"), place, text("state"), text("detail"), text("missing")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { format!("{stage} answered {status}") } else { parts.join(": ") }
}

fn shown(c: char) -> char {
    if steers(c) { '\u{fffd}' } else { c }
}

/// Control characters, and those that change the order in which others are shown.
fn steers(c: char) -> bool {
    let reorders = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    (c.is_control() && c != '\n') || reorders
}

/// A cell longer than this is for another format.
const CELL_MAX_CHARS: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_can_not_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\u{fffd}[31mb");
        assert_eq!(printable(&"x".repeat(500)).chars().count(), CELL_MAX_CHARS + 1);
    }

    #[test]
    fn text_can_not_be_shown_in_another_order_than_it_stands() {
        assert_eq!(printable_whole("1\u{202e}00\n"), "1\u{fffd}00\n");
    }

    #[test]
    fn json_for_a_terminal_means_the_same_and_steers_nothing() {
        let value = serde_json::json!({"a": "\u{1b}[31m\u{9b}31m\u{202e}\u{7f}é\n"});
        let json = printable_json(&value.to_string());
        assert!(!json.chars().any(|c| steers(c) || c == '\n'), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }

    #[test]
    fn a_refusal_is_one_line_with_its_place() {
        let told = r#"{"title":"The statement can't be planned","line":1,"column":8,"detail":"x"}"#;
        let said = "The statement can't be planned: line 1, column 8: x";
        assert_eq!(refusal("query", 400, told), said);
        assert_eq!(refusal("query", 502, "<html>"), "query answered 502");
    }
}
