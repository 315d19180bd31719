//! One exchange, from its arrival to its closing record. [`steps`] is the list of what happens, in
//! order; each step takes the stage before it and gives the next, and lives in the file of its verb.
//!
//! Before the record of the request is durable nothing leaves towards the upstream. Whatever ends an
//! exchange early ends in a closing record that says what is known, written by a task that outlives
//! the request if it must.

mod accept;
mod answer;
mod authorise;
mod forward;
mod record;
mod refuse;

use std::sync::Arc;

use http::Response;
use trailgate_schemas::{Kind, Outcome};

use crate::journal::Journal;
use crate::payload::Payload;

pub(crate) use accept::{Arrival, CallerAt};
pub(crate) use record::Admitted;
pub(crate) use refuse::Refused;
use refuse::Stopped;

/// Serves one request.
pub(crate) async fn serve(arrival: Arrival) -> Response<Payload> {
    match steps(arrival).await {
        Ok(response) => response,
        Err(stopped) => stopped.answer().await,
    }
}

async fn steps(arrival: Arrival) -> Result<Response<Payload>, Stopped> {
    let arrived = arrival.accept()?;
    let verified = arrived.authenticate().await?;
    let named = verified.classify()?;
    let allowed = named.authorise()?;
    let recorded = allowed.record().await?;
    let answered = recorded.forward().await?;
    answered.relay().await
}

/// An exchange whose request is recorded and whose answer has not begun. Letting it go closes its
/// stream: the caller went away.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) journal: Arc<Journal>,
    armed: bool,
}

impl Exchange {
    fn open(journal: Arc<Journal>) -> Self {
        Self { journal, armed: true }
    }

    /// From here on somebody else closes the stream.
    fn hand_on(mut self) -> Arc<Journal> {
        self.armed = false;
        Arc::clone(&self.journal)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.armed && !self.journal.is_closed() {
            let mut event = self.journal.allowed(Kind::Request, Outcome::Unknown);
            event.reason = Some(self.journal.gone().to_owned());
            self.journal.close_behind(event);
        }
    }
}
