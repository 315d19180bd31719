//! The hot tail: events that the masker has written and the archiver has not yet. It follows
//! `audit.events` from where the table ends, forgets what the table has taken, keeps to a bound in
//! memory, spills to a bound on disk, and past that stops reading and says so. It never leaves rows
//! out.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use trailgate_schemas::Micros;
use trailgate_table::{LogPartition, Snapshot};
use trailgate_topics::TailEnd;

use crate::limits::{TAIL_DISK_MAX_BYTES, TAIL_MEMORY_MAX_BYTES};
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
    reachable: bool,
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
            reachable: false,
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
        let state = self.state();
        state.memory < state.limits.memory_bytes || state.spilled < state.limits.disk_bytes
    }

    /// Takes in what was read: rows, then how far each partition stands. Spills what is over the
    /// bound in memory, oldest first. Blocks on the disk.
    ///
    /// # Errors
    /// If the disk refuses; what was taken in is kept in memory.
    pub fn take(&self, rows: Vec<NewRows>, ends: &[TailEnd]) -> Result<(), SpillError> {
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
        self.spill()
    }

    /// The backbone can't be reached for now.
    pub fn unreachable(&self) {
        let mut state = self.state();
        state.reachable = false;
        // What was caught up with stays so; it is only no longer known of later moments.
    }

    /// The table has a newer version: what it holds is forgotten here.
    pub fn archived(&self, snapshot: Snapshot) {
        let mut state = self.state();
        if snapshot.version() < state.snapshot.version() {
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
            let Some((partition, end_index, batches, file)) = self.state().to_spill() else {
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
    }

    fn add(&mut self, rows: NewRows) {
        let memory = rows.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let held = self.partitions.entry(rows.partition).or_default();
        held.next_index = rows.first_index + rows.count;
        held.last_at = Some(rows.last_at);
        let rows = Rows::Memory(Arc::new(rows.batches));
        held.chunks.push_back(Chunk { end_index: held.next_index, memory, rows });
        self.memory += memory;
    }

    /// The oldest chunk in memory of the partition that holds most, if memory is over its bound.
    fn to_spill(&self) -> Option<(LogPartition, i64, Arc<Vec<RecordBatch>>, String)> {
        if self.memory <= self.limits.memory_bytes || self.spilled >= self.limits.disk_bytes {
            return None;
        }
        let held = self.partitions.iter();
        let (partition, held) = held
            .max_by_key(|(_, held)| held.chunks.iter().map(|chunk| chunk.memory).sum::<usize>())?;
        held.chunks.iter().find_map(|chunk| match &chunk.rows {
            Rows::Memory(batches) => {
                let file = format!("{}-{}.arrow", partition.0, chunk.end_index);
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
        let full =
            self.memory >= self.limits.memory_bytes && self.spilled >= self.limits.disk_bytes;
        let behind = self.partitions.values().any(|held| held.caught_up_at.is_none());
        match (full, behind || !self.reachable) {
            (true, _) => TailState::Full,
            (false, true) => TailState::CatchingUp,
            (false, false) => TailState::Following,
        }
    }
}
