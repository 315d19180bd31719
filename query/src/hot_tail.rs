//! The hot tail: events that the masker has written and the archiver has not yet. It follows
//! `audit.events` from where the table ends, forgets what the table has taken, keeps to a bound in
//! memory, spills to a bound on disk, and past that stops reading and says so. It never leaves rows
//! out.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use trailgate_schemas::Micros;
use trailgate_table::{LogPartition, Snapshot};
use trailgate_topics::TailEnd;

use crate::limits::{TAIL_CHUNK_RECORDS, TAIL_DISK_MAX_BYTES, TAIL_MEMORY_MAX_BYTES};
use crate::pinned::{Pinned, Rows, TailRows, TailState};
use crate::spill::{SpillError, Spilled};

/// How much the tail may hold.
#[derive(Clone, Debug)]
pub struct TailLimits {
    /// Bytes in memory.
    pub memory_bytes: usize,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Where it spills: a folder of its own, emptied at the start.
    pub scratch: PathBuf,
}

impl TailLimits {
    /// The usual bounds, spilling to `scratch`.
    #[must_use]
    pub fn in_folder(scratch: PathBuf) -> Self {
        Self { memory_bytes: TAIL_MEMORY_MAX_BYTES, disk_bytes: TAIL_DISK_MAX_BYTES, scratch }
    }
}

/// Rows of one partition, decoded together.
#[derive(Debug)]
pub struct NewRows {
    /// The partition.
    pub partition: LogPartition,
    /// The number of the first row.
    pub first_index: i64,
    /// How many rows.
    pub count: i64,
    /// When the backbone took the last one.
    pub last_at: Micros,
    /// The rows.
    pub batches: Vec<RecordBatch>,
}

/// The hot tail; clones are the same.
#[derive(Clone, Debug)]
pub struct HotTail(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    limits: TailLimits,
    snapshot: Snapshot,
    schema: SchemaRef,
    partitions: BTreeMap<LogPartition, Held>,
    memory: usize,
    spilled: u64,
    /// Files written so far: none has the name of another, which a statement may still read.
    files: u64,
    reachable: bool,
    /// The disk took the last chunk that was to be spilled.
    can_spill: bool,
    /// The table has other columns than these rows.
    is_outdated: bool,
}

#[derive(Debug, Default)]
struct Held {
    chunks: VecDeque<Chunk>,
    next_index: i64,
    last_at: Option<Micros>,
    caught_up_at: Option<Micros>,
}

#[derive(Debug)]
struct Chunk {
    end_index: i64,
    count: i64,
    memory: usize,
    rows: Rows,
}

impl HotTail {
    /// An empty tail behind `snapshot` for a topic of `partitions`.
    #[must_use]
    pub fn behind(
        snapshot: Snapshot,
        schema: SchemaRef,
        partitions: u32,
        limits: TailLimits,
    ) -> Self {
        let mut state = State {
            limits,
            snapshot,
            schema,
            partitions: BTreeMap::new(),
            memory: 0,
            spilled: 0,
            files: 0,
            reachable: false,
            can_spill: true,
            is_outdated: false,
        };
        state.restart(partitions);
        Self(Arc::new(Mutex::new(state)))
    }

    /// Forgets all rows and begins again behind `snapshot`: the topic no longer has what is wanted.
    pub fn restart(&self, snapshot: Snapshot, schema: SchemaRef, partitions: u32) {
        let mut state = self.state();
        (state.snapshot, state.schema) = (snapshot, schema);
        state.restart(partitions);
    }

    /// The row number that the next record of `partition` gets.
    #[must_use]
    pub fn next_index(&self, partition: LogPartition) -> i64 {
        self.state().partitions.get(&partition).map_or(0, |held| held.next_index)
    }

