//! What lies on `audit.refused`.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use trailgate_envelope::{KeysFolder, RefusedEvent};
use trailgate_schemas::{AvroError, SchemaId, SealedEvent, SealedReader};
use trailgate_service::{SystemClock, environment};
use trailgate_topics::{
    Backbone, BackboneConfig, BackboneError, EmbeddedConfig, Offset, Partition, Record, Topic,
    Watermarks, open_backbone,
};

use super::Common;
use crate::up::PARTITIONS;

/// A place on `audit.refused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlaceOf {
    partition: Partition,
    offset: Offset,
}

/// The text is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place is PARTITION-OFFSET, as 3-17")]
pub(crate) struct NoPlace;

impl FromStr for PlaceOf {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (partition, offset) = text.split_once('-').ok_or(NoPlace)?;
        let partition = Partition(partition.parse().map_err(|_| NoPlace)?);
        let offset = offset.parse::<i64>().ok().filter(|offset| *offset >= 0).ok_or(NoPlace)?;
        Ok(Self { partition, offset: Offset(offset) })
    }
}

impl fmt::Display for PlaceOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition.0, self.offset.0)
    }
}

/// What was found at one.
pub(crate) struct Found {
    pub(crate) place: PlaceOf,
    pub(crate) refused: RefusedEvent,
    /// The clear header, if it is a sealed event at all.
    pub(crate) header: Option<SealedEvent>,
    appended_at: trailgate_schemas::Micros,
}

impl Found {
    /// When it was refused, as RFC 3339.
    pub(crate) fn time(&self) -> String {
        self.appended_at.rfc3339()
    }
}

/// The sections that are needed of a stage's file; all others are left.
#[derive(Deserialize)]
struct Config {
    backbone: BackboneConfig,
    keys: KeysSection,
}

#[derive(Deserialize)]
struct KeysSection {
    folder: std::path::PathBuf,
}

/// A backbone, and what reads its sealed events.
pub(crate) struct Shelf {
    pub(crate) backbone: Arc<dyn Backbone>,
    pub(crate) keys: KeysFolder,
    reader: SealedReader,
}

impl Shelf {
    /// # Errors
    /// If the configuration does not do, or the folder of a `trailgate up` is in use.
    pub(crate) async fn open(common: &Common) -> anyhow::Result<Self> {
        let Config { backbone, keys } = match &common.config {
            Some(file) => trailgate_service::load(file, &environment())?,
            None => {
                let folder = common.data.join("log");
                if !folder.is_dir() {
                    bail!("{}: no folder of a `trailgate up`", common.data.display());
                }
                let log = EmbeddedConfig { folder, partitions: PARTITIONS };
                let keys = KeysSection { folder: common.data.join("keys") };
                Config { backbone: BackboneConfig::Embedded(log), keys }
            }
        };
        let backbone = open_backbone(&backbone, Arc::new(SystemClock)).map_err(in_use)?;
        patiently(async || backbone.ensure(&[Topic::Refused, Topic::Raw]).await).await?;
        Ok(Self { backbone, keys: KeysFolder::new(keys.folder), reader: SealedReader::default() })
    }

    /// The newest that were refused, for a reason if one is given, in the order of their times.
    ///
    /// # Errors
    /// If the topic can't be read.
    pub(crate) async fn newest(
        &mut self,
        reason: Option<&str>,
        limit: usize,
    ) -> anyhow::Result<Vec<Found>> {
        let mut newest = VecDeque::new();
        self.read(&HashMap::new(), |record| {
            let Some(refused) = refused_of(&record) else { return true };
            if reason.is_none_or(|reason| refused.reason == reason) {
                newest.push_back((record, refused));
                // Of each partition they come in their order, of all about so.
                if newest.len() > limit {
                    newest.pop_front();
                }
            }
            true
        })
        .await?;
        let mut records = Vec::from(newest);
        records.sort_by_key(|(record, _)| record.appended_at);
        self.found(records).await
    }

    /// Where all lie that were refused for a reason.
    ///
    /// # Errors
    /// If the topic can't be read.
    pub(crate) async fn places(&self, reason: &str) -> anyhow::Result<Vec<PlaceOf>> {
        let mut places = Vec::new();
        self.read(&HashMap::new(), |record| {
            if refused_of(&record).is_some_and(|refused| refused.reason == reason) {
                places.push(place_of(&record));
            }
            true
        })
        .await?;
        Ok(places)
    }

