//! Configuration: one TOML file, overridden by `TRAILGATE__SECTION__KEY` in the environment, or by
//! the text of a file that `TRAILGATE__SECTION__KEY__FROM_FILE` names: an environment is seen by who
//! looks at a process, a file only by who may read it. What is wrong is told by line and key and
//! never by its text, which may hold a secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Value;
use toml::de::{DeTable, DeValue};

use crate::limits::CONFIG_MAX_BYTES;

/// Why a configuration could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: can't be read: {kind}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        kind: std::io::ErrorKind,
    },
    /// The file is longer than any configuration is.
    #[error("{}: longer than {CONFIG_MAX_BYTES} bytes", .file.display())]
    TooLong {
        /// The file.
        file: PathBuf,
    },
    /// It is not TOML.
    #[error("{}:{line}: not valid TOML: {problem}", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser expected; none of the text.
        problem: String,
    },
    /// A key is unknown, missing or has a value that does not fit.
    #[error("{}: {key}: {problem}", Place { file, line: *line })]
    Key {
        /// The file.
        file: PathBuf,
        /// The line, from 1, where the key or the table it misses in stands; none if the
        /// environment set it.
        line: Option<usize>,
        /// The key's full name: `backbone.folder`.
        key: String,
        /// What is wrong with it.
        problem: KeyProblem,
    },
}

/// What is wrong with a key. None of these holds its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// There is no such key.
    #[error("unknown key; {expected}")]
    Unknown {
        /// Which there are.
        expected: String,
    },
    /// It must be there.
    #[error("missing")]
    Missing,
    /// The value is of another type or out of its range.
    #[error("expected {expected}")]
    Unfit {
        /// What fits.
        expected: String,
    },
    /// The value is not valid.
    #[error("value is not valid")]
    Invalid,
}

struct Place<'a> {
    file: &'a Path,
    line: Option<usize>,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file.display()),
            None => write!(f, "{}", self.file.display()),
        }
    }
}

/// The process's `TRAILGATE__…` variables.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars().filter(|(name, _)| name.starts_with(PREFIX)).collect()
}

/// Reads a configuration file and lays `environment` over it.
///
/// # Errors
/// [`ConfigError`] says what is wrong and where.
pub fn load<C: DeserializeOwned>(
    file: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<C, ConfigError> {
    parse(file, &config_text(file)?, environment)
}

/// The text of a file of the configuration, as it stands there.
///
/// # Errors
/// [`ConfigError::Unreadable`] or [`ConfigError::TooLong`].
pub fn config_text(file: &Path) -> Result<String, ConfigError> {
    let unreadable = |error: std::io::Error| ConfigError::Unreadable {
        file: file.to_owned(),
        kind: error.kind(),
    };
    if std::fs::metadata(file).map_err(unreadable)?.len() > CONFIG_MAX_BYTES {
        return Err(ConfigError::TooLong { file: file.to_owned() });
    }
    std::fs::read_to_string(file).map_err(unreadable)
}

/// Like [`load`], of a text that is already read; `file` is only named in errors.
///
/// # Errors
/// [`ConfigError`] says what is wrong and where.
pub fn parse<C: DeserializeOwned>(
    file: &Path,
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<C, ConfigError> {
    let syntax = |error: toml::de::Error| ConfigError::Syntax {
        file: file.to_owned(),
        line: line_at(text, error.span().map_or(text.len(), |span| span.start)),
        problem: error.message().to_owned(),
    };
    let spans = DeTable::parse(text).map_err(syntax)?;
    let mut table: toml::Table = toml::from_str(text).map_err(syntax)?;
    for (name, value) in environment {
        match name.strip_suffix(FROM_FILE) {
            Some(name) => {
                let text = config_text(Path::new(value))?;
                override_key(&mut table, name, Value::String(text.trim_end().to_owned()));
            }
            None => override_key(&mut table, name, toml_or_text(value)),
        }
    }
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let (key, problem) = explain(&error.path().to_string(), error.inner().message());
        let line = line_of(text, spans.get_ref(), &key);
        ConfigError::Key { file: file.to_owned(), line, key, problem }
    })
}

/// `TRAILGATE__BACKBONE__FOLDER=x` sets `backbone.folder`.
fn override_key(table: &mut toml::Table, name: &str, value: Value) {
    let Some(path) = name.strip_prefix(PREFIX) else { return };
    let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
    let Some((last, sections)) = keys.split_last() else { return };
    let mut at = table;
    for section in sections {
        let inner = at.entry(section.clone()).or_insert_with(|| Value::Table(toml::Table::new()));
        let Value::Table(inner) = inner else { return };
        at = inner;
    }
    at.insert(last.clone(), value);
}

/// TOML where it parses as a value, else text.
fn toml_or_text(value: &str) -> Value {
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok();
    let parsed = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("v"));
    parsed.unwrap_or_else(|| Value::String(value.to_owned()))
}

