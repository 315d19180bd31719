//! The relay as a body: how it is read, how long it is, and what happens when its reader goes away.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::relay::{Cut, Ending, Phase, Relay};

impl<B: Body<Data = Bytes> + Unpin> Body for Relay<B> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.step(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.is_spent() && self.ending == Some(Ending::Clean)
    }

    fn size_hint(&self) -> SizeHint {
        // What broke off has no length: a sender that is told one takes the part for the whole.
        let is_whole = self.ending != Some(Ending::Broken) && !matches!(self.phase, Phase::Cut(_));
        if !is_whole || self.filter.is_some() || self.trailers.is_some() {
            return SizeHint::default();
        }
        let rest = match &self.source {
            Some(source) => source.size_hint().exact(),
            None => Some(0),
        };
        let held: usize = self.waiting.iter().flat_map(|w| &w.release).map(Bytes::len).sum();
        let released: usize = self.released.iter().map(Bytes::len).sum();
        let beyond = self.beyond.as_ref().map_or(0, Bytes::len);
        let here = (held + released + beyond + self.cutter.held()) as u64;
        rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest + here))
    }
}

impl<B> std::fmt::Debug for Relay<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("side", &self.side).field("phase", &self.phase).finish()
    }
}

/// The reader went away: what it has not got, it will not get, and the closing record says so.
impl<B> Drop for Relay<B> {
    fn drop(&mut self) {
        if matches!(self.phase, Phase::Flowing | Phase::Closing) {
            if self.journal.gateway().stop.is_asked() {
                self.abandon("gateway_stopped");
                return;
            }
            let parts = (self.source.take(), self.filter.take(), self.outlives.take());
            if let (Some(source), Some(filter), Some(outlives)) = parts {
                outlives(source, filter, Arc::clone(&self.journal));
                return;
            }
            self.abandon(self.journal.gone());
        }
    }
}
