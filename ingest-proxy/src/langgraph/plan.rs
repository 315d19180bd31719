//! What a client asked of a run's stream, beside what the gateway made of it: the knowledge by which
//! everything injected is taken out again.
//!
//! It is remembered twice: in the gateway's memory ([`super::Runs`]) and, as a short text, in the
//! run's own metadata under [`ASKED_KEY`], so that a proxy that was restarted, or another one, can
//! still answer as if there were no gateway. A client can't set that key: it is reserved.

use std::fmt::Write as _;

use super::limits::{MODE_MAX_BYTES, MODES_MAX};

/// The metadata key with the gateway's id of the request that created a run.
pub const REQUEST_KEY: &str = "gw_request_id";
/// The metadata key with what the client asked of the run's stream.
pub const ASKED_KEY: &str = "gw_asked";

/// The stream mode that tells of node executions.
pub const TASKS: &str = "tasks";

/// How a yes-or-no field stood in the request, which decides how the server echoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It was not there; the server says `false`.
    Absent,
    /// It was `null`; the server says `null`.
    Null,
    /// It was `false`.
    No,
    /// It was `true`.
    Yes,
}

/// One yes-or-no field: what was asked, and whether the gateway made it `true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// What the client asked.
    pub asked: Asked,
    /// The server was told `true` though the client had not asked for it.
    pub forced: bool,
}

/// What to take out of a run's stream and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StripPlan {
    /// The gateway changed nothing of the stream: what comes goes through.
    Untouched,
    /// The gateway asked for more than the client did.
    Injected(Injected),
}

/// What the client asked of the stream of a run that the gateway changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    /// The modes, as a list; the server's default if none were named.
    pub modes: Vec<String>,
    /// `stream_subgraphs`.
    pub subgraphs: Field,
    /// `stream_resumable`.
    pub resumable: Field,
}

/// What a plan says of one kind of frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The client would have had it without the gateway.
    Forward,
    /// It is there only because of the gateway.
    Drop,
}

impl Asked {
    /// How the field stands in JSON; `None` if it is no yes or no.
    pub(super) fn parse(value: Option<&str>) -> Option<Self> {
        match value {
            None => Some(Self::Absent),
            Some("null") => Some(Self::Null),
            Some("false") => Some(Self::No),
            Some("true") => Some(Self::Yes),
            Some(_) => None,
        }
    }

    /// How the server echoes it in a run object.
    #[must_use]
    pub const fn echo(self) -> &'static str {
        match self {
            Self::Absent | Self::No => "false",
            Self::Null => "null",
            Self::Yes => "true",
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Absent => 'a',
            Self::Null => 'n',
            Self::No => 'f',
            Self::Yes => 't',
        }
    }

    const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'a' => Some(Self::Absent),
            b'n' => Some(Self::Null),
            b'f' => Some(Self::No),
            b't' => Some(Self::Yes),
            _ => None,
        }
    }
}

impl Field {
    /// What is sent when `force` wants it `true`.
    pub(super) fn forced_if(asked: Asked, force: bool) -> Self {
        Self { asked, forced: force && asked != Asked::Yes }
    }

    fn parse(text: &str) -> Option<Self> {
        let &[letter, forced] = text.as_bytes() else { return None };
        let forced = match forced {
            b'0' => false,
            b'1' => true,
            _ => return None,
        };
        Some(Self { asked: Asked::from_letter(letter)?, forced })
    }
}

impl StripPlan {
    /// What becomes of a frame whose SSE event is `event`, as `values` or `tasks|sub:<task>`.
    #[must_use]
    pub fn fate(&self, event: &str) -> Fate {
        let Self::Injected(injected) = self else { return Fate::Forward };
        let (mode, inner) = match event.split_once('|') {
            Some((mode, _)) => (mode, true),
            None => (event, false),
        };
        let unasked_tasks = mode == TASKS && !injected.asked_for(TASKS);
        let unasked_inner = inner && injected.subgraphs.forced;
        if unasked_tasks || unasked_inner { Fate::Drop } else { Fate::Forward }
    }

