//! One exchange, from its arrival to its closing record. [`steps`] is the list of what happens, in
//! order; each step takes the stage before it and gives the next, and lives in the file of its verb.
//!
//! Before the record of the request is durable nothing leaves towards the upstream. Whatever ends an
//! exchange early ends in a closing record that says what is known, written by a task that outlives
//! the request if it must.

mod accept;
mod answer;
mod authorise;
mod claim;
mod forward;
mod hold;
mod prepare;
mod record;
mod refuse;

use std::sync::Arc;

use http::{Response, StatusCode};
use trailgate_schemas::{Kind, Outcome};

use crate::journal::{Journal, Pending};
use crate::payload::Payload;

pub(crate) use accept::{Arrival, CallerAt};
use claim::OpenClaim;
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
    let prepared = recorded.prepare().await?;
    let cleared = prepared.hold().await?;
    let answered = cleared.forward().await?;
    answered.relay().await
}

/// An exchange whose request is recorded and whose answer has not begun. Letting it go closes its
/// stream and ends its claim, if it has one: the caller went away.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) journal: Arc<Journal>,
    claim: Option<OpenClaim>,
    armed: bool,
}

impl Exchange {
    fn open(journal: Arc<Journal>) -> Self {
        Self { journal, claim: None, armed: true }
    }

    /// The upstream has answered: the event that says so of what was held.
    fn answered(&mut self, status: StatusCode) -> Option<Pending> {
        self.claim.take().and_then(|claim| claim.answered(&self.journal, status))
    }

    /// From here on somebody else closes the stream; what was held came out like this, if it was
    /// not answered.
    fn hand_on(mut self, outcome: Outcome) -> Arc<Journal> {
        self.armed = false;
        if let Some(claim) = self.claim.take() {
            claim.fail(&self.journal, outcome, "failed");
        }
        Arc::clone(&self.journal)
    }

    /// What waits for a person waits no longer, and closes its stream.
    fn withdraw(mut self, reason: &str) {
        self.armed = false;
        if let Some(claim) = self.claim.take() {
            claim.fail(&self.journal, Outcome::Unknown, reason);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let gone = self.journal.gone();
        if let Some(claim) = self.claim.take() {
            claim.fail(&self.journal, Outcome::Unknown, gone);
        }
        if self.armed && !self.journal.is_closed() {
            let mut event = self.journal.allowed(Kind::Request, Outcome::Unknown);
            event.reason = Some(gone.to_owned());
            self.journal.close_behind(event);
        }
    }
}
