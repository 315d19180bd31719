//! A starter that can't start ends its test here.

/// Ends the test: what was tried, and why it went wrong.
///
/// Starters panic instead of giving errors: no test goes on without its parts, and the place that
/// matters is the test's line.
#[track_caller]
pub(crate) fn give_up(what: &str, why: &dyn std::fmt::Display) -> ! {
    panic!("{what}: {why}")
}

/// The value, or the end of the test.
pub(crate) trait OrGiveUp<T> {
    /// The value, or the end of the test with `what` was tried.
    #[track_caller]
    fn or_give_up(self, what: &str) -> T;
}

impl<T, E: std::fmt::Display> OrGiveUp<T> for Result<T, E> {
    #[track_caller]
    fn or_give_up(self, what: &str) -> T {
        match self {
            Ok(value) => value,
            Err(error) => give_up(what, &error),
        }
    }
}

impl<T> OrGiveUp<T> for Option<T> {
    #[track_caller]
    fn or_give_up(self, what: &str) -> T {
        match self {
            Some(value) => value,
            None => give_up(what, &"there is none"),
        }
    }
}
