//! Avro codecs behind Confluent's framing: a zero byte, the registry id as 4 big-endian bytes, the
//! datum. A datum of this version takes the direct path; one of another version is resolved by
//! the schema that wrote it.

use std::collections::HashMap;
use std::sync::OnceLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::AuditEvent;
use crate::sealed::SealedEvent;

/// The Avro schema of `audit.events`, as registered.
pub const AUDIT_EVENT_SCHEMA: &str = include_str!("../avro/audit_event.avsc");
/// The Avro schema of `audit.raw`, as registered.
pub const SEALED_EVENT_SCHEMA: &str = include_str!("../avro/sealed_event.avsc");

/// The id under which a registry knows a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(pub u32);

/// Why bytes are not a framed datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer than the five bytes of the frame.
    #[error("record has {length} bytes, fewer than the 5 of its frame")]
    Short {
        /// How many there are.
        length: usize,
    },
    /// The first byte is not zero.
    #[error("record does not begin with the magic byte 0")]
    Magic,
}

/// Why a datum could not be written or read. Holds no input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AvroError {
    /// The bytes are not framed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The registry id is not among the schemas this codec knows: fetch it, add it, try again.
    #[error("schema id {} is not known here", .0.0)]
    UnknownSchema(SchemaId),
    /// The text is no Avro schema.
    #[error("schema is not valid Avro")]
    Schema,
    /// The bytes are no datum of the schema that they name, or a value in them is not of this
    /// version.
    #[error("record does not decode by schema id {}", .0.0)]
    Datum(SchemaId),
    /// Bytes are left behind the datum.
    #[error("record has {0} bytes behind its end")]
    Trailing(usize),
    /// The value does not fit the schema: a mistake of this program.
    #[error("record does not encode")]
    Encode,
}

/// Puts a datum behind its frame.
#[must_use]
pub fn frame(id: SchemaId, datum: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + datum.len());
    out.push(0);
    out.extend_from_slice(&id.0.to_be_bytes());
    out.extend_from_slice(datum);
    out
}

/// Takes the frame off.
///
/// # Errors
/// [`FrameError`] if there is none.
pub fn unframe(bytes: &[u8]) -> Result<(SchemaId, &[u8]), FrameError> {
    let [magic, a, b, c, d, datum @ ..] = bytes else {
        return Err(FrameError::Short { length: bytes.len() });
    };
    if *magic != 0 {
        return Err(FrameError::Magic);
    }
    Ok((SchemaId(u32::from_be_bytes([*a, *b, *c, *d])), datum))
}

/// Writes `audit_event`s under the id that the registry gave [`AUDIT_EVENT_SCHEMA`].
pub struct EventWriter(Writer);
/// Reads `audit_event`s of any known version.
pub struct EventReader(Reader);
/// Writes `sealed_event`s under the id that the registry gave [`SEALED_EVENT_SCHEMA`].
pub struct SealedWriter(Writer);
/// Reads `sealed_event`s of any known version.
pub struct SealedReader(Reader);

impl EventWriter {
    /// A writer under `id`.
    #[must_use]
    pub fn new(id: SchemaId) -> Self {
        Self(Writer::new(id, audit_event_schema()))
    }

    /// The framed datum.
    ///
    /// # Errors
    /// [`AvroError::Encode`], a mistake of this program.
    pub fn write(&self, event: &AuditEvent) -> Result<Vec<u8>, AvroError> {
        self.0.write(event)
    }
}

impl SealedWriter {
    /// A writer under `id`.
    #[must_use]
    pub fn new(id: SchemaId) -> Self {
        Self(Writer::new(id, sealed_event_schema()))
    }

    /// The framed datum.
    ///
    /// # Errors
    /// [`AvroError::Encode`], a mistake of this program.
    pub fn write(&self, event: &SealedEvent) -> Result<Vec<u8>, AvroError> {
        self.0.write(event)
    }
}

impl Default for EventReader {
    fn default() -> Self {
        Self(Reader::new(audit_event_schema()))
    }
}

impl EventReader {
    /// Lets it read records that `schema`, registered as `id`, wrote.
    ///
    /// # Errors
    /// [`AvroError::Schema`] if it is no Avro schema.
    pub fn know(&mut self, id: SchemaId, schema: &str) -> Result<(), AvroError> {
        self.0.know(id, schema)
    }

