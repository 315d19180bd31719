//! The views over `events`: `sessions`, `runs`, `nodes`. Merging happens here, over the record, and
//! never in a proxy.

use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use std::sync::Arc;

/// The name of the table of all events.
pub(crate) const EVENTS: &str = "events";

/// Each view and its SQL, in the order in which they may use one another.
pub(crate) const VIEWS: [(&str, &str); 3] = [
    ("sessions", include_str!("views/sessions.sql")),
    ("nodes", include_str!("views/nodes.sql")),
    ("runs", include_str!("views/runs.sql")),
];

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
