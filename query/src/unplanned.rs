//! Why a statement does not plan, in our own words: the planner's repeat the statement, and what
//! stands in a statement may be a secret wherever its answer is kept. The place tells which word is
//! meant; only names that were known before are named.

use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::common::{Diagnostic, SchemaError};
use datafusion::error::DataFusionError;

use crate::guard::Place;
use crate::views;

/// Why a statement does not plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplanned {
    /// What is wrong.
    pub fault: Fault,
    /// Where, if the planner says that.
    pub place: Option<Place>,
}

/// What is wrong with a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A column is not there; perhaps another one was meant.
    NoColumn(Option<String>),
    /// A column's name is that of several.
    Ambiguous,
    /// A table is not there.
    NoTable,
    /// A function is not there; perhaps another one was meant.
    NoFunction(Option<String>),
    /// Types do not go together.
    Types,
    /// A column is neither grouped by nor aggregated.
    NotGrouped,
    /// Parts of a UNION, or a subquery, have the wrong number of columns.
    ColumnCount,
    /// It is SQL, but not supported.
    NotSupported,
    /// Something else.
    Other,
}

impl Fault {
    /// What is wrong, for the statement's caller.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::NoColumn(None) => {
                "There is no such column; DESCRIBE names those of a table.".into()
            }
            Self::NoColumn(Some(near)) => format!("There is no such column; is {near} meant?"),
            Self::Ambiguous => "Several tables have this column; say whose is meant.".into(),
            Self::NoTable => format!("There is no such table; there are {}.", views::names()),
            Self::NoFunction(None) => "There is no such function.".into(),
            Self::NoFunction(Some(near)) => format!("There is no such function; is {near} meant?"),
            Self::Types => "The types of these expressions do not go together.".into(),
            Self::NotGrouped => "A column is neither in GROUP BY nor in an aggregate.".into(),
            Self::ColumnCount => "The number of columns is not the one that is needed here.".into(),
            Self::NotSupported => "This is not supported.".into(),
            Self::Other => "Its parts do not fit together.".into(),
        }
    }
}

/// What an error of the planner means. `root` is its innermost error.
pub(crate) fn explain(error: &DataFusionError, root: &DataFusionError) -> Unplanned {
    let diagnostic = error.diagnostic();
    let span = diagnostic.and_then(|diagnostic| diagnostic.span);
    let place = span.map(|span| Place { line: span.start.line, column: span.start.column });
    Unplanned { fault: fault(diagnostic, root), place }
}

fn fault(diagnostic: Option<&Diagnostic>, root: &DataFusionError) -> Fault {
    match root {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let valid = valid_fields.iter().map(|column| column.name.as_str());
                Fault::NoColumn(nearest(&field.name, valid))
            }
            SchemaError::AmbiguousReference { .. } => Fault::Ambiguous,
            SchemaError::DuplicateQualifiedField { .. }
            | SchemaError::DuplicateUnqualifiedField { .. } => Fault::Other,
        },
        DataFusionError::NotImplemented(_) => Fault::NotSupported,
        DataFusionError::Plan(words) => {
            let words = diagnostic.map_or(words.as_str(), |diagnostic| diagnostic.message.as_str());
            of_words(words, diagnostic)
        }
        _ => Fault::Other,
    }
}

/// The planner has no codes for these. A word that is not known here only makes the answer vaguer.
fn of_words(words: &str, diagnostic: Option<&Diagnostic>) -> Fault {
    let has = |part: &str| words.contains(part);
    if words.starts_with("Invalid function") {
        return Fault::NoFunction(diagnostic.and_then(possible_function));
    }
    if has("not found") && (words.starts_with("table") || words.starts_with("Table")) {
        Fault::NoTable
    } else if words.starts_with("column") && has("not found") {
        Fault::NoColumn(None)
    } else if words.starts_with("column") && has("ambiguous") {
        Fault::Ambiguous
    } else if has("GROUP BY") {
        Fault::NotGrouped
    } else if has("incompatible types") || has("coerce") || has("cannot be used with") {
        Fault::Types
    } else if has("different number of columns") || has("only one column") {
        Fault::ColumnCount
    } else {
        Fault::Other
    }
}

/// The planner suggests functions that it knows.
fn possible_function(diagnostic: &Diagnostic) -> Option<String> {
    let note = diagnostic.notes.first()?.message.strip_prefix("Possible function '")?;
    Some(note.trim_end_matches('\'').to_owned())
}

/// The column that is meant, if one that we gave its name is near enough.
fn nearest<'a>(name: &str, valid: impl Iterator<Item = &'a str>) -> Option<String> {
    let ours = valid.filter(|valid| views::is_column(valid));
    let near = ours.map(|valid| (normalized_levenshtein(name, valid), valid));
    let near = near.filter(|(near, _)| *near > NEAR_ENOUGH);
    near.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, valid)| valid.to_owned())
}

/// Half of the letters are right.
const NEAR_ENOUGH: f64 = 0.5;
