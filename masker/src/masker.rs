//! The masker as a stream processor: a sealed event in, a masked event out.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use trailgate_envelope::{OwnSeal, RefusedEvent};
use trailgate_redact::Withheld;
use trailgate_schemas::{
    AuditEvent, EventWriter, Kind, Micros, PayloadState, ProducerId, SealedEvent, SessionId,
};
use trailgate_service::{Clock, contain};
use trailgate_topics::{
    Flow, Heartbeat, Outputs, Partition, ProcessError, Processor, Record, Topic,
};

use crate::body::Body;
use crate::clean::{Cleaner, ends_body, shape_of};
use crate::counters::Number;
use crate::exchange::Exchange;
use crate::gap;
use crate::holds::{Holds, Shown};
use crate::limits::{BODY_SILENT_MAX, PRODUCER_SILENT_MAX, TAIL_HELD_MAX};
use crate::metrics::{Counts, Reason};
use crate::reading::{Read, Reading};
use crate::recovered::{Again, recovered};
use crate::siem;
use crate::state::{BodyId, RestoreError, Silence, State};
use crate::strings::mask_strings;

/// The masker's own part of the stream processor.
pub struct Masker {
    reading: Reading,
    cleaner: Cleaner,
    writer: EventWriter,
    holds: Holds,
    seal: OwnSeal,
    clock: Arc<dyn Clock>,
    counts: Counts,
    partitions: HashMap<Partition, State>,
}

impl Masker {
    pub(crate) fn new(
        reading: Reading,
        cleaner: Cleaner,
        (writer, holds): (EventWriter, Holds),
        seal: OwnSeal,
        clock: Arc<dyn Clock>,
        counts: Counts,
    ) -> Self {
        let partitions = HashMap::new();
        Self { reading, cleaner, writer, holds, seal, clock, counts, partitions }
    }

    /// A record's way: read, count, mask, write.
    fn take(&mut self, record: &Record, outputs: &mut Outputs) -> Result<Flow, ProcessError> {
        self.cleaner.renew();
        match self.reading.read(record.value.as_deref().unwrap_or_default()) {
            Read::NotNow(reason) => {
                self.counts.waits.get_or_create(&Reason { reason }).inc();
                return Ok(Flow::Wait { reason });
            }
            Read::Event(event) if event.kind == Kind::PayloadRecovered => {
                let event = match recovered(*event, &mut self.reading) {
                    Ok(event) => event,
                    Err(Again(reason)) => {
                        self.counts.waits.get_or_create(&Reason { reason }).inc();
                        return Ok(Flow::Wait { reason });
                    }
                };
                self.event(record, event, outputs)?;
            }
            Read::Event(event) => self.event(record, *event, outputs)?,
            Read::Withheld(sealed, reason) => self.withheld(record, &sealed, reason, outputs)?,
            Read::Undecodable(reason) => {
                self.refuse(record, reason, outputs);
                let event = gap::undecodable(record, reason);
                self.write(record.partition, &event.map_err(|_| BROKEN)?, outputs)?;
            }
        }
        let state = self.partitions.entry(record.partition).or_default();
        state.heard(record.appended_at, self.clock.now());
        self.counts.records.inc();
        Ok(Flow::Done)
    }

    fn event(
        &mut self,
        record: &Record,
        event: AuditEvent,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let partition = record.partition;
        if !self.count(record, event.producer_id, event.producer_number, outputs)? {
            return Ok(());
        }
        if event.kind == Kind::Heartbeat {
            return self.heartbeat(partition, &event, outputs);
        }
        let masked = self.mask(record, event, outputs)?;
        self.show(&masked, outputs);
        self.write(partition, &masked, outputs)
    }

    /// Counts a record's number; says whether it is new.
    fn count(
        &mut self,
        record: &Record,
        producer: ProducerId,
        number: i64,
        outputs: &mut Outputs,
    ) -> Result<bool, ProcessError> {
        let state = self.partitions.entry(record.partition).or_default();
        let (number, lost) = state.counter(producer).take(number, record.appended_at);
        if let Some(missing) = lost {
            self.missing(record.partition, producer, missing, outputs)?;
        }
        if number == Number::Repeated {
            self.counts.repeated.inc();
        }
        Ok(number == Number::New)
    }

