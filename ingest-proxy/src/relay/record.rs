//! What the records of one direction say.

use bytes::Bytes;
use trailgate_schemas::{AuditEvent, Kind, Outcome, PayloadState};

use crate::credentials::recorded_headers;
use crate::limits::{PIECE_MAX_BYTES, RECORDED_HEADERS_MAX_BYTES};
use crate::piece::{Piece, PieceText};
use crate::relay::{Ending, Relay, Side};

impl<B> Relay<B> {
    pub(super) fn closing_event(&self, status: u16) -> AuditEvent {
        let broken = self.ending == Some(Ending::Broken);
        let (outcome, reason) = match (broken, status) {
            (true, _) => (Outcome::Unknown, Some("upstream_broke_off")),
            (false, 400..) => (Outcome::Failed, Some("upstream_refused")),
            (false, _) => (Outcome::Succeeded, None),
        };
        let mut event = self.journal.allowed(self.kind(), outcome);
        event.status = Some(i32::from(status));
        event.reason = reason.map(str::to_owned);
        if let Some(trailers) = &self.trailers {
            let keys = &self.journal.gateway().keys;
            let (json, cut) = recorded_headers(trailers, keys, RECORDED_HEADERS_MAX_BYTES);
            event.headers = Some(json);
            event.truncated |= cut;
        }
        event
    }

    /// The closing event of an answer whose reader went away, or that was cut.
    pub(super) fn abandoned_event(&self, status: u16, reason: &str) -> AuditEvent {
        let mut event = self.journal.allowed(Kind::Response, Outcome::Unknown);
        event.status = Some(i32::from(status));
        event.reason = Some(reason.to_owned());
        self.add_totals(&mut event);
        event
    }

    pub(super) fn add_head(&mut self, event: &mut AuditEvent) {
        let Some(head) = self.head.take() else { return };
        event.status = head.status.or(event.status);
        event.path = head.path;
        event.headers = head.headers.or(event.headers.take());
        event.truncated |= head.truncated;
    }

    pub(super) fn add_piece(&self, event: &mut AuditEvent, piece: Option<Piece>) -> Vec<Bytes> {
        let Some(piece) = piece else { return Vec::new() };
        let (text, encoded) = match piece.text {
            PieceText::Plain(text) => (text, false),
            PieceText::Base64(text) => (text, true),
        };
        event.payload_state = PayloadState::Recorded;
        event.payload = Some(text);
        event.payload_type = self.media.recorded(encoded);
        event.payload_bytes = i64::try_from(piece.length).ok();
        event.body_offset = i64::try_from(piece.offset).ok();
        event.frames = piece.frames;
        self.journal.gateway().metrics.piece(self.side, piece.length);
        piece.bytes
    }

    pub(super) fn add_totals(&self, event: &mut AuditEvent) {
        if self.skipped && event.payload.is_none() {
            event.payload_state = PayloadState::BeyondCap;
        }
        // A request's last piece keeps its own length; that of the whole is its end.
        if self.skipped || self.side != Side::Request {
            event.payload_bytes = i64::try_from(self.total).ok();
        }
        if self.total > 0 {
            event.payload_digest = Some(hex::encode(self.digest.clone().sign().as_ref()));
        }
    }

    pub(super) fn room(&self) -> usize {
        let head = self.head.as_ref().map_or(0, |head| {
            let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            length(&head.headers) + length(&head.path)
        });
        PIECE_MAX_BYTES.saturating_sub(head).max(1024)
    }

    pub(super) const fn kind(&self) -> Kind {
        match self.side {
            Side::Request => Kind::Request,
            Side::Response(_) => Kind::Response,
        }
    }

    pub(super) const fn flowing_outcome(&self) -> Outcome {
        match self.side {
            Side::Request => Outcome::Allowed,
            Side::Response(_) => Outcome::Started,
        }
    }
}