/// The key and the problem in serde's words, without the value that they may repeat.
fn explain(path: &str, message: &str) -> (String, KeyProblem) {
    let inside = |name: &str| {
        let ends = path == name || path.ends_with(&format!(".{name}"));
        if path == "." {
            name.to_owned()
        } else if ends {
            path.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    let named = |rest: &str| rest.split('`').next().unwrap_or_default().to_owned();
    let message = message.lines().next().unwrap_or_default();
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let expected = rest.split_once("`, ").map_or("there are none", |(_, expected)| expected);
        return (inside(&named(rest)), KeyProblem::Unknown { expected: expected.to_owned() });
    }
    if let Some(rest) = message.strip_prefix("missing field `") {
        return (inside(&named(rest)), KeyProblem::Missing);
    }
    let told = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `"];
    let expected = message.rsplit_once("expected ").map(|(_, expected)| expected.to_owned());
    let problem = match expected {
        Some(expected) if told.iter().any(|t| message.starts_with(t)) => {
            KeyProblem::Unfit { expected }
        }
        _ => KeyProblem::Invalid,
    };
    (path.to_owned(), problem)
}

/// The line of the deepest part of `key` that stands in the file.
fn line_of(text: &str, table: &DeTable<'_>, key: &str) -> Option<usize> {
    let mut at = table;
    let mut found = None;
    for name in key.split('.') {
        let (name, index) = match name.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (name, None),
        };
        let Some((spanned, value)) = at.iter().find(|(k, _)| k.get_ref().as_ref() == name) else {
            break;
        };
        found = Some(line_at(text, spanned.span().start));
        let mut inner = value;
        if let (Some(index), DeValue::Array(items)) = (index, inner.get_ref()) {
            let Some(item) = items.get(index) else { break };
            found = Some(line_at(text, item.span().start));
            inner = item;
        }
        let DeValue::Table(inner) = inner.get_ref() else { break };
        at = inner;
    }
    found
}

fn line_at(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

const PREFIX: &str = "TRAILGATE__";
const FROM_FILE: &str = "__FROM_FILE";

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Config {
        backbone: Backbone,
        #[serde(default)]
        list: Vec<Item>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Backbone {
        folder: String,
        #[serde(default)]
        partitions: u16,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Item {
        mode: Mode,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        On,
        Off,
    }

    fn error(text: &str) -> String {
        parse::<Config>(Path::new("t.toml"), text, &BTreeMap::new()).unwrap_err().to_string()
    }

    #[test]
    fn a_typo_is_told_by_line_and_key() {
        let said = error("[backbone]\nfolder = \"a\"\npartitoins = 4\n");
        assert!(said.starts_with("t.toml:3: backbone.partitoins: unknown key; expected"), "{said}");
    }

    #[test]
    fn a_value_is_never_repeated() {
        let texts = [
            "[backbone]\nfolder = \"a\"\npartitions = \"hunter2\"\n",
            "[backbone]\nfolder = \"a\"\n[[list]]\nmode = \"hunter2\"\n",
            "[backbone]\nfolder = hunter2\n",
            "[backbone]\nfolder = \"hunter2\n",
            "hunter2\n",
            "[backbone]\nfolder = \"a\"\npartitions = 99999999\n",
        ];
        for text in texts {
            let said = error(text);
            assert!(!said.contains("hunter2") && !said.contains("99999999"), "{said}");
            assert!(said.starts_with("t.toml:"), "{said}");
        }
    }

    #[test]
    fn a_missing_key_is_told_by_the_line_of_its_table() {
        assert_eq!(error("\n[backbone]\n"), "t.toml:2: backbone.folder: missing");
    }

    #[test]
    fn an_unknown_variant_names_those_there_are() {
        let said = error("[backbone]\nfolder = \"a\"\n[[list]]\nmode = \"x\"\n");
        assert_eq!(said, "t.toml:4: list[0].mode: expected `on` or `off`");
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let environment = BTreeMap::from([
            ("TRAILGATE__BACKBONE__PARTITIONS".to_owned(), "8".to_owned()),
            ("TRAILGATE__BACKBONE__FOLDER".to_owned(), "/elsewhere".to_owned()),
        ]);
        let config: Config =
            parse(Path::new("t.toml"), "[backbone]\nfolder = \"a\"\n", &environment).unwrap();
        let backbone = Backbone { folder: "/elsewhere".to_owned(), partitions: 8 };
        assert_eq!(config, Config { backbone, list: Vec::new() });
    }
    #[test]
    fn a_secret_comes_from_a_file_and_is_text_whatever_it_looks_like() {
        let file = std::env::temp_dir().join(format!("trailgate-secret-{}", std::process::id()));
        std::fs::write(&file, "4711\n").unwrap();
        let name = "TRAILGATE__BACKBONE__FOLDER__FROM_FILE".to_owned();
        let parsed = |file: &Path| {
            let environment = BTreeMap::from([(name.clone(), file.display().to_string())]);
            parse::<Config>(Path::new("t.toml"), "", &environment)
        };
        let config = parsed(&file);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(config.unwrap().backbone.folder, "4711");
        let said = parsed(&file).unwrap_err().to_string();
        assert_eq!(said, format!("{}: can't be read: entity not found", file.display()));
    }
}