    fn heartbeat(
        &mut self,
        partition: Partition,
        event: &AuditEvent,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let Some(beat) = Heartbeat::of(event) else { return Ok(()) };
        let state = self.partitions.entry(partition).or_default();
        let missing = state.counter(event.producer_id).settle(beat.settled_below, &beat.abandoned);
        for missing in missing {
            self.missing(partition, event.producer_id, missing, outputs)?;
        }
        let number = event.producer_number;
        if beat.is_last {
            return self.give_up(partition, event.producer_id, outputs);
        }
        if beat.parts == 1 && beat.settled_below >= number {
            let state = self.partitions.entry(partition).or_default();
            let closed = state.closed_unseen(event.producer_id, &beat.streams);
            self.unknown(partition, closed, ("end_not_recorded", number), outputs)?;
        }
        Ok(())
    }

    /// A producer has ended or is silent: what it left open is unknown, and said so.
    fn give_up(
        &mut self,
        partition: Partition,
        producer: ProducerId,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let state = self.partitions.entry(partition).or_default();
        let now = state.time(self.clock.now());
        let Silence { producer, next, missing, exchanges } = state.give_up(producer);
        for missing in missing {
            self.missing(partition, producer, missing, outputs)?;
        }
        if exchanges.is_empty() {
            return Ok(());
        }
        tracing::error!(%producer, exchanges = exchanges.len(), "producer left exchanges open");
        let event = gap::producer_silent(partition, producer, next, exchanges.len(), now);
        self.write(partition, &event.map_err(|_| BROKEN)?, outputs)?;
        self.unknown(partition, exchanges, ("producer_silent", next), outputs)
    }

