//! How what an event tells of came out, and the one way words become enums here.

/// Declares an enum whose variants are words in Avro, with parsing that does not repeat its input.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $unknown:ident, $noun:literal {
        $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        #[doc = concat!("The text is no ", $noun, " of this version.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("unknown {}", $noun)]
        pub struct $unknown;

        impl $name {
            /// Every variant, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that stands for it in Avro, in SQL and on every page.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $unknown;

            fn from_str(text: &str) -> Result<Self, $unknown> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err($unknown) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $unknown;

            fn try_from(text: String) -> Result<Self, $unknown> { text.parse() }
        }

        impl From<$name> for &'static str {
            fn from(value: $name) -> Self { value.word() }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How it came out. Unknown is an answer of its own, never success or failure.
    Outcome, UnknownOutcome, "outcome" {
        /// It was let through; how it ended is told by a later event.
        Allowed = "allowed",
        /// It was not let through.
        Denied = "denied",
        /// It is under way.
        Started = "started",
        /// It ended well.
        Succeeded = "succeeded",
        /// It ended with an error.
        Failed = "failed",
        /// It stopped to ask a person.
        Interrupted = "interrupted",
        /// Nobody can say how it ended.
        Unknown = "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_parses_back() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.word().parse(), Ok(*outcome));
        }
        assert_eq!("maybe".parse::<Outcome>(), Err(UnknownOutcome));
    }
}
