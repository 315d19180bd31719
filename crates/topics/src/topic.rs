//! The topics, and how each is kept.

use serde::Serialize;

/// A topic of Trailgate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Topic {
    /// Sealed events, one way in.
    Raw,
    /// Masked events.
    Events,
    /// Sealed events that could not be taken, with a reason.
    Refused,
    /// What the masker remembers, sealed to itself.
    MaskerState,
}

/// How long a topic's records are kept. A minimum, never a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Until a stage has durably taken them and trims: no time or size limit at the broker.
    UntilTrimmed,
    /// For this long, at the broker.
    For(std::time::Duration),
    /// The last record of each key.
    Compacted,
}

impl Topic {
    /// Every topic.
    pub const ALL: &'static [Self] = &[Self::Raw, Self::Events, Self::Refused, Self::MaskerState];

    /// Its name on every backbone.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "audit.raw",
            Self::Events => "audit.events",
            Self::Refused => "audit.refused",
            Self::MaskerState => "audit.masker-state",
        }
    }

    /// How long its records are kept.
    #[must_use]
    pub const fn kept(self) -> Kept {
        match self {
            Self::Raw | Self::Events => Kept::UntilTrimmed,
            Self::Refused => Kept::For(std::time::Duration::from_secs(28 * 24 * 3600)),
            Self::MaskerState => Kept::Compacted,
        }
    }

    /// Whether only a key holder reads it: the one place where a secret may be.
    #[must_use]
    pub const fn is_sealed(self) -> bool {
        match self {
            Self::Raw | Self::Refused | Self::MaskerState => true,
            Self::Events => false,
        }
    }
}
