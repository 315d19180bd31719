//! Operations that wait for a person: by which rule, for how long, and what lets them go.
//!
//! A decision finds the request that waits for it by the hold's id alone, on whichever gateway that
//! is: every gateway reads every decision and has a [`Waiters`] of its own. A decision lets a request
//! go only if its signature holds and hold, claim, digest and requester are those of the request that
//! waits, in time; taking the waiter out is the one use.

mod claims;
mod decisions;
mod exact;
mod seats;
mod spool;
mod waiters;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use trailgate_envelope::{Deciders, OwnSeal};
use trailgate_policy::{Asked, Rules};
use trailgate_schemas::Principal;
use trailgate_topics::Appender;

use crate::limits::{CLAIMS_MAX, HELD_BYTES_MAX, HELD_SHARE};

pub use decisions::{Deciding, Decisions, OpenError, SignedDecisions};
pub(crate) use exact::{Exact, ExactOf};
pub(crate) use seats::{NoSeat, Seat};
pub(crate) use waiters::{Bound, Waiting};

use seats::Seats;
use waiters::Waiters;

/// What a gateway that holds operations is made of.
pub struct Holding {
    /// What is held.
    pub rules: Rules,
    /// The longest body that is held; a longer one is denied.
    pub max_bytes: usize,
    /// Where exact bytes are kept and claims are told.
    pub appender: Arc<dyn Appender>,
    /// How many partitions each topic has.
    pub partitions: u32,
    /// What exact bytes are sealed by.
    pub seal: OwnSeal,
    /// Whose decisions count.
    pub deciders: Deciders,
    /// Where decisions come from.
    pub decisions: Box<dyn Decisions>,
}

/// What waits on this gateway, and by what.
pub(crate) struct Holds {
    rules: Rules,
    pub(crate) max_bytes: usize,
    /// Bytes of all bodies together that wait.
    pub(crate) bytes: Arc<Semaphore>,
    pub(crate) waiters: Arc<Waiters>,
    seats: Arc<Seats>,
    appender: Arc<dyn Appender>,
    partitions: u32,
    seal: OwnSeal,
    deciders: Deciders,
    telling: Arc<Semaphore>,
}

/// The rule that holds a request, as its records name it.
#[derive(Clone, Debug)]
pub(crate) struct Ruling {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) reviewers: Vec<String>,
    pub(crate) expires_after: Duration,
}

impl Holds {
    /// What waits on a gateway of so many exchanges, and where its decisions come from.
    pub(crate) fn new(holding: Holding, max_exchanges: usize) -> (Arc<Self>, Box<dyn Decisions>) {
        let holds = Self {
            rules: holding.rules,
            max_bytes: holding.max_bytes,
            bytes: Arc::new(Semaphore::new(HELD_BYTES_MAX)),
            waiters: Arc::default(),
            seats: Seats::new((max_exchanges / HELD_SHARE).max(1)),
            appender: holding.appender,
            partitions: holding.partitions,
            seal: holding.seal,
            deciders: holding.deciders,
            telling: Arc::new(Semaphore::new(CLAIMS_MAX)),
        };
        (Arc::new(holds), holding.decisions)
    }

    /// Whether a path of this connection must not mean two things.
    pub(crate) fn reads_paths_of(&self, connection: &str) -> bool {
        self.rules.reads_paths_of(connection)
    }

    /// The rule that holds this; none if it may go on.
    pub(crate) fn ruling(&self, asked: &Asked<'_>) -> Option<Ruling> {
        self.rules.first(asked).map(|rule| Ruling {
            name: rule.name().to_owned(),
            version: self.rules.version().to_owned(),
            reviewers: rule.reviewers().to_vec(),
            expires_after: rule.expires_after(),
        })
    }

    /// A place among those who wait.
    pub(crate) fn seat(&self, who: Principal) -> Result<Seat, NoSeat> {
        self.seats.take(who)
    }
}

impl std::fmt::Debug for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Holds")
    }
}
