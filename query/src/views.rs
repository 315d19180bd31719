//! The views over `events`: `sessions`, `runs`, `nodes`. Merging happens here, over the record, and
//! never in a proxy.

use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use std::sync::Arc;
use trailgate_table::columns;

/// The name of the table of all events.
pub(crate) const EVENTS: &str = "events";

/// Each view and its SQL, in the order in which they may use one another.
pub(crate) const VIEWS: [(&str, &str); 3] = [
    ("sessions", include_str!("views/sessions.sql")),
    ("nodes", include_str!("views/nodes.sql")),
    ("runs", include_str!("views/runs.sql")),
];

/// Columns that only views have. A test holds that there are no others.
const VIEW_COLUMNS: [&str; 15] = [
    "actors",
    "duration_ms",
    "events",
    "failed",
    "finished_at",
    "first_at",
    "interrupted",
    "last_at",
    "nodes",
    "refusals",
    "requests",
    "runs",
    "started_at",
    "status",
    "surfaces",
];

/// The tables that there are, as a list of names.
pub(crate) fn names() -> String {
    let views = VIEWS.map(|(name, _)| name).join(", ");
    format!("{EVENTS}, {views}")
}

/// Whether this is the name of a column of ours.
pub(crate) fn is_column(name: &str) -> bool {
    VIEW_COLUMNS.contains(&name) || columns().field_with_name(name).is_ok()
}

/// Gives `context` the events and the views over them.
///
/// # Errors
/// If a view does not plan: a mistake of this program.
pub(crate) async fn register(
    context: &SessionContext,
    events: Arc<dyn TableProvider>,
) -> Result<(), DataFusionError> {
    context.register_table(EVENTS, events)?;
    for (name, sql) in VIEWS {
        let view = context.sql(sql).await?.into_view();
        context.register_table(name, view)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use datafusion::datasource::empty::EmptyTable;

    use super::*;

    #[tokio::test]
    async fn every_view_plans_and_every_column_is_known() {
        let context = SessionContext::new();
        register(&context, Arc::new(EmptyTable::new(columns()))).await.unwrap();
        let mut of_views = Vec::new();
        for (view, _) in VIEWS {
            for field in context.table(view).await.unwrap().schema().fields() {
                assert!(is_column(field.name()), "{view}.{}", field.name());
                of_views.push(field.name().clone());
            }
        }
        assert!(VIEW_COLUMNS.iter().all(|name| of_views.iter().any(|of| of == name)));
    }
}
