//! One direction of an exchange: a body that gives a byte on only when the record of that byte is
//! durable.
//!
//! It is a body over a body, polled by whoever sends it: no task, no channel. What arrives while an
//! acknowledgement is awaited is read ahead into the next piece, so a slow backbone costs latency
//! and not throughput; a slow reader stops the reading. At most [`PIECES_IN_FLIGHT_MAX`] pieces and
//! the one being filled are held.
//!
//! A body ends cleanly only when everything of it is recorded. When a record fails the body ends
//! with an error: the connection is cut, and nothing that is unrecorded has passed.

mod body;
mod record;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use futures::future::poll_fn;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::time::Instant;
use trailgate_schemas::AuditEvent;

use crate::journal::{Journal, Pending};
use crate::limits::{PIECE_MAX_BYTES, PIECES_IN_FLIGHT_MAX};
use crate::media::Media;
use crate::piece::{Cutter, Piece};
use crate::recorder::Recording;

/// Why a body ended without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    /// A record of it could not be made durable.
    #[error("record is unavailable")]
    Unrecorded,
    /// The exchange was closed before the body ended.
    #[error("exchange is closed")]
    Closed,
    /// Whoever sent it broke off.
    #[error("sender broke off")]
    SenderGone,
}

/// What a filter makes of a body: bytes that go on, and events that are recorded before them.
#[derive(Debug)]
pub(crate) enum Passed {
    Bytes(Bytes),
    Event(Box<AuditEvent>),
}

/// Something that reads a body on its way and may take parts out.
pub(crate) trait Filter: Send {
    /// Takes what arrived.
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Passed>);
    /// Nothing more will arrive: `clean` if the sender said so.
    fn end(&mut self, clean: bool, out: &mut Vec<Passed>);
}

/// Takes over source, filter and journal when the reader goes away before the end.
pub(crate) type Outlives<B> = Box<dyn FnOnce(B, Box<dyn Filter>, Arc<Journal>) + Send>;

/// What the first record of a direction says beside its piece.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: Option<i32>,
    pub(crate) path: Option<String>,
    pub(crate) headers: Option<String>,
    pub(crate) truncated: bool,
}

/// What a direction means for its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The request: its end is not the stream's.
    Request,
    /// The answer: its end closes the stream. The status decides how it came out.
    Response(u16),
}

/// One direction of an exchange.
pub(crate) struct Relay<B> {
    source: Option<B>,
    ending: Option<Ending>,
    journal: Arc<Journal>,
    side: Side,
    media: Media,
    filter: Option<Box<dyn Filter>>,
    outlives: Option<Outlives<B>>,
    passed: Vec<Passed>,
    head: Option<Head>,
    cutter: Cutter,
    /// A chunk beyond the cap, until it is known whether it is the last.
    beyond: Option<Bytes>,
    /// Whether bytes have passed without a record.
    skipped: bool,
    cap: u64,
    total: u64,
    digest: hmac::Context,
    waiting: VecDeque<Waiting>,
    pieces_waiting: usize,
    released: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Clean,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is or may be more to record.
    Flowing,
    /// The last record was handed over.
    Closing,
    /// Everything is recorded.
    Recorded,
    /// The end was given on.
    Done,
    Cut(Cut),
}

