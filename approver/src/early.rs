//! What was said of a hold before the hold itself came: the masker may be behind, and a caller that
//! goes away at once withdraws what nobody has seen yet. It is kept until the hold comes, for as long
//! as a hold may live.

use serde::{Deserialize, Serialize};
use trailgate_schemas::{Claim, Micros, Vote};

use crate::limits::EARLY_EACH;

/// What was said of one hold, in its order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Early {
    pub(crate) since: Micros,
    said: Vec<Said>,
}

/// A vote whose signature held, or a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    Vote(Box<Vote>),
    Claim(Claim),
}

impl Early {
    pub(crate) const fn new(since: Micros) -> Self {
        Self { since, said: Vec::new() }
    }

    /// Keeps what was said; says whether there was room.
    pub(crate) fn add(&mut self, said: Said) -> bool {
        let has_room = self.said.len() < EARLY_EACH;
        if has_room {
            self.said.push(said);
        }
        has_room
    }

    /// What was said, in its order.
    pub(crate) fn into_said(self) -> Vec<Said> {
        self.said
    }
}
