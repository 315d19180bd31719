//! What waits for the committer, bounded. Whatever arrives while one transaction is being synced
//! shares the next: that is all there is to group commit, and nobody waits for company.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::job::Job;
use super::limits;
use crate::append::{Ack, AppendError};
use crate::backbone::BackboneError;
use crate::limits::RECORD_MAX_BYTES;
use crate::record::NewRecord;

/// The committer's queue.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    records: usize,
    bytes: usize,
    /// Set while storage fails and for good at the end: nothing is taken.
    refuses: Option<Refuses>,
}

#[derive(Clone)]
enum Refuses {
    Broken(BackboneError),
    Closed,
}

impl Refuses {
    fn error(&self) -> BackboneError {
        match self {
            Self::Broken(error) => error.clone(),
            Self::Closed => BackboneError::Refused { code: "embedded log is closed".to_owned() },
        }
    }
}

impl Queue {
    /// Takes a record, unless too many wait already.
    pub(super) fn append(&self, record: NewRecord) -> Ack {
        let bytes = record.bytes();
        if bytes > RECORD_MAX_BYTES {
            return Ack::refused(AppendError::TooLong);
        }
        let state = self.state();
        match &state.refuses {
            Some(Refuses::Broken(_)) => return Ack::refused(AppendError::Failed),
            Some(Refuses::Closed) => return Ack::refused(AppendError::Closed),
            None => {}
        }
        if state.records >= limits::QUEUE_RECORDS || state.bytes + bytes > limits::QUEUE_BYTES {
            return Ack::refused(AppendError::Full);
        }
        let (sender, ack) = Ack::channel();
        self.put(state, Job::Append(record, sender.into()));
        ack
    }

    /// Takes a job whose asker waits for it: as many as there are askers.
    pub(super) fn ask(&self, job: Job) {
        let state = self.state();
        match &state.refuses {
            Some(refuses) => {
                let error = refuses.error();
                drop(state);
                job.fail(&error);
            }
            None => self.put(state, job),
        }
    }

    fn put(&self, mut state: MutexGuard<'_, State>, job: Job) {
        let (records, bytes) = job.weight();
        state.records += records;
        state.bytes += bytes;
        state.jobs.push_back(job);
        let is_first = state.jobs.len() == 1;
        drop(state);
        if is_first {
            self.arrived.notify_one();
        }
    }

    /// Whether it takes jobs.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self) -> Result<(), BackboneError> {
        self.state().refuses.as_ref().map_or(Ok(()), |refuses| Err(refuses.error()))
    }

    /// What shares the next transaction; nothing after `wait`; none when the queue is closed and
    /// empty.
    pub(super) fn take(&self, wait: Duration) -> Option<Vec<Job>> {
        let waited = self.arrived.wait_timeout_while(self.state(), wait, |state| {
            state.jobs.is_empty() && !matches!(state.refuses, Some(Refuses::Closed))
        });
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.jobs.is_empty() {
            let is_closed = matches!(state.refuses, Some(Refuses::Closed));
            return if is_closed { None } else { Some(Vec::new()) };
        }
        Some(state.batch())
    }

    /// Storage failed: fails what waits and refuses what comes until [`Self::mend`].
    pub(super) fn fail(&self, error: &BackboneError) {
        self.refuse(Refuses::Broken(error.clone()), error);
    }

    /// Storage works again.
    pub(super) fn mend(&self) {
        let mut state = self.state();
        if matches!(state.refuses, Some(Refuses::Broken(_))) {
            state.refuses = None;
        }
    }

    /// Takes no more; what waits will still be done.
    pub(super) fn close(&self) {
        self.state().refuses = Some(Refuses::Closed);
        self.arrived.notify_one();
    }

    /// The committer is gone: what waits will never be done.
    pub(super) fn abandon(&self) {
        self.refuse(Refuses::Closed, &Refuses::Closed.error());
    }

    fn refuse(&self, refuses: Refuses, error: &BackboneError) {
        let mut state = self.state();
        if !matches!(state.refuses, Some(Refuses::Closed)) {
            state.refuses = Some(refuses);
        }
        (state.records, state.bytes) = (0, 0);
        let waiting = std::mem::take(&mut state.jobs);
        drop(state);
        waiting.into_iter().for_each(|job| job.fail(error));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn batch(&mut self) -> Vec<Job> {
        let (mut records, mut bytes) = (0, 0);
        let mut jobs = Vec::with_capacity(self.jobs.len().min(limits::BATCH_RECORDS));
        while records < limits::BATCH_RECORDS && bytes < limits::BATCH_BYTES {
            let Some(job) = self.jobs.pop_front() else { break };
            let weight = job.weight();
            (records, bytes) = (records + weight.0, bytes + weight.1);
            jobs.push(job);
        }
        self.records -= records;
        self.bytes -= bytes;
        jobs
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt;

    use super::*;
    use crate::record::Partition;
    use crate::topic::Topic;

    fn record(length: usize) -> NewRecord {
        let value = Some(Bytes::from(vec![0; length]));
        NewRecord { topic: Topic::Raw, partition: Partition(0), key: Bytes::new(), value }
    }

    fn refusal(ack: Ack) -> Option<AppendError> {
        ack.now_or_never().and_then(Result::err)
    }

    #[test]
    fn it_takes_as_many_records_and_bytes_as_it_may_hold() {
        let queue = Queue::default();
        for _ in 0..limits::QUEUE_RECORDS {
            assert_eq!(refusal(queue.append(record(1))), None);
        }
        assert_eq!(refusal(queue.append(record(1))), Some(AppendError::Full));

        let queue = Queue::default();
        for _ in 0..limits::QUEUE_BYTES / 1_000_000 {
            assert_eq!(refusal(queue.append(record(1_000_000))), None);
        }
        assert_eq!(refusal(queue.append(record(1_000_000))), Some(AppendError::Full));
        assert_eq!(refusal(queue.append(record(1_000_001))), Some(AppendError::TooLong));
    }

    #[test]
    fn a_batch_is_bounded_and_what_is_left_over_is_the_next() {
        let queue = Queue::default();
        let acks: Vec<Ack> =
            (0..limits::BATCH_RECORDS + 5).map(|_| queue.append(record(1))).collect();
        let length = |jobs: Option<Vec<Job>>| jobs.map(|jobs| jobs.len());
        assert_eq!(length(queue.take(Duration::ZERO)), Some(limits::BATCH_RECORDS));
        assert_eq!(length(queue.take(Duration::ZERO)), Some(5));
        assert_eq!(length(queue.take(Duration::ZERO)), Some(0));
        drop(acks);
    }

    #[test]
    fn while_storage_fails_everything_is_refused_and_closing_is_for_good() {
        let queue = Queue::default();
        let waiting = queue.append(record(1));
        queue.fail(&BackboneError::Storage { code: "disk full (13)".to_owned() });
        assert_eq!(refusal(waiting), Some(AppendError::Failed));
        assert_eq!(refusal(queue.append(record(1))), Some(AppendError::Failed));
        queue.mend();
        assert_eq!(refusal(queue.append(record(1))), None);
        queue.close();
        assert_eq!(refusal(queue.append(record(1))), Some(AppendError::Closed));
        assert_eq!(queue.take(Duration::ZERO).map(|jobs| jobs.len()), Some(1));
        assert!(queue.take(Duration::ZERO).is_none());
    }
}