struct Waiting {
    recording: Recording,
    since: Instant,
    release: Vec<Bytes>,
    is_piece: bool,
    is_last: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Relay<B> {
    /// A relay of `source`; its first record has `head`. At most `cap` bytes are recorded.
    pub(crate) fn new(
        source: B,
        side: Side,
        journal: Arc<Journal>,
        media: Media,
        (head, cap): (Head, u64),
    ) -> Self {
        let digest = journal.gateway().keys.body_digest();
        let cutter = Cutter::new(media.is_textual());
        let ending = source.is_end_stream().then_some(Ending::Clean);
        Self {
            source: ending.is_none().then_some(source),
            ending,
            journal,
            side,
            media,
            filter: None,
            outlives: None,
            passed: Vec::new(),
            head: Some(head),
            cutter,
            beyond: None,
            skipped: false,
            cap,
            total: 0,
            digest,
            waiting: VecDeque::new(),
            pieces_waiting: 0,
            released: VecDeque::new(),
            trailers: None,
            phase: Phase::Flowing,
        }
    }

    /// Reads the body through `filter`.
    pub(crate) fn filtered(mut self, filter: Box<dyn Filter>) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Lets somebody read on if the reader goes away before the end.
    pub(crate) fn outliving(mut self, outlives: Outlives<B>) -> Self {
        self.outlives = Some(outlives);
        self
    }

    /// Makes the first record wait for an event that was handed over before it.
    pub(crate) fn behind(&mut self, event: Pending) {
        self.waiting.push_back(Waiting::event(event));
    }

    /// Records the head, with what has arrived of the body by then, and waits until it is durable.
    /// It waits up to `wait` for a short body of known length to be whole, or for any other to
    /// begin; with no wait for what is there already.
    pub(crate) async fn begin(&mut self, wait: Duration) -> Result<(), Cut> {
        let short = self.source.as_ref().and_then(|s| s.size_hint().exact());
        let short = short.is_some_and(|length| length <= PIECE_MAX_BYTES as u64);
        let filled = poll_fn(|cx| {
            self.fill(cx);
            let some = if short { self.cutter.is_full() } else { !self.cutter.is_empty() };
            let enough = some || self.ending.is_some() || self.phase != Phase::Flowing;
            if enough || wait.is_zero() { Poll::Ready(()) } else { Poll::Pending }
        });
        // Late is no error: what has not arrived by then gets a record of its own.
        let _ = tokio::time::timeout(wait, filled).await;
        self.submit(true);
        poll_fn(|cx| {
            while !self.waiting.is_empty() {
                self.fill(cx);
                if !self.poll_front(cx) {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        })
        .await;
        match self.phase {
            Phase::Cut(cut) => Err(cut),
            _ => Ok(()),
        }
    }

    /// Whether there is nothing left to give on but the end.
    pub(crate) fn is_spent(&self) -> bool {
        matches!(self.phase, Phase::Recorded | Phase::Done)
            && self.released.is_empty()
            && self.trailers.is_none()
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            if let Phase::Cut(cut) = self.phase {
                return Poll::Ready(Some(Err(cut)));
            }
            if let Some(bytes) = self.released.pop_front() {
                self.journal.pulse().beat();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.phase == Phase::Recorded {
                return Poll::Ready(self.end());
            }
            if self.phase == Phase::Done {
                return Poll::Ready(None);
            }
            self.fill(cx);
            let submitted = self.submit(false);
            let acknowledged = self.poll_front(cx);
            let given = !self.released.is_empty() || self.phase_is_final();
            if !(acknowledged || submitted || given) {
                return Poll::Pending;
            }
        }
    }

    fn phase_is_final(&self) -> bool {
        !matches!(self.phase, Phase::Flowing | Phase::Closing)
    }

    fn end(&mut self) -> Option<Result<Frame<Bytes>, Cut>> {
        if let Some(trailers) = self.trailers.take() {
            return Some(Ok(Frame::trailers(trailers)));
        }
        if self.ending == Some(Ending::Broken) {
            self.phase = Phase::Cut(Cut::SenderGone);
            return Some(Err(Cut::SenderGone));
        }
        self.phase = Phase::Done;
        None
    }

    /// Takes one acknowledgement, if it is there: whether it was.
    fn poll_front(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(front) = self.waiting.front_mut() else { return false };
        let Poll::Ready(outcome) = front.recording.as_mut().poll(cx) else { return false };
        let Some(front) = self.waiting.pop_front() else { return false };
        self.journal.gateway().metrics.acknowledged(front.since, &outcome);
        if front.is_piece {
            self.pieces_waiting -= 1;
        }
        if outcome.is_err() {
            self.cut(Cut::Unrecorded);
            return true;
        }
        self.released.extend(front.release);
        if front.is_last {
            self.phase = Phase::Recorded;
        }
        true
    }

    /// Reads what has arrived, as far as there is room.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while self.phase == Phase::Flowing && self.has_room() {
            let Some(source) = &mut self.source else { return };
            let Poll::Ready(arrived) = Pin::new(&mut *source).poll_frame(cx) else { return };
            match arrived {
                None => self.end_source(Ending::Clean),
                Some(Err(_)) => self.end_source(Ending::Broken),
                Some(Ok(frame)) => {
                    let ended = source.is_end_stream();
                    self.take_frame(frame);
                    if ended {
                        self.end_source(Ending::Clean);
                    }
                }
            }
            self.settle_beyond();
        }
    }

    fn has_room(&self) -> bool {
        let waiting_max = if self.skipped { 1 } else { PIECES_IN_FLIGHT_MAX };
        !self.cutter.is_full() && self.released.is_empty() && self.waiting.len() < waiting_max
    }

    fn take_frame(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(bytes) => match &mut self.filter {
                None => self.take(bytes),
                Some(filter) => {
                    let mut passed = std::mem::take(&mut self.passed);
                    filter.push(bytes, &mut passed);
                    self.take_passed(passed);
                }
            },
            // A request's trailers are neither recorded nor passed on; RFC 9110 §6.5.1 allows that.
            Err(frame) if matches!(self.side, Side::Response(_)) => {
                self.trailers = frame.into_trailers().ok();
            }
            Err(_) => {}
        }
    }

    fn end_source(&mut self, ending: Ending) {
        self.source = None;
        self.ending = Some(ending);
        if let Some(mut filter) = self.filter.take() {
            let mut passed = std::mem::take(&mut self.passed);
            filter.end(ending == Ending::Clean, &mut passed);
            self.take_passed(passed);
        }
    }