    /// The event in a framed datum.
    ///
    /// # Errors
    /// [`AvroError::UnknownSchema`] asks for [`Self::know`]; the others are final.
    pub fn read(&self, framed: &[u8]) -> Result<AuditEvent, AvroError> {
        self.0.read(framed)
    }
}

impl Default for SealedReader {
    fn default() -> Self {
        Self(Reader::new(sealed_event_schema()))
    }
}

impl SealedReader {
    /// Lets it read records that `schema`, registered as `id`, wrote.
    ///
    /// # Errors
    /// [`AvroError::Schema`] if it is no Avro schema.
    pub fn know(&mut self, id: SchemaId, schema: &str) -> Result<(), AvroError> {
        self.0.know(id, schema)
    }

    /// The sealed event in a framed datum.
    ///
    /// # Errors
    /// [`AvroError::UnknownSchema`] asks for [`Self::know`]; the others are final.
    pub fn read(&self, framed: &[u8]) -> Result<SealedEvent, AvroError> {
        self.0.read(framed)
    }
}

struct Writer {
    id: SchemaId,
    datum: GenericDatumWriter<'static>,
}

impl Writer {
    #[expect(clippy::expect_used, reason = "the embedded schemas parse, which a test shows")]
    fn new(id: SchemaId, schema: &'static Schema) -> Self {
        let datum = GenericDatumWriter::builder(schema)
            .human_readable(true)
            .build()
            .expect("an embedded schema resolves");
        Self { id, datum }
    }

    fn write<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, AvroError> {
        let mut out = frame(self.id, &[]);
        self.datum.write_ser(&mut out, value).map_err(|_| AvroError::Encode)?;
        Ok(out)
    }
}

struct Reader {
    own: &'static Schema,
    known: HashMap<SchemaId, Known>,
}

enum Known {
    /// Written by the very schema of this version: straight into the struct.
    Same(GenericDatumReader<'static>),
    /// Written by another version: through Avro's resolution.
    Other(GenericDatumReader<'static>),
}

impl Reader {
    fn new(own: &'static Schema) -> Self {
        limit_allocation();
        Self { own, known: HashMap::new() }
    }

    fn know(&mut self, id: SchemaId, text: &str) -> Result<(), AvroError> {
        if self.known.contains_key(&id) {
            return Ok(());
        }
        let written = Schema::parse_str(text).map_err(|_| AvroError::Schema)?;
        let known = if written == *self.own {
            let reader = GenericDatumReader::builder(self.own).human_readable(true).build();
            Known::Same(reader.map_err(|_| AvroError::Schema)?)
        } else {
            // Lives as long as the process: a deployment registers a schema a version, not a record.
            let written: &'static Schema = Box::leak(Box::new(written));
            let reader = GenericDatumReader::builder(written)
                .reader_schema(self.own)
                .human_readable(true)
                .build();
            Known::Other(reader.map_err(|_| AvroError::Schema)?)
        };
        self.known.insert(id, known);
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, framed: &[u8]) -> Result<T, AvroError> {
        let (id, mut datum) = unframe(framed)?;
        let known = self.known.get(&id).ok_or(AvroError::UnknownSchema(id))?;
        let value = match known {
            Known::Same(reader) => {
                reader.read_deser(&mut datum).map_err(|_| AvroError::Datum(id))?
            }
            Known::Other(reader) => {
                let value = reader.read_value(&mut datum).map_err(|_| AvroError::Datum(id))?;
                apache_avro::from_value(&value).map_err(|_| AvroError::Datum(id))?
            }
        };
        if datum.is_empty() { Ok(value) } else { Err(AvroError::Trailing(datum.len())) }
    }
}

fn audit_event_schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| parsed(AUDIT_EVENT_SCHEMA))
}

fn sealed_event_schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| parsed(SEALED_EVENT_SCHEMA))
}

#[expect(clippy::expect_used, reason = "the embedded schemas parse, which a test shows")]
fn parsed(text: &str) -> Schema {
    Schema::parse_str(text).expect("an embedded schema is valid Avro")
}

/// A length in hostile bytes must not decide how much memory is taken.
fn limit_allocation() {
    static ONCE: OnceLock<usize> = OnceLock::new();
    ONCE.get_or_init(|| apache_avro::util::max_allocation_bytes(ALLOCATION_MAX_BYTES));
}

/// Eight times the longest record there is (a masked record of 512 KiB).
const ALLOCATION_MAX_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests;
