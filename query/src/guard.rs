//! Which statements may run: one, and only one that reads.

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::limits::{SQL_DEPTH_MAX, SQL_MAX_BYTES, SQL_READS_MAX, SQL_WORDS_MAX};
use crate::reads::are_too_many;

/// Why a statement does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is too long.
    #[error("statement is longer than {SQL_MAX_BYTES} bytes")]
    TooLong,
    /// It has too many words and signs to be planned in good time.
    #[error("statement has more than {SQL_WORDS_MAX} words and signs")]
    TooComplex,
    /// It comes to too many reads of a table.
    #[error("statement comes to more than {SQL_READS_MAX} reads of a table")]
    TooManyReads,
    /// There is none.
    #[error("there is no statement")]
    Empty,
    /// There is more than one.
    #[error("there is more than one statement; send one at a time")]
    Several,
    /// It does not parse.
    #[error("statement does not parse")]
    Syntax {
        /// Where, if the parser says that.
        place: Option<Place>,
    },
    /// It would change something or reach outside.
    #[error("only statements that read are allowed: SELECT, WITH, VALUES, EXPLAIN, SHOW, DESCRIBE")]
    NotReading,
}

/// A place in a statement, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl Refused {
    /// Its stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "statement_too_long",
            Self::TooComplex => "statement_too_complex",
            Self::TooManyReads => "statement_reads_too_often",
            Self::Empty => "statement_missing",
            Self::Several => "several_statements",
            Self::Syntax { .. } => "statement_does_not_parse",
            Self::NotReading => "statement_does_not_only_read",
        }
    }
}

/// Parses the one statement of `sql`, if it is one that reads.
///
/// # Errors
/// [`Refused`] says why not.
pub(crate) fn parse(sql: &str) -> Result<Statement, Refused> {
    if sql.len() > SQL_MAX_BYTES {
        return Err(Refused::TooLong);
    }
    let dialect = GenericDialect {};
    if words(sql, &dialect) > SQL_WORDS_MAX {
        return Err(Refused::TooComplex);
    }
    let parser =
        DFParserBuilder::new(sql).with_dialect(&dialect).with_recursion_limit(SQL_DEPTH_MAX);
    let mut statements = parser
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| Refused::Syntax { place: place_in(&error.to_string()) })?;
    let statement = statements.pop_front().ok_or(Refused::Empty)?;
    if !statements.is_empty() {
        return Err(Refused::Several);
    }
    if !reads(&statement) {
        return Err(Refused::NotReading);
    }
    if are_too_many(&statement) { Err(Refused::TooManyReads) } else { Ok(statement) }
}

/// Whether a plan only reads: no DDL, no DML, no COPY, no SET, anywhere inside.
///
/// # Errors
/// [`Refused::NotReading`] if not.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<(), Refused> {
    let options =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(plan).map_err(|_| Refused::NotReading)
}

/// Takes out of `context` what no reader of a trail needs and what could harm the process.
pub(crate) fn disarm(context: &SessionContext) {
    for name in BOMBS {
        context.deregister_udf(name);
    }
}

fn reads(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(statement) => matches!(
            **statement,
            ast::Statement::Query(_)
                | ast::Statement::Explain { .. }
                | ast::Statement::ExplainTable { .. }
                | ast::Statement::ShowTables { .. }
                | ast::Statement::ShowColumns { .. }
        ),
        Statement::Explain(explain) => reads(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    }
}

/// How many words and signs there are. A list of values is as easy to plan as it is long, so neither
/// values nor commas count. What is no SQL at all the parser tells.
fn words(sql: &str, dialect: &GenericDialect) -> usize {
    let tokens = Tokenizer::new(dialect, sql).tokenize().unwrap_or_default();
    let counts = |token: &&Token| {
        !matches!(
            token,
            Token::Whitespace(_) | Token::Comma | Token::Number(..) | Token::SingleQuotedString(_)
        )
    };
    tokens.iter().filter(counts).count()
}

/// The place in a parser's words: "… at Line: 1, Column: 8". Only the numbers are taken: the words
/// repeat the statement.
fn place_in(message: &str) -> Option<Place> {
    let (_, rest) = message.rsplit_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(Place { line: line.parse().ok()?, column: column.parse().ok()? })
}

/// Functions that make much of little: one short call of one of these fills the memory, and no
/// pool sees it.
const BOMBS: [&str; 11] = [
    "repeat",
    "lpad",
    "rpad",
    "space",
    "range",
    "generate_series",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "array_fill",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 40] = [
        "SELECT", "*", "FROM", "events", "nodes", "WHERE", "actor", "=", "'x'", "(", ")", ",", "1",
        "WITH", "AS", "JOIN", "ON", "GROUP", "BY", "ORDER", "LIMIT", "UNION", "ALL", "CASE",
        "WHEN", "THEN", "END", "EXPLAIN", "DESCRIBE", "COPY", "TO", "INSERT", "INTO", "VALUES",
        "SET", ";", "--", "\"", "'", "count",
    ];

    proptest! {
        #[test]
        fn no_text_panics(sql in "\\PC*") {
            let _ = parse(&sql);
        }

        #[test]
        fn no_order_of_words_panics_or_changes_anything(
            words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40),
        ) {
            if let Ok(Statement::CopyTo(_) | Statement::CreateExternalTable(_)) = parse(&words.join(" ")) {
                prop_assert!(false, "{}", words.join(" "));
            }
        }
    }

    #[test]
    fn what_reads_is_let_through() {
        for sql in [
            "SELECT 1",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "EXPLAIN SELECT 1;",
            "SHOW TABLES",
            "DESCRIBE nodes",
        ] {
            assert!(parse(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn what_changes_or_reaches_outside_is_refused() {
        let statements = [
            "DROP TABLE events",
            "DELETE FROM events",
            "INSERT INTO events VALUES (1)",
            "COPY events TO '/tmp/x.csv'",
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE TABLE x AS SELECT 1",
            "SET datafusion.execution.batch_size = 1",
            "RESET datafusion.execution.batch_size",
            "PREPARE p AS SELECT 1",
            "EXPLAIN COPY events TO '/tmp/x.csv'",
        ];
        for sql in statements {
            assert_eq!(parse(sql), Err(Refused::NotReading), "{sql}");
        }
    }

    #[test]
    fn one_statement_at_a_time() {
        assert_eq!(parse("SELECT 1; SELECT 2"), Err(Refused::Several));
        assert_eq!(parse("  "), Err(Refused::Empty));
    }

    #[test]
    fn a_syntax_error_is_told_by_its_place_alone() {
        let refused = parse("SELECT 'hunter2'\n FROM events ORDER hunter2").unwrap_err();
        assert!(
            matches!(refused, Refused::Syntax { place: Some(Place { line: 2, .. }) }),
            "{refused:?}"
        );
        assert!(!refused.to_string().contains("hunter2"));
    }

    #[test]
    fn words_and_signs_are_bounded_and_values_are_not() {
        let chain = format!("SELECT {}1", "1+".repeat(SQL_WORDS_MAX));
        assert_eq!(parse(&chain), Err(Refused::TooComplex));
        let list = format!("SELECT 1 IN ({}1)", "1,".repeat(10_000));
        assert!(parse(&list).is_ok());
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_crash() {
        let sql = format!("SELECT {}1{}", "(".repeat(900), ")".repeat(900));
        assert!(matches!(parse(&sql), Err(Refused::Syntax { .. })));
    }
}
