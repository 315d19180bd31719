//! How many reads of a table a statement comes to once each `WITH` is put where it is named: the
//! planner does that before anything can be bounded, so a short chain of them doubles without end.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    ObjectName, Query, TableAlias, Visit, Visitor, visit_relations,
};

use crate::limits::SQL_READS_MAX;

/// Whether `statement` comes to more than [`SQL_READS_MAX`] reads.
pub(crate) fn are_too_many(statement: &Statement) -> bool {
    let Statement::Statement(statement) = statement else {
        return match statement {
            Statement::Explain(explain) => are_too_many(&explain.statement),
            Statement::Statement(_)
            | Statement::CreateExternalTable(_)
            | Statement::CopyTo(_)
            | Statement::Reset(_) => false,
        };
    };
    let mut named = Named::default();
    // Each round puts in what the last one found out; a name that names itself grows, and ends it.
    for _ in 0..=SQL_READS_MAX {
        named.has_grown = false;
        let _ = statement.visit(&mut named);
        if named.is_over {
            return true;
        }
        if !named.has_grown {
            break;
        }
    }
    named.reads(&**statement) > SQL_READS_MAX
}

/// What each name of a `WITH` comes to.
#[derive(Default)]
struct Named {
    reads: HashMap<String, usize>,
    has_grown: bool,
    is_over: bool,
}

impl Named {
    fn reads(&self, part: &impl Visit) -> usize {
        let mut reads = 0_usize;
        let _ = visit_relations(part, |name: &ObjectName| {
            let known = self.reads.get(&name.to_string().to_lowercase()).copied();
            reads = reads.saturating_add(known.unwrap_or(1));
            ControlFlow::<()>::Continue(())
        });
        reads
    }

    fn take(&mut self, alias: &TableAlias, query: &Query) {
        let reads = self.reads(query);
        let name = alias.name.to_string().to_lowercase();
        let known = self.reads.entry(name).or_default();
        if reads > *known {
            *known = reads;
            self.has_grown = true;
        }
        self.is_over |= reads > SQL_READS_MAX;
    }
}

impl Visitor for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for named in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.take(&named.alias, &named.query);
        }
        if self.is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use crate::guard::parse;

    fn is_refused(sql: &str) -> bool {
        parse(sql).is_err()
    }

    #[test]
    fn what_a_person_asks_is_few() {
        let join = "WITH a AS (SELECT * FROM runs), b AS (SELECT * FROM a JOIN nodes USING (run_id)) \
                    SELECT * FROM b JOIN sessions USING (session_id)";
        assert!(!is_refused(join));
    }

    #[test]
    fn doublings_are_counted_before_they_happen() {
        let mut sql = "WITH a0 AS (SELECT * FROM events UNION ALL SELECT * FROM events)".to_owned();
        for n in 1..16 {
            let last = n - 1;
            sql += &format!(", a{n} AS (SELECT * FROM a{last} UNION ALL SELECT * FROM a{last})");
        }
        assert!(is_refused(&format!("{sql} SELECT count(*) FROM a15")));
        assert!(is_refused(&format!("EXPLAIN {sql} SELECT count(*) FROM A15")));
        assert!(is_refused(&format!("SELECT 1 WHERE EXISTS ({sql} SELECT * FROM a15)")));
    }

    #[test]
    fn many_joins_are_too_many() {
        let tables: Vec<String> = (0..40).map(|n| format!("events n{n}")).collect();
        assert!(is_refused(&format!("SELECT count(*) FROM {}", tables.join(", "))));
    }

    #[test]
    fn a_name_that_names_itself_ends() {
        let _ =
            is_refused("WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a");
    }
}
