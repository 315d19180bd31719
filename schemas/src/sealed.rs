//! One event under seal: a clear header, and bytes that only the holder of the opening key reads.

use serde::{Deserialize, Serialize};

use crate::ids::{EventId, ProducerId, SessionId, StreamId};
use crate::kind::Kind;
use crate::time::Micros;

/// What stays readable of a sealed event: ids, enums, digests and times, never client text. All of
/// it is associated data of the seal, so none of it can be changed unseen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is documented in avro/sealed_event.avsc")]
pub struct ClearHeader {
    pub event_id: EventId,
    pub kind: Kind,
    pub session_id: SessionId,
    pub stream_id: StreamId,
    pub stream_seq: i64,
    pub producer_id: ProducerId,
    pub producer_number: i64,
    pub gateway_time: Micros,
}

/// A sealed event as it travels on `audit.raw`; the fields are those of `avro/sealed_event.avsc`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "sealed_event")]
#[expect(missing_docs, reason = "each field is documented in the Avro schema it mirrors")]
pub struct SealedEvent {
    pub seal_version: i32,
    pub event_id: EventId,
    pub kind: Kind,
    pub session_id: SessionId,
    pub stream_id: StreamId,
    pub stream_seq: i64,
    pub producer_id: ProducerId,
    pub producer_number: i64,
    pub gateway_time: Micros,
    pub sender_key_id: String,
    pub opening_key_id: String,
    pub data_key_id: String,
    #[serde(with = "apache_avro::serde::bytes")]
    pub encapsulated_key: Vec<u8>,
    #[serde(with = "apache_avro::serde::bytes")]
    pub wrapped_data_key: Vec<u8>,
    pub nonce: i64,
    pub schema_id: i32,
    pub compression: String,
    #[serde(with = "apache_avro::serde::bytes")]
    pub ciphertext: Vec<u8>,
}

/// The form of [`SealedEvent::associated_data`] that this version writes.
pub const SEAL_VERSION: i32 = 1;

impl SealedEvent {
    /// The clear header.
    #[must_use]
    pub fn header(&self) -> ClearHeader {
        ClearHeader {
            event_id: self.event_id,
            kind: self.kind,
            session_id: self.session_id,
            stream_id: self.stream_id,
            stream_seq: self.stream_seq,
            producer_id: self.producer_id,
            producer_number: self.producer_number,
            gateway_time: self.gateway_time,
        }
    }

    /// The associated data of the seal, form 1: every field but `ciphertext`, in the order of the
    /// struct, text and bytes behind their length as 4 big-endian bytes, integers as big-endian,
    /// UUIDs as 16 bytes. Fixed by hand and not by Avro, so that a reader with another version of
    /// the schema computes the same bytes.
    #[must_use]
    pub fn associated_data(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(320);
        out.extend_from_slice(&self.seal_version.to_be_bytes());
        out.extend_from_slice(self.event_id.0.as_bytes());
        put(&mut out, self.kind.word().as_bytes());
        out.extend_from_slice(self.session_id.0.as_bytes());
        out.extend_from_slice(self.stream_id.0.as_bytes());
        out.extend_from_slice(&self.stream_seq.to_be_bytes());
        out.extend_from_slice(self.producer_id.0.as_bytes());
        out.extend_from_slice(&self.producer_number.to_be_bytes());
        out.extend_from_slice(&self.gateway_time.0.to_be_bytes());
        put(&mut out, self.sender_key_id.as_bytes());
        put(&mut out, self.opening_key_id.as_bytes());
        put(&mut out, self.data_key_id.as_bytes());
        put(&mut out, &self.encapsulated_key);
        put(&mut out, &self.wrapped_data_key);
        out.extend_from_slice(&self.nonce.to_be_bytes());
        out.extend_from_slice(&self.schema_id.to_be_bytes());
        put(&mut out, self.compression.as_bytes());
        out
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}