    /// Exchanges whose end nobody saw, and where their producer stood when that became clear.
    fn unknown(
        &mut self,
        partition: Partition,
        exchanges: Vec<Exchange>,
        (reason, number): (&'static str, i64),
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        for exchange in exchanges {
            self.counts.unknown.inc();
            let state = self.partitions.entry(partition).or_default();
            let event = exchange.unknown(reason, number, state.time(self.clock.now()));
            for id in state.bodies_of(event.stream_id) {
                self.release(partition, id, outputs)?;
            }
            self.write(partition, &event, outputs)?;
        }
        Ok(())
    }

    fn missing(
        &mut self,
        partition: Partition,
        producer: ProducerId,
        missing: crate::counters::Missing,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let lost = missing.end - missing.first;
        tracing::error!(%producer, first = missing.first, lost, "records never came");
        self.counts.gaps.inc_by(lost.unsigned_abs());
        let event = gap::missing_numbers(partition, producer, missing, self.clock.now());
        self.write(partition, &event.map_err(|_| BROKEN)?, outputs)
    }

    /// Masks every string that did not originate here, and the payload with what is held of its
    /// body.
    fn mask(
        &mut self,
        record: &Record,
        mut event: AuditEvent,
        outputs: &mut Outputs,
    ) -> Result<AuditEvent, ProcessError> {
        let partition = record.partition;
        event.broker_time = Some(record.appended_at);
        let shape = shape_of(&event);
        let state = self.partitions.entry(partition).or_default();
        let id = BodyId { stream: event.stream_id, kind: event.kind };
        let held = state.take_body(id);
        let rest = Rest::of(&event);
        let mask = || {
            // A body ends under the rules with which it began, and its records name those.
            let begun = held.as_ref().map(|body| body.stream.redactor());
            mask_strings(begun.unwrap_or(self.cleaner.redactor()), &mut event);
            let body = self.cleaner.payload(&mut event, held, shape, record.appended_at);
            (event, body)
        };
        let (mut event, body) = match contain(mask) {
            Some(masked) => masked,
            None => self.failed(record, rest, outputs)?,
        };
        if let Some(body) = body {
            self.partitions.entry(partition).or_default().put_body(id, body);
        }
        if event.stream_count.is_some() {
            let state = self.partitions.entry(partition).or_default();
            for id in state.bodies_of(event.stream_id) {
                self.release(partition, id, outputs)?;
            }
        }
        self.partitions.entry(partition).or_default().exchange(&event);
        self.cleaner.commit(&mut event).map_err(|_| BROKEN)?;
        self.counts
            .redactions
            .inc_by(event.redactions.iter().map(|r| r.count.unsigned_abs()).sum());
        Ok(event)
    }

    /// Masking failed, which is a mistake of this program: the header stands, nothing of the body comes
    /// out from here on, and the sealed original goes to `audit.refused`.
    fn failed(
        &mut self,
        record: &Record,
        rest: Rest,
        outputs: &mut Outputs,
    ) -> Result<(AuditEvent, Option<Body>), ProcessError> {
        let reason = Withheld::Failed.code();
        self.refuse(record, reason, outputs);
        let sealed = self.reading.header(record.value.as_deref().unwrap_or_default());
        let mut event = header_event(record, sealed.as_ref(), reason)?;
        event.broker_time = Some(record.appended_at);
        event.stream_count = rest.stream_count;
        let body = (!rest.ends_body).then(|| self.cleaner.lost(&event, record.appended_at));
        Ok((event, body))
    }

    /// Shows a held operation to those who decide about it.
    fn show(&self, masked: &AuditEvent, outputs: &mut Outputs) {
        match self.holds.show(masked, outputs) {
            Shown::Nothing => {}
            Shown::Hold => {
                self.counts.holds.inc();
            }
            Shown::Unfit => {
                tracing::warn!(event_id = %masked.event_id, "hold can't be decided about");
                self.counts.unfit_holds.inc();
            }
        }
    }

    /// Lets go of a body: what is held of it comes out, masked, as a record of its own.
    fn release(
        &mut self,
        partition: Partition,
        id: BodyId,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let state = self.partitions.entry(partition).or_default();
        let tail = state.take_body(id).and_then(|body| self.cleaner.finish(body));
        self.write_tail(partition, tail, outputs)
    }

    /// Lets a tail out that was held for long, masked, as a record of its own; its body stays open.
    fn flush(
        &mut self,
        partition: Partition,
        id: BodyId,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let state = self.partitions.entry(partition).or_default();
        let now = state.time(self.clock.now());
        let Some(mut body) = state.take_body(id) else { return Ok(()) };
        let tail = self.cleaner.flush(&mut body, now);
        state.put_body(id, body);
        self.write_tail(partition, tail, outputs)
    }

    fn write_tail(
        &self,
        partition: Partition,
        tail: Option<AuditEvent>,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let Some(mut event) = tail else { return Ok(()) };
        self.cleaner.commit(&mut event).map_err(|_| BROKEN)?;
        self.write(partition, &event, outputs)
    }

    /// The header stands, the payload is withheld; the sealed original goes to `audit.refused`.
    fn withheld(
        &mut self,
        record: &Record,
        sealed: &SealedEvent,
        reason: &'static str,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let is_proven = !PROVES_NOTHING.contains(&reason);
        let (producer, number) = (sealed.producer_id, sealed.producer_number);
        if is_proven && !self.count(record, producer, number, outputs)? {
            return Ok(());
        }
        self.refuse(record, reason, outputs);
        let event = header_event(record, is_proven.then_some(sealed), reason)?;
        self.write(record.partition, &event, outputs)
    }

    fn refuse(&mut self, record: &Record, reason: &'static str, outputs: &mut Outputs) {
        tracing::warn!(partition = record.partition.0, offset = record.offset.0, reason, "refused");
        self.counts.refused.get_or_create(&Reason { reason }).inc();
        let refused = RefusedEvent {
            reason: reason.to_owned(),
            partition: record.partition.0,
            offset: record.offset.0,
            sealed: record.value.as_deref().unwrap_or_default().to_vec(),
        };
        let value = Bytes::from(refused.to_bytes());
        outputs.send(Topic::Refused, record.partition, record.key.clone(), value);
    }

    /// The event as a row, and as a SIEM takes it.
    fn write(
        &self,
        partition: Partition,
        event: &AuditEvent,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let value = self.writer.write(event);
        let value = value.map_err(|_| ProcessError::Broken { code: "event_not_encoded" })?;
        let key = key_of(event.session_id);
        outputs.send(Topic::Events, partition, key.clone(), value.into());
        siem::write(partition, key, event, outputs);
        Ok(())
    }
}

/// What is known of an event by its header alone, if that is proven.
fn header_event(
    record: &Record,
    sealed: Option<&SealedEvent>,
    reason: &'static str,
) -> Result<AuditEvent, ProcessError> {
    let mut event = gap::undecodable(record, reason).map_err(|_| BROKEN)?;
    event.payload_state = PayloadState::Withheld;
    let Some(sealed) = sealed else { return Ok(event) };
    event.event_id = sealed.event_id;
    // A heartbeat is never a row, but one that can't be read is.
    event.kind = match sealed.kind {
        Kind::Heartbeat => Kind::Undecodable,
        kind => kind,
    };
    event.session_id = sealed.session_id;
    event.stream_id = sealed.stream_id;
    event.stream_seq = sealed.stream_seq;
    event.stream_count = None;
    event.producer_id = sealed.producer_id;
    event.producer_number = sealed.producer_number;
    event.gateway_time = sealed.gateway_time;
    Ok(event)
}

/// What must be known of an event whose masking fails.
struct Rest {
    stream_count: Option<i64>,
    ends_body: bool,
}

impl Rest {
    fn of(event: &AuditEvent) -> Self {
        Self { stream_count: event.stream_count, ends_body: ends_body(event) }
    }
}

impl Processor for Masker {
    fn restore(
        &mut self,
        partition: Partition,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ProcessError> {
        let now = self.clock.now();
        let state = self.partitions.entry(partition).or_default();
        let redactor = self.cleaner.redactor();
        let mut restored = state.restore(partition, (key, value), &self.seal, redactor, now);
        if restored == Err(RestoreError::UnknownKey) {
            // Another masker kept it, under a key that was made since this one began.
            self.seal = self.reading.own_seal();
            restored = state.restore(partition, (key, value), &self.seal, redactor, now);
        }
        restored.map_err(|error| match error {
            RestoreError::UnknownKey => {
                ProcessError::State { partition, code: "opening_key_unknown" }
            }
            RestoreError::Broken(code) => ProcessError::State { partition, code },
        })
    }

    fn process(&mut self, record: &Record, outputs: &mut Outputs) -> Result<Flow, ProcessError> {
        self.take(record, outputs)
    }

    fn tick(&mut self, now: Micros, outputs: &mut Outputs) -> Result<(), ProcessError> {
        let partitions: Vec<Partition> = self.partitions.keys().copied().collect();
        for partition in partitions {
            let state = self.partitions.entry(partition).or_default();
            let time = state.time(now);
            let due = state.due(time.minus(TAIL_HELD_MAX));
            let surplus = state.surplus(time.minus(BODY_SILENT_MAX));
            let silent = state.silent(time.minus(PRODUCER_SILENT_MAX));
            for id in due {
                self.flush(partition, id, outputs)?;
            }
            for id in surplus {
                self.release(partition, id, outputs)?;
            }
            for producer in silent {
                self.give_up(partition, producer, outputs)?;
            }
            let state = self.partitions.entry(partition).or_default();
            state.keep(partition, &self.seal, outputs)?;
        }
        Ok(())
    }

    fn revoked(&mut self, partition: Partition) {
        self.partitions.remove(&partition);
    }
}

fn key_of(session: SessionId) -> Bytes {
    Bytes::from(session.to_string())
}

const BROKEN: ProcessError = ProcessError::Broken { code: "own_event" };

/// Reasons under which not even the clear header is proven, so nothing of it is told.
const PROVES_NOTHING: [&str; 4] =
    ["sender_unknown", "seal_broken", "seal_malformed", "seal_version_unknown"];

#[cfg(test)]
mod tests;
