//! An upgraded connection: two streams of bytes, each passed on only when the record of what it says
//! is durable. A WebSocket's messages are recorded unmasked; any other protocol as its bytes.
//!
//! Each direction reads, records, then writes: while it waits it reads nothing, so what arrives
//! meanwhile waits in the socket and shares the next record.

use std::sync::Arc;

use aws_lc_rs::hmac;
use bytes::Bytes;
use futures::future::join_all;
use http::HeaderValue;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use trailgate_schemas::{Frame, Kind, Micros, Outcome, PayloadState};

use crate::journal::{Journal, Pending};
use crate::limits::{PIECE_MAX_BYTES, TUNNEL_READ_BYTES};
use crate::media::Media;
use crate::piece::{Cutter, PieceText};
use crate::websocket::{FrameReader, Run, Said};

/// The two ends, before their protocols change.
pub(crate) struct Ends {
    pub(crate) client: OnUpgrade,
    pub(crate) upstream: OnUpgrade,
}

/// An upgraded connection.
pub(crate) struct Tunnel {
    journal: Arc<Journal>,
    is_websocket: bool,
    record_max_bytes: u64,
}

/// How one direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Its sender closed it.
    Closed,
    /// It broke, for this reason.
    Broke(&'static str),
}

/// What one direction carried.
struct Carried {
    total: u64,
    digest: hmac::Context,
}

impl Tunnel {
    pub(crate) fn new(
        journal: Arc<Journal>,
        protocol: &HeaderValue,
        record_max_bytes: u64,
    ) -> Self {
        let is_websocket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
        Self { journal, is_websocket, record_max_bytes }
    }

    /// Carries bytes until both directions are closed or one breaks, then closes the stream.
    pub(crate) async fn run(self, ends: Ends) {
        let mut received = Carried { total: 0, digest: self.digest() };
        let way = match tokio::try_join!(ends.client, ends.upstream) {
            Ok((client, upstream)) => {
                self.carry(TokioIo::new(client), TokioIo::new(upstream), &mut received).await
            }
            Err(_) => Way::Broke("client_gone"),
        };
        let (outcome, reason) = match way {
            Way::Closed => (Outcome::Succeeded, None),
            Way::Broke(reason) => (Outcome::Unknown, Some(reason)),
        };
        if let Some(reason) = reason {
            self.journal.gateway().metrics.failed(reason);
        }
        let mut event = self.journal.allowed(Kind::Response, outcome);
        event.reason = reason.map(str::to_owned);
        event.payload_bytes = i64::try_from(received.total).ok();
        if received.total > self.record_max_bytes {
            event.payload_state = PayloadState::BeyondCap;
        }
        if received.total > 0 {
            event.payload_digest = Some(hex::encode(received.digest.sign().as_ref()));
        }
        self.journal.close_behind(event);
    }

    async fn carry(
        &self,
        client: impl AsyncRead + AsyncWrite + Unpin,
        upstream: impl AsyncRead + AsyncWrite + Unpin,
        received: &mut Carried,
    ) -> Way {
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_upstream, mut to_upstream) = tokio::io::split(upstream);
        let mut sent = Carried { total: 0, digest: self.digest() };
        let up = self.one_way(Kind::FrameIn, &mut from_client, &mut to_upstream, &mut sent);
        let down = self.one_way(Kind::FrameOut, &mut from_upstream, &mut to_client, received);
        let both = async {
            let (up, down) = tokio::try_join!(broken(up), broken(down))?;
            Ok::<_, Way>((up, down))
        };
        let stop = self.journal.gateway().stop.clone();
        tokio::select! {
            both = both => match both { Ok(_) => Way::Closed, Err(way) => way },
            () = self.silence() => Way::Broke("idle"),
            () = stop.asked() => Way::Broke("gateway_stopped"),
        }
    }

    /// Until nothing has moved for too long.
    async fn silence(&self) {
        let stall = self.journal.gateway().stall;
        loop {
            let until = self.journal.pulse().last() + stall;
            if tokio::time::Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    async fn one_way(
        &self,
        kind: Kind,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        carried: &mut Carried,
    ) -> Way {
        let mut buffer = vec![0; TUNNEL_READ_BYTES];
        let mut scribe = Scribe::new(self, kind);
        loop {
            let read = match from.read(&mut buffer).await {
                Ok(read) => read,
                Err(_) => return Way::Broke(sender(kind)),
            };
            self.journal.pulse().beat();
            carried.total += read as u64;
            carried.digest.update(&buffer[..read]);
            let now = self.journal.now();
            let Ok(recorded) = scribe.take(&buffer[..read], now) else {
                return Way::Broke("protocol_broken");
            };
            if self.settled(recorded).await.is_err() {
                return Way::Broke("record_unavailable");
            }
            let passed = scribe.passed();
            if to.write_all(&passed).await.is_err() || to.flush().await.is_err() {
                return Way::Broke(receiver(kind));
            }
            if read == 0 {
                // A receiver that is gone already needs no end.
                let _ = to.shutdown().await;
                return Way::Closed;
            }
        }
    }

    async fn settled(&self, recorded: Vec<Pending>) -> Result<(), ()> {
        let gateway = self.journal.gateway();
        let settled = join_all(recorded.into_iter().map(|one| one.settled(gateway))).await;
        if settled.iter().any(Result::is_err) {
            self.journal.break_off();
            return Err(());
        }
        Ok(())
    }

    fn digest(&self) -> hmac::Context {
        self.journal.gateway().keys.body_digest()
    }
}

/// Ends the join of two directions when one of them breaks.
async fn broken(way: impl Future<Output = Way>) -> Result<Way, Way> {
    match way.await {
        Way::Closed => Ok(Way::Closed),
        broke @ Way::Broke(_) => Err(broke),
    }
}

const fn sender(kind: Kind) -> &'static str {
    if matches!(kind, Kind::FrameIn) { "client_gone" } else { "upstream_broke_off" }
}

