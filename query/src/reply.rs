//! An answer on its way to the client.
//!
//! What fails before the first rows is told as a problem. What fails later, or is cut off, must not
//! look like a whole answer: JSON lines end with a line that says so; CSV and Arrow say so in
//! trailers to a client that reads them (`TE: trailers`), and break off for one that does not.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, TRAILER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use trailgate_identity::Problem;
use trailgate_schemas::EventId;

use crate::ask::Ask;
use crate::engine::{Answer, Engine};
use crate::error::StatementError;
use crate::format::{Encoder, Format, pieces};
use crate::limits::PIECES_AHEAD;
use crate::metrics::Counts;
use crate::problems::of_statement;
use crate::summary::{Summary, rfc3339};

/// The header that says until when the answer is complete.
pub const COMPLETE_UNTIL: HeaderName = HeaderName::from_static("trailgate-complete-until");
/// The header that says how the tail stood.
pub const TAIL: HeaderName = HeaderName::from_static("trailgate-tail");
/// The header with the id of the event that records the statement.
pub const EVENT_ID: HeaderName = HeaderName::from_static("trailgate-event-id");
/// The trailer with the number of rows.
pub const ROWS: HeaderName = HeaderName::from_static("trailgate-rows");
/// The trailer that says whether rows beyond the bound were cut off.
pub const CUT: HeaderName = HeaderName::from_static("trailgate-cut");
/// The trailer with the code of what ended the answer before its end.
pub const ERROR: HeaderName = HeaderName::from_static("trailgate-error");

/// Begins to send `answer`: once its first rows are there.
pub(crate) async fn begin(
    engine: &Engine,
    mut answer: Answer,
    ask: &Ask,
    event_id: EventId,
    (counts, since): (Counts, Instant),
) -> Result<Response, Problem> {
    let told = |error: &StatementError| of_statement(error, Some(event_id));
    let encoder = Encoder::new(ask.format, &answer.schema()).map_err(|e| told(&value(&e)))?;
    let first = answer.next().await.map_err(|error| told(&error))?;
    let head = head(&answer, ask, event_id);
    let (out, pieces) = mpsc::channel(PIECES_AHEAD);
    let sending = Sending { out, format: ask.format, takes_trailers: ask.takes_trailers, event_id };
    engine.spawn(async move {
        let sent = sending.send_all(encoder, first, &mut answer).await;
        counts.seconds.observe(since.elapsed().as_secs_f64());
        counts.rows.inc_by(answer.rows() as u64);
        match sent {
            Ok(()) => drop(counts.answered.inc()),
            Err(reason) => counts.refused(reason),
        }
    });
    let mut response = Response::new(Body::new(StreamBody::new(ReceiverStream::new(pieces))));
    *response.headers_mut() = head;
    Ok(response)
}

fn head(answer: &Answer, ask: &Ask, event_id: EventId) -> HeaderMap {
    let mut head = HeaderMap::new();
    head.insert(CONTENT_TYPE, HeaderValue::from_static(ask.format.media_type()));
    head.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    head.insert(TAIL, HeaderValue::from_static(answer.tail.word()));
    let text = |text: String| HeaderValue::try_from(text).ok();
    if let Some(until) = answer.complete_until.map(rfc3339).and_then(text) {
        head.insert(COMPLETE_UNTIL, until);
    }
    if let Some(id) = text(event_id.to_string()) {
        head.insert(EVENT_ID, id);
    }
    if ask.takes_trailers {
        let names = "trailgate-rows, trailgate-cut, trailgate-error";
        head.insert(TRAILER, HeaderValue::from_static(names));
    }
    head
}

/// A piece of the body, or the end of the connection in the middle of it.
type Piece = Result<Frame<Bytes>, BrokenOff>;

/// The answer is not whole, and the client has no other way to learn of it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("answer breaks off")]
struct BrokenOff;

/// The client went away.
struct Gone;

struct Sending {
    out: mpsc::Sender<Piece>,
    format: Format,
    takes_trailers: bool,
    event_id: EventId,
}

/// Why an answer did not get to its end.
enum End {
    Gone,
    Failed(StatementError),
}

impl Sending {
    /// Sends rows as they come, then how the answer ended. Gives the reason if it is not whole.
    async fn send_all(
        self,
        mut encoder: Encoder,
        first: Option<RecordBatch>,
        answer: &mut Answer,
    ) -> Result<(), &'static str> {
        let sent = self.send_rows(&mut encoder, first, answer).await;
        let summary = Summary {
            complete_until: answer.complete_until,
            tail: answer.tail,
            rows: answer.rows(),
            is_cut: answer.is_cut(),
        };
        match sent {
            Ok(()) => self.end(encoder, &summary).await,
            Err(End::Gone) => Err("client_gone"),
            Err(End::Failed(error)) => {
                self.break_off(&error).await;
                Err(error.code())
            }
        }
    }

    async fn send_rows(
        &self,
        encoder: &mut Encoder,
        first: Option<RecordBatch>,
        answer: &mut Answer,
    ) -> Result<(), End> {
        self.bytes(encoder.begin()?).await?;
        let mut next = first;
        while let Some(batch) = next {
            for piece in pieces(&batch) {
                self.bytes(encoder.rows(&piece)?).await?;
            }
            next = answer.next().await.map_err(End::Failed)?;
        }
        Ok(())
    }

    async fn end(self, encoder: Encoder, summary: &Summary) -> Result<(), &'static str> {
        if summary.is_cut && !self.can_tell() {
            let _ = self.out.send(Err(BrokenOff)).await;
            return Err("rows_cut");
        }
        let sent = async {
            self.bytes(encoder.end(summary)?).await?;
            let cut = if summary.is_cut { "true" } else { "false" };
            let rows = HeaderValue::from(summary.rows);
            self.trailers([(ROWS, rows), (CUT, HeaderValue::from_static(cut))]).await?;
            Ok::<(), End>(())
        };
        match sent.await {
            Ok(()) => Ok(()),
            Err(End::Gone) => Err("client_gone"),
            Err(End::Failed(error)) => Err(error.code()),
        }
    }

    /// Tells that the answer is not whole. Whoever went away by now does not hear it.
    async fn break_off(&self, error: &StatementError) {
        if self.format == Format::JsonLines {
            let problem = of_statement(error, Some(self.event_id)).body();
            let _ = self.bytes(format!("{{\"problem\":{problem}}}\n").into()).await;
        } else if self.takes_trailers {
            let _ = self.trailers([(ERROR, HeaderValue::from_static(error.code()))]).await;
        } else {
            let _ = self.out.send(Err(BrokenOff)).await;
        }
    }

    /// Whether the client can be told behind the rows.
    fn can_tell(&self) -> bool {
        self.format == Format::JsonLines || self.takes_trailers
    }

    async fn bytes(&self, bytes: Bytes) -> Result<(), Gone> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.out.send(Ok(Frame::data(bytes))).await.map_err(|_| Gone)
    }

    async fn trailers(
        &self,
        trailers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Result<(), Gone> {
        if !self.takes_trailers {
            return Ok(());
        }
        let trailers = Frame::trailers(trailers.into_iter().collect());
        self.out.send(Ok(trailers)).await.map_err(|_| Gone)
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<ArrowError> for End {
    fn from(error: ArrowError) -> Self {
        Self::Failed(value(&error))
    }
}

/// A value that the form of the answer has no place for. The error's words may repeat it.
fn value(_: &ArrowError) -> StatementError {
    StatementError::Value
}
