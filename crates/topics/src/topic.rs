//! The topics, and how each is kept.

use std::time::Duration;

use serde::Serialize;

/// A topic of Trailgate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Topic {
    /// Sealed events, one way in. Keyed by session.
    Raw,
    /// Masked events. Keyed by session.
    Events,
    /// Masked events as a SIEM takes them. Keyed by session.
    Siem,
    /// Sealed events that could not be taken, with a reason. Keyed by session.
    Refused,
    /// What the masker remembers, sealed to itself. In the partition of `audit.raw` that it is
    /// about.
    MaskerState,
    /// Operations that wait for a person, masked. Keyed by hold.
    Holds,
    /// What verified people said of a hold. Keyed by hold.
    Votes,
    /// What gateways say of a hold: that they would use it, withdraw it, or what became of it.
    /// Keyed by hold.
    Claims,
    /// What was decided of a hold. Keyed by hold.
    Decisions,
    /// What the approver remembers. Keyed by hold.
    Approvals,
    /// The exact bytes of held operations, sealed to the gateways. Keyed by hold.
    Spool,
}

/// How long a topic's records are kept. A minimum, never a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Until a stage has durably taken them and trims: no time or size limit at the broker.
    UntilTrimmed,
    /// For this long, at the broker.
    For(Duration),
    /// The last record of each key.
    Compacted,
}

impl Topic {
    /// Every topic.
    pub const ALL: &'static [Self] = &[
        Self::Raw,
        Self::Events,
        Self::Siem,
        Self::Refused,
        Self::MaskerState,
        Self::Holds,
        Self::Votes,
        Self::Claims,
        Self::Decisions,
        Self::Approvals,
        Self::Spool,
    ];

    /// Its name on every backbone.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "audit.raw",
            Self::Events => "audit.events",
            Self::Siem => "audit.siem",
            Self::Refused => "audit.refused",
            Self::MaskerState => "audit.masker-state",
            Self::Holds => "audit.holds",
            Self::Votes => "audit.votes",
            Self::Claims => "audit.claims",
            Self::Decisions => "audit.decisions",
            Self::Approvals => "audit.approvals",
            Self::Spool => "audit.spool",
        }
    }

    /// How long its records are kept.
    #[must_use]
    pub const fn kept(self) -> Kept {
        match self {
            Self::Raw | Self::Events => Kept::UntilTrimmed,
            Self::Siem | Self::Holds | Self::Votes | Self::Claims => Kept::For(days(7)),
            Self::Refused => Kept::For(days(28)),
            // Longer than any approval lives: a gateway reads all of it to know what it may do.
            Self::Decisions => Kept::For(days(14)),
            // Longer than any hold lives, until those who write it trim it.
            Self::Spool => Kept::For(days(2)),
            Self::MaskerState | Self::Approvals => Kept::Compacted,
        }
    }

    /// Whether only a key holder reads it: the one place where a secret may be.
    #[must_use]
    pub const fn is_sealed(self) -> bool {
        match self {
            Self::Raw | Self::Refused | Self::MaskerState | Self::Spool => true,
            Self::Events
            | Self::Siem
            | Self::Holds
            | Self::Votes
            | Self::Claims
            | Self::Decisions
            | Self::Approvals => false,
        }
    }
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}