const fn receiver(kind: Kind) -> &'static str {
    if matches!(kind, Kind::FrameIn) { "upstream_broke_off" } else { "client_gone" }
}

/// Writes the records of one direction, and says which bytes they cover.
struct Scribe<'t> {
    tunnel: &'t Tunnel,
    kind: Kind,
    reader: Option<FrameReader>,
    /// Raw bytes that wait for the other half of a character.
    held: Vec<u8>,
    /// Half a character of a text message, and where among the held bytes it stands.
    half: Vec<u8>,
    half_at: Vec<usize>,
    recorded: u64,
    ready: Vec<u8>,
}

/// What came can't be read or recorded.
struct Unfit;

impl<'t> Scribe<'t> {
    fn new(tunnel: &'t Tunnel, kind: Kind) -> Self {
        let reader = tunnel.is_websocket.then(FrameReader::default);
        Self {
            tunnel,
            kind,
            reader,
            held: Vec::new(),
            half: Vec::new(),
            half_at: Vec::new(),
            recorded: 0,
            ready: Vec::new(),
        }
    }

    /// Records what arrived; nothing means that the sender has closed.
    fn take(&mut self, raw: &[u8], now: Micros) -> Result<Vec<Pending>, Unfit> {
        if self.recorded >= self.tunnel.record_max_bytes {
            self.ready = std::mem::take(&mut self.held);
            self.ready.extend_from_slice(raw);
            return Ok(Vec::new());
        }
        let mut runs = Vec::new();
        match &mut self.reader {
            Some(reader) => reader.read(raw, &mut runs).map_err(|_| Unfit)?,
            None => runs.push(Run {
                said: Said::Binary,
                bytes: raw.to_vec(),
                tail: Vec::new(),
                frames: vec![0],
            }),
        }
        let before = self.held.len();
        self.held.extend_from_slice(raw);
        let until = self.keep_half(&mut runs, before, raw.is_empty());
        let rest = self.held.split_off(until);
        self.ready = std::mem::replace(&mut self.held, rest);
        let mut pending = Vec::with_capacity(runs.len());
        for run in runs {
            self.write(run, now, &mut pending)?;
        }
        Ok(pending)
    }

    /// Lets the half of a character that ends a run of text go on in the next one, and keeps the last
    /// of them: up to where the raw bytes may pass.
    fn keep_half(&mut self, runs: &mut Vec<Run>, before: usize, ended: bool) -> usize {
        for run in runs.iter_mut().filter(|run| run.said == Said::Text) {
            let kept = self.half.len();
            run.bytes.splice(0..0, self.half.drain(..));
            run.frames.iter_mut().for_each(|at| *at += kept);
            let mut stands_at = std::mem::take(&mut self.half_at);
            stands_at.extend(run.tail.iter().map(|at| before + at));
            let whole = run.bytes.len() - half_a_character(&run.bytes);
            self.half = run.bytes.split_off(whole);
            self.half_at = stands_at.split_off(stands_at.len() - self.half.len());
            run.frames.retain(|at| *at <= whole);
        }
        if ended {
            self.half_at.clear();
            let bytes = std::mem::take(&mut self.half);
            runs.push(Run { said: Said::Text, bytes, tail: Vec::new(), frames: Vec::new() });
        }
        let until = self.half_at.first().copied().unwrap_or(self.held.len());
        // What is held from now on begins there.
        self.half_at.iter_mut().for_each(|at| *at -= until);
        until
    }