    /// Whether another read may be taken in.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.state().is_full()
    }

    /// Whether the table has other columns by now: the tail must begin again.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.state().is_outdated
    }

    /// Takes in what was read: rows, then how far each partition stands. Spills what is over the
    /// bound in memory, oldest first; what the disk refuses stays in memory, and the tail is full
    /// then. Blocks on the disk.
    pub fn take(&self, rows: Vec<NewRows>, ends: &[TailEnd]) {
        {
            let mut state = self.state();
            state.reachable = true;
            for rows in rows {
                state.add(rows);
            }
            for end in ends {
                let held = state.partitions.entry(LogPartition(end.partition.0)).or_default();
                held.caught_up_at = end.caught_up_at;
            }
        }
        let spilled = self.spill();
        if let Err(error) = &spilled {
            tracing::warn!(%error, "the tail stays in memory");
        }
        self.state().can_spill = spilled.is_ok();
    }

    /// The backbone can't be reached for now.
    pub fn unreachable(&self) {
        let mut state = self.state();
        state.reachable = false;
        // What was caught up with stays so; it is only no longer known of later moments.
    }

    /// The table has a newer version with the columns `schema`: what it holds is forgotten here. One
    /// with other columns is not taken: the tail must begin again with it.
    pub fn archived(&self, snapshot: Snapshot, schema: &SchemaRef) {
        let mut state = self.state();
        if snapshot.version() < state.snapshot.version() {
            return;
        }
        if *schema != state.schema {
            state.is_outdated = true;
            return;
        }
        state.snapshot = snapshot;
        state.forget_archived();
    }

    /// What a statement that begins now sees.
    #[must_use]
    pub fn pin(&self) -> Pinned {
        let state = self.state();
        let mut tail = Vec::new();
        for (partition, held) in &state.partitions {
            let from_index = state.snapshot.ids_of(*partition).tree_size;
            let open = held.chunks.iter().filter(|chunk| chunk.end_index > from_index);
            tail.extend(open.map(|chunk| TailRows { from_index, rows: chunk.rows.clone() }));
        }
        Pinned {
            snapshot: state.snapshot.clone(),
            schema: Arc::clone(&state.schema),
            tail,
            complete_until: state.complete_until(),
            state: state.tail_state(),
        }
    }

    /// The snapshot that new pins see.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.state().snapshot.clone()
    }

    /// Bytes in memory and on disk.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        let state = self.state();
        (state.memory, state.spilled)
    }

    fn spill(&self) -> Result<(), SpillError> {
        loop {
            let Some((partition, end_index, batches, file)) = self.state().next_spill() else {
                return Ok(());
            };
            let folder = self.state().limits.scratch.clone();
            // Written outside the lock: statements pin while the disk works.
            let spilled = Spilled::write(&folder, &file, &batches)?;
            self.state().spilled_to(partition, end_index, spilled);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn restart(&mut self, partitions: u32) {
        let ids_of = |p| self.snapshot.ids_of(p).tree_size;
        let fresh = |p| Held { next_index: ids_of(p), ..Held::default() };
        self.partitions = (0..partitions).map(LogPartition).map(|p| (p, fresh(p))).collect();
        (self.memory, self.spilled, self.reachable) = (0, 0, false);
        (self.can_spill, self.is_outdated) = (true, false);
    }

    fn add(&mut self, rows: NewRows) {
        let held = self.partitions.entry(rows.partition).or_default();
        held.next_index = rows.first_index + rows.count;
        held.last_at = Some(rows.last_at);
        let before = held.memory();
        held.chunks.push_back(Chunk::new(held.next_index, rows.count, rows.batches));
        held.merge(&self.schema);
        self.memory = self.memory + held.memory() - before;
    }

    /// Whether there is room neither in memory nor on the disk.
    fn is_full(&self) -> bool {
        let no_disk = self.spilled >= self.limits.disk_bytes || !self.can_spill;
        self.memory >= self.limits.memory_bytes && no_disk
    }

    /// The oldest chunk in memory of the partition that holds most, if memory is over its bound.
    fn next_spill(&mut self) -> Option<(LogPartition, i64, Arc<Vec<RecordBatch>>, String)> {
        if self.memory <= self.limits.memory_bytes || self.spilled >= self.limits.disk_bytes {
            return None;
        }
        self.files += 1;
        let held = self.partitions.iter();
        let (partition, held) = held.max_by_key(|(_, held)| held.memory())?;
        held.chunks.iter().find_map(|chunk| match &chunk.rows {
            Rows::Memory(batches) => {
                let file = format!("{}.arrow", self.files);
                Some((*partition, chunk.end_index, Arc::clone(batches), file))
            }
            Rows::Disk(_) => None,
        })
    }

    fn spilled_to(&mut self, partition: LogPartition, end_index: i64, spilled: Spilled) {
        let chunks = self.partitions.get_mut(&partition).map(|held| &mut held.chunks);
        let chunk = chunks.into_iter().flatten().find(|chunk| chunk.end_index == end_index);
        // Archived while it was written: the file goes with `spilled`.
        let Some(chunk) = chunk else { return };
        self.memory -= chunk.memory;
        chunk.memory = 0;
        self.spilled += spilled.bytes;
        chunk.rows = Rows::Disk(Arc::new(spilled));
    }

    fn forget_archived(&mut self) {
        for (partition, held) in &mut self.partitions {
            let size = self.snapshot.ids_of(*partition).tree_size;
            while let Some(chunk) = held.chunks.pop_front_if(|chunk| chunk.end_index <= size) {
                self.memory -= chunk.memory;
                if let Rows::Disk(spilled) = &chunk.rows {
                    self.spilled -= spilled.bytes;
                }
            }
        }
    }

    fn complete_until(&self) -> Option<Micros> {
        let until = |held: &Held| held.caught_up_at.or(held.last_at);
        let each: Option<Vec<Micros>> = self.partitions.values().map(until).collect();
        each?.into_iter().min()
    }

    fn tail_state(&self) -> TailState {
        let full = self.is_full();
        let behind = self.partitions.values().any(|held| held.caught_up_at.is_none());
        match (full, behind || !self.reachable) {
            (true, _) => TailState::Full,
            (false, true) => TailState::CatchingUp,
            (false, false) => TailState::Following,
        }
    }
}

impl Held {
    fn memory(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.memory).sum()
    }

    /// Makes one chunk of the last two while they are of a size, so that rows that come one by one
    /// are copied a few times each and lie in few chunks: a chunk of one row takes 20 KiB, mostly
    /// of empty columns, and each one is work for every statement.
    fn merge(&mut self, schema: &SchemaRef) {
        let most = i64::try_from(TAIL_CHUNK_RECORDS).unwrap_or(i64::MAX);
        while let [.., before, last] = &*self.chunks.make_contiguous() {
            let (Rows::Memory(one), Rows::Memory(two)) = (&before.rows, &last.rows) else { return };
            let count = before.count + last.count;
            if before.count > 2 * last.count || count > most {
                return;
            }
            // They have the same columns; were it not so, they would stay as they are.
            let Ok(batch) = concat_batches(schema, one.iter().chain(two.iter())) else { return };
            let merged = Chunk::new(last.end_index, count, vec![batch]);
            self.chunks.truncate(self.chunks.len() - 2);
            self.chunks.push_back(merged);
        }
    }
}

impl Chunk {
    fn new(end_index: i64, count: i64, batches: Vec<RecordBatch>) -> Self {
        let memory = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        Self { end_index, count, memory, rows: Rows::Memory(Arc::new(batches)) }
    }
}

#[cfg(test)]
mod tests;