    fn take_passed(&mut self, mut passed: Vec<Passed>) {
        for one in passed.drain(..) {
            match one {
                Passed::Bytes(bytes) => self.take(bytes),
                Passed::Event(event) => match self.journal.write(*event) {
                    Ok(pending) => self.waiting.push_back(Waiting::event(pending)),
                    Err(_) => self.cut(Cut::Closed),
                },
            }
        }
        self.passed = passed;
    }

    fn take(&mut self, bytes: Bytes) {
        self.total += bytes.len() as u64;
        self.digest.update(&bytes);
        if self.cutter.is_empty() && self.cutter.offset() >= self.cap {
            self.settle_beyond();
            self.cutter.skip(bytes.len());
            self.skipped = true;
            self.beyond = Some(bytes);
        } else {
            self.cutter.push(bytes, self.journal.now());
        }
    }

    /// A chunk beyond the cap goes on behind what is recorded before it; the last one waits for
    /// the record of the end.
    fn settle_beyond(&mut self) {
        if self.ending.is_some() {
            return;
        }
        if let Some(bytes) = self.beyond.take() {
            match self.waiting.back_mut() {
                Some(waiting) => waiting.release.push(bytes),
                None => self.released.push_back(bytes),
            }
        }
    }

    /// Hands the next record over if it is time: whether it was. A piece that is not full waits
    /// while another piece is under way.
    fn submit(&mut self, first: bool) -> bool {
        if self.phase != Phase::Flowing || (!first && self.waiting.len() >= PIECES_IN_FLIGHT_MAX) {
            return false;
        }
        let ended = self.ending.is_some();
        let due = first || ended || self.cutter.is_full() || self.pieces_waiting == 0;
        if !due {
            return false;
        }
        let piece = self.cutter.cut(self.room(), ended);
        // Trailers come in the closing record, so the head needs one of its own.
        let two_heads = self.head.is_some() && self.trailers.is_some();
        if ended && self.cutter.is_empty() && !two_heads {
            return self.submit_last(piece);
        }
        if piece.is_none() && !first && !two_heads {
            return false;
        }
        let mut event = self.journal.allowed(self.kind(), self.flowing_outcome());
        self.add_head(&mut event);
        let release = self.add_piece(&mut event, piece);
        match self.journal.write(event) {
            Ok(pending) => self.push_piece(pending, release, false),
            Err(_) => self.cut(Cut::Closed),
        }
        true
    }

    /// The record of the end. A request's end needs one only if it says something new.
    fn submit_last(&mut self, piece: Option<Piece>) -> bool {
        let silent =
            self.side == Side::Request && piece.is_none() && self.head.is_none() && !self.skipped;
        if silent {
            self.phase = if self.waiting.is_empty() { Phase::Recorded } else { Phase::Closing };
            if let Some(last) = self.waiting.back_mut() {
                last.is_last = true;
            }
            return true;
        }
        let mut event = match self.side {
            Side::Request => self.journal.allowed(self.kind(), self.flowing_outcome()),
            Side::Response(status) => self.closing_event(status),
        };
        self.add_head(&mut event);
        let mut release = self.add_piece(&mut event, piece);
        release.extend(self.beyond.take());
        self.add_totals(&mut event);
        let pending = match self.side {
            Side::Request => self.journal.write(event).ok(),
            Side::Response(_) => self.journal.close(event),
        };
        match pending {
            Some(pending) => {
                self.phase = Phase::Closing;
                self.push_piece(pending, release, true);
            }
            None => self.cut(Cut::Closed),
        }
        true
    }

    fn push_piece(&mut self, pending: Pending, release: Vec<Bytes>, is_last: bool) {
        self.pieces_waiting += 1;
        let Pending { recording, since, .. } = pending;
        self.waiting.push_back(Waiting { recording, since, release, is_piece: true, is_last });
    }

    fn cut(&mut self, cut: Cut) {
        let broken = cut == Cut::Closed && self.journal.is_broken();
        let cut = if broken { Cut::Unrecorded } else { cut };
        self.journal.break_off();
        self.abandon(cut_reason(cut));
        self.phase = Phase::Cut(cut);
    }
}

impl<B> Relay<B> {
    /// Lets go of everything that has not passed. An answer's stream is closed behind it; a
    /// request's is closed by whoever waits for its answer.
    fn abandon(&mut self, reason: &'static str) {
        self.source = None;
        self.filter = None;
        self.waiting.clear();
        self.released.clear();
        self.beyond = None;
        if let Side::Response(status) = self.side {
            let event = self.abandoned_event(status, reason);
            self.journal.close_behind(event);
        }
    }
}

const fn cut_reason(cut: Cut) -> &'static str {
    match cut {
        Cut::Unrecorded => "record_unavailable",
        Cut::Closed => "exchange_closed",
        Cut::SenderGone => "upstream_broke_off",
    }
}

impl Waiting {
    fn event(pending: Pending) -> Self {
        let Pending { recording, since, .. } = pending;
        Self { recording, since, release: Vec::new(), is_piece: false, is_last: false }
    }
}