    /// Whether `id:` lines are there only because the gateway made the run resumable. A client that
    /// joins such a run must not have its `Last-Event-ID` passed on either: without the gateway
    /// there would be nothing to replay.
    #[must_use]
    pub fn drops_ids(&self) -> bool {
        match self {
            Self::Untouched => false,
            Self::Injected(injected) => injected.resumable.forced,
        }
    }
}

impl Injected {
    /// Whether the client named the mode itself.
    #[must_use]
    pub fn asked_for(&self, mode: &str) -> bool {
        self.modes.iter().any(|asked| asked == mode)
    }

    /// The text under [`ASKED_KEY`]: letters, digits and `,:_-` only, so it needs no escaping.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("1:{}", self.modes.join(","));
        for field in [self.subgraphs, self.resumable] {
            let _ = write!(text, ":{}{}", field.asked.letter(), u8::from(field.forced));
        }
        text
    }

    /// Reads what [`Self::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        if parts.next()? != "1" {
            return None;
        }
        let modes: Vec<String> = parts.next()?.split(',').map(str::to_owned).collect();
        let subgraphs = Field::parse(parts.next()?)?;
        let resumable = Field::parse(parts.next()?)?;
        let whole = parts.next().is_none() && modes_are_plain(&modes);
        whole.then_some(Self { modes, subgraphs, resumable })
    }
}

/// Whether the modes can be written into a plan's text.
pub(super) fn modes_are_plain(modes: &[String]) -> bool {
    let plain = |mode: &String| {
        (1..=MODE_MAX_BYTES).contains(&mode.len())
            && mode.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    (1..=MODES_MAX).contains(&modes.len()) && modes.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNASKED: Field = Field { asked: Asked::Absent, forced: true };
    const ASKED: Field = Field { asked: Asked::Yes, forced: false };

    fn plan(modes: &[&str], subgraphs: Field) -> StripPlan {
        let modes = modes.iter().map(|mode| (*mode).to_owned()).collect();
        StripPlan::Injected(Injected { modes, subgraphs, resumable: UNASKED })
    }

    #[test]
    fn only_what_nobody_asked_for_is_dropped() {
        let plan_values = plan(&["values"], UNASKED);
        for (event, fate) in [
            ("metadata", Fate::Forward),
            ("values", Fate::Forward),
            ("error", Fate::Forward),
            ("tasks", Fate::Drop),
            ("tasks|sub:1", Fate::Drop),
            ("values|sub:1", Fate::Drop),
        ] {
            assert_eq!(plan_values.fate(event), fate, "{event}");
        }
        assert_eq!(plan(&["values", "tasks"], UNASKED).fate("tasks"), Fate::Forward);
        assert_eq!(plan(&["values", "tasks"], UNASKED).fate("tasks|sub:1"), Fate::Drop);
        assert_eq!(plan(&["values"], ASKED).fate("values|sub:1"), Fate::Forward);
        assert_eq!(plan(&["values"], ASKED).fate("tasks|sub:1"), Fate::Drop);
        assert_eq!(StripPlan::Untouched.fate("tasks|sub:1"), Fate::Forward);
    }

    #[test]
    fn a_plan_written_into_metadata_is_read_back() {
        for asked in [Asked::Absent, Asked::Null, Asked::No, Asked::Yes] {
            for forced in [false, true] {
                let injected = Injected {
                    modes: vec!["messages-tuple".to_owned(), "values".to_owned()],
                    subgraphs: Field { asked, forced },
                    resumable: UNASKED,
                };
                assert_eq!(Injected::from_text(&injected.to_text()), Some(injected));
            }
        }
    }

    #[test]
    fn a_text_that_is_no_plan_is_none() {
        for text in
            ["", "1", "1:values", "2:values:a1:a1", "1::a1:a1", "1:values:a1:a1:", "1:v\":a1:a1"]
        {
            assert_eq!(Injected::from_text(text), None, "{text}");
        }
    }
}
