//! The seam to whoever verifies callers: the authenticator of `crates/identity`, and the tests'.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderMap;
use trailgate_identity::{Identity, Refusal};

/// A verification under way.
pub type Verifying<'a> = Pin<Box<dyn Future<Output = Result<Arc<Identity>, Refusal>> + Send + 'a>>;

/// Verifies callers by what their requests carry.
pub trait Verify: Send + Sync + 'static {
    /// Who sent these headers.
    fn verify<'a>(&'a self, headers: &'a HeaderMap) -> Verifying<'a>;
}
