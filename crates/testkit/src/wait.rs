//! Waiting for what a test waits for, never for a time.

use std::time::Duration;

use crate::fail::give_up;
use crate::limits::{POLL, WAIT_MAX};

/// Polls `look` until it gives something, and ends the test if it has given nothing after
/// [`WAIT_MAX`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut looks = 0;
/// let third = trailgate_testkit::until("the third look", async || {
///     looks += 1;
///     (looks == 3).then_some(looks)
/// });
/// assert_eq!(third.await, 3);
/// # }
/// ```
pub async fn until<T, F: AsyncFnMut() -> Option<T>>(what: &str, look: F) -> T {
    until_within(WAIT_MAX, what, look).await
}

/// As [`until`], with another patience.
pub async fn until_within<T, F: AsyncFnMut() -> Option<T>>(
    patience: Duration,
    what: &str,
    look: F,
) -> T {
    until_paced(POLL, patience, what, look).await
}

/// As [`until_within`], with a pause between two looks that cost more than a glance: a statement
/// that is planned, run and itself recorded.
pub async fn until_paced<T, F: AsyncFnMut() -> Option<T>>(
    pause: Duration,
    patience: Duration,
    what: &str,
    mut look: F,
) -> T {
    let deadline = tokio::time::Instant::now() + patience;
    let mut looks = 0_u32;
    loop {
        match tokio::time::timeout_at(deadline, look()).await {
            Ok(Some(found)) => return found,
            Ok(None) if tokio::time::Instant::now() < deadline => looks += 1,
            Ok(None) => give_up(&format!("looked {looks} times in vain for"), &what),
            Err(_) => {
                give_up(&format!("looked {looks} times, the last without an end, for"), &what)
            }
        }
        tokio::time::sleep(pause).await;
    }
}