    /// What lies at these places, in their order.
    ///
    /// # Errors
    /// If one holds nothing, or the topic can't be read.
    pub(crate) async fn at(&mut self, places: &[PlaceOf]) -> anyhow::Result<Vec<Found>> {
        let mut from: HashMap<Partition, Offset> = HashMap::new();
        for place in places {
            let first = from.entry(place.partition).or_insert(place.offset);
            *first = place.offset.min(*first);
        }
        let mut there = HashMap::new();
        self.read(&from, |record| {
            let place = place_of(&record);
            if places.contains(&place)
                && let Some(refused) = refused_of(&record)
            {
                there.insert(place, (record, refused));
            }
            there.len() < places.len()
        })
        .await?;
        let mut found = Vec::new();
        for place in places {
            let nothing = || format!("{place}: nothing was refused there");
            found.push(there.remove(place).with_context(nothing)?);
        }
        self.found(found).await
    }

    /// Reads what is there now, of the named partitions or of all, while `take` wants more.
    async fn read(
        &self,
        from: &HashMap<Partition, Offset>,
        mut take: impl FnMut(Record) -> bool,
    ) -> anyhow::Result<()> {
        let held = patiently(async || self.backbone.watermarks(Topic::Refused).await).await?;
        let begin = |(partition, held): &(Partition, Watermarks)| {
            let wanted = from.get(partition).copied();
            let at = if from.is_empty() { held.low } else { wanted.unwrap_or(held.high) };
            (*partition, at.clamp(held.low, held.high))
        };
        let places: Vec<_> = held.iter().map(begin).collect();
        let mut left: HashMap<Partition, Offset> = held
            .iter()
            .zip(&places)
            .filter(|((_, held), (_, at))| *at < held.high)
            .map(|((partition, held), _)| (*partition, held.high))
            .collect();
        let mut tail =
            patiently(async || self.backbone.tail(Topic::Refused, &places).await).await?;
        while !left.is_empty() {
            let batch = patiently(async || tail.next(TAIL_WAIT).await).await?;
            for record in batch.records {
                let is_new = left.get(&record.partition).is_some_and(|end| record.offset < *end);
                if is_new && !take(record) {
                    return Ok(());
                }
            }
            // Markers of transactions have places too, and are no records.
            for end in batch.ends {
                if left.get(&end.partition).is_some_and(|high| end.next >= *high) {
                    left.remove(&end.partition);
                }
            }
        }
        Ok(())
    }

    async fn found(&mut self, records: Vec<(Record, RefusedEvent)>) -> anyhow::Result<Vec<Found>> {
        let mut found = Vec::new();
        for (record, refused) in records {
            let header = self.header(&refused.sealed).await?;
            let place = place_of(&record);
            found.push(Found { place, refused, header, appended_at: record.appended_at });
        }
        Ok(found)
    }

    /// The clear header of a sealed event; none if it is no such thing.
    async fn header(&mut self, sealed: &[u8]) -> anyhow::Result<Option<SealedEvent>> {
        match self.reader.read(sealed) {
            Ok(header) => Ok(Some(header)),
            Err(AvroError::UnknownSchema(id)) => {
                let Some(schema) = self.schema(id).await? else { return Ok(None) };
                if self.reader.know(id, &schema).is_err() {
                    return Ok(None);
                }
                Ok(self.reader.read(sealed).ok())
            }
            Err(_) => Ok(None),
        }
    }

    async fn schema(&self, id: SchemaId) -> anyhow::Result<Option<String>> {
        match self.backbone.registry().schema(id).await {
            Ok(schema) => Ok(Some(schema)),
            Err(error) if error.is_transient() => Err(error).context("schema registry"),
            Err(_) => Ok(None),
        }
    }
}

const fn place_of(record: &Record) -> PlaceOf {
    PlaceOf { partition: record.partition, offset: record.offset }
}

fn refused_of(record: &Record) -> Option<RefusedEvent> {
    RefusedEvent::from_bytes(record.value.as_deref()?).ok()
}

/// Asks again while the backbone does not answer, a few times.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T, BackboneError>) -> anyhow::Result<T> {
    let mut tries = TRIES;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_transient() && tries > 1 => tries -= 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn in_use(error: BackboneError) -> anyhow::Error {
    let is_held = matches!(error, BackboneError::Held { .. });
    let error = anyhow::Error::from(error);
    if is_held { error.context("stop `trailgate up` first") } else { error }
}

const TAIL_WAIT: Duration = Duration::from_millis(500);

/// A client asks for 10 s each time.
const TRIES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_it_is_told_and_nothing_else_does() {
        let place: PlaceOf = "3-17".parse().unwrap();
        assert_eq!((place.partition, place.offset), (Partition(3), Offset(17)));
        assert_eq!(place.to_string(), "3-17");
        for wrong in ["", "3", "3-", "-17", "3--1", "x-1", "3-17-1"] {
            assert_eq!(wrong.parse::<PlaceOf>(), Err(NoPlace), "{wrong}");
        }
    }
}