    /// The bytes whose records were just made.
    fn passed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ready)
    }

    fn write(&mut self, run: Run, now: Micros, pending: &mut Vec<Pending>) -> Result<(), Unfit> {
        let is_control = matches!(run.said, Said::Close | Said::Ping | Said::Pong);
        if run.bytes.is_empty() && !is_control {
            return Ok(());
        }
        let media = match &self.reader {
            Some(_) => Media::named(run.said.media()),
            None => Media::named("application/octet-stream"),
        };
        let journal = &self.tunnel.journal;
        let mut event = journal.allowed(self.kind, Outcome::Allowed);
        event.body_offset = i64::try_from(self.recorded).ok();
        let mut cutter = Cutter::new(false);
        cutter.push(Bytes::from(run.bytes), now);
        match cutter.cut(PIECE_MAX_BYTES, true) {
            None => event.payload_type = media.recorded(false),
            Some(piece) => {
                let encoded = matches!(piece.text, PieceText::Base64(_));
                let (PieceText::Plain(text) | PieceText::Base64(text)) = piece.text;
                event.payload_state = PayloadState::Recorded;
                event.payload_type = media.recorded(encoded);
                event.payload_bytes = i64::try_from(piece.length).ok();
                event.payload = Some(text);
                let frame = |at: usize| i64::try_from(at).map(|offset| Frame { offset, time: now });
                event.frames = run.frames.into_iter().filter_map(|at| frame(at).ok()).collect();
                self.recorded += piece.length as u64;
            }
        }
        pending.push(journal.write(event).map_err(|_| Unfit)?);
        Ok(())
    }
}

/// How many bytes at the end of `text` are the beginning of a character.
fn half_a_character(text: &[u8]) -> usize {
    let tail = &text[text.len().saturating_sub(3)..];
    for back in 1..=tail.len() {
        let byte = tail[tail.len() - back];
        let length = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return 0,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Tape, journal};

    fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let mut out = vec![first, 0xfe, length[0], length[1]];
        out.extend(mask);
        out.extend(payload.iter().enumerate().map(|(n, byte)| byte ^ mask[n % 4]));
        out
    }

    /// A text message in two frames, cut at any byte, with a ping between them.
    fn message(text: &str, at: usize, mask: [u8; 4]) -> Vec<u8> {
        let (one, two) = text.as_bytes().split_at(at.min(text.len()));
        let ping = [0x89, 0x81, 0, 0, 0, 0, b'?'].to_vec();
        [frame(0x01, one, mask), ping, frame(0x80, two, mask)].concat()
    }

    proptest! {
        #[test]
        fn text_is_recorded_as_text_however_it_is_cut_and_every_byte_passes_once(
            texts in proptest::collection::vec(("[a-zé🦀]{1,20}", 0usize..30, any::<[u8; 4]>()), 1..5),
            step in 1usize..40,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let raw: Vec<u8> =
                    texts.iter().flat_map(|(text, at, mask)| message(text, *at, *mask)).collect();
                let whole: String = texts.iter().map(|(text, _, _)| text.as_str()).collect();
                let tape = Arc::new(Tape::default());
                let websocket = HeaderValue::from_static("websocket");
                let tunnel = Tunnel::new(journal(&tape), &websocket, u64::MAX);
                let mut scribe = Scribe::new(&tunnel, Kind::FrameIn);
                let mut passed = Vec::new();
                for chunk in raw.chunks(step).chain([&[][..]]) {
                    assert!(scribe.take(chunk, Micros(0)).is_ok());
                    passed.extend(scribe.passed());
                    // What has passed says no more than what is recorded.
                    let mut runs = Vec::new();
                    crate::websocket::FrameReader::default().read(&passed, &mut runs).unwrap();
                    let said: Vec<u8> = runs
                        .into_iter()
                        .filter(|run| run.said == Said::Text)
                        .flat_map(|run| run.bytes)
                        .collect();
                    assert!(recorded(&tape).as_bytes().starts_with(&said));
                }
                assert_eq!(passed, raw);
                assert_eq!(recorded(&tape), whole);
            });
        }
    }

    fn recorded(tape: &Tape) -> String {
        let events = tape.events().into_iter();
        let texts = events.filter(|e| e.payload_type.as_deref() == Some("websocket/text"));
        texts.filter_map(|event| event.payload).collect()
    }
}
