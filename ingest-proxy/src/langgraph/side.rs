//! Runs whose answer tells of no node, and streams that others read too: where to look on, and who
//! may record.
//!
//! **One recorder per run.** Node events of a run are told by exactly one surface of the proxy that
//! created it: the creator's own exchange where that is a stream, a side join where the creator
//! waits or goes away. Every other stream of the run (a client's join, a thread's stream) is
//! stripped and tells nothing. [`Runs::claim`] holds this: it grants once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use trailgate_schemas::{RunId, ThreadId};

use super::json;
use super::limits::{BATCH_MAX_RUNS, RUNS_MAX};
use super::plan::StripPlan;
use super::route::CreateStyle;

/// Which surface tells of a run's nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Recorder {
    /// The exchange that created it.
    CreatorStream,
    /// A stream that the proxy joins by itself.
    SideJoin,
}

/// Whether a surface may tell of a run's nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// It is the one.
    Granted,
    /// Another has it, or the run was not created here.
    Refused,
}

/// Where a run is, as the server says in `Content-Location` or in a run object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunPlace {
    /// Its thread; absent for a stateless stream, whose thread the server does not tell.
    pub thread: Option<ThreadId>,
    /// The run.
    pub run: RunId,
}

/// The request by which a run's nodes are read beside its creator. It carries the caller's
/// authorization, as the creating request did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SideJoin {
    /// The run's thread.
    pub thread: ThreadId,
    /// The run.
    pub run: RunId,
}

/// The request by which the plan of a run is asked for that was created elsewhere: its answer goes
/// to [`super::plan_of_run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// The run's thread.
    pub thread: ThreadId,
    /// The run.
    pub run: RunId,
}

/// What is known of the runs that were created here; the longest unused is forgotten first.
#[derive(Debug)]
pub struct Runs {
    max: usize,
    tick: u64,
    known: HashMap<RunId, KnownRun>,
    by_use: BTreeMap<u64, RunId>,
    by_thread: HashMap<ThreadId, VecDeque<RunId>>,
}

#[derive(Debug)]
struct KnownRun {
    plan: Arc<StripPlan>,
    thread: Option<ThreadId>,
    used: u64,
    is_claimed: bool,
}

impl CreateStyle {
    /// Which surface tells of the run's nodes.
    #[must_use]
    pub const fn recorder(self) -> Recorder {
        match self {
            Self::Stream => Recorder::CreatorStream,
            Self::Wait | Self::Background => Recorder::SideJoin,
        }
    }
}

impl RunPlace {
    /// From a `Content-Location` such as `/threads/{t}/runs/{r}` or `/runs/{r}`, behind any prefix.
    #[must_use]
    pub fn from_content_location(location: &str) -> Option<Self> {
        let path = location.split(['?', '#']).next().unwrap_or_default();
        let mut segments = path.rsplit('/');
        let run = segments.next()?.parse().ok()?;
        if segments.next() != Some("runs") {
            return None;
        }
        let thread = segments.next().and_then(|thread| thread.parse().ok());
        let thread = thread.filter(|_| segments.next() == Some("threads"));
        Some(Self { thread, run })
    }

    /// From the body that answers a background creation or a batch: one place for each run, in
    /// their order; none where the object has no ids.
    #[must_use]
    pub fn from_created(body: &[u8]) -> Vec<Option<Self>> {
        let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
        if !json::is_array(text) {
            return vec![Self::from_run(text)];
        }
        let mut places = Vec::new();
        let read = json::elements(text, |element| {
            if places.len() < BATCH_MAX_RUNS {
                places.push(Self::from_run(element));
            }
        });
        if read.is_err() { Vec::new() } else { places }
    }

    /// The request to join the run beside its creator, if its thread is known.
    #[must_use]
    pub fn side_join(self) -> Option<SideJoin> {
        self.thread.map(|thread| SideJoin { thread, run: self.run })
    }

    fn from_run(text: &str) -> Option<Self> {
        let (mut run, mut thread) = (None, None);
        json::members(text, |member| match member.key.as_ref() {
            "run_id" => run = json::string(member.value).and_then(|id| id.parse().ok()),
            "thread_id" => thread = json::string(member.value).and_then(|id| id.parse().ok()),
            _ => {}
        })
        .ok()?;
        run.map(|run| Self { thread, run })
    }
}

impl SideJoin {
    /// The header by which a resumable run is replayed from its beginning, its end included when it
    /// has ended already. It is right for joining again too: [`super::Nodes`] tells nothing twice.
    pub const LAST_EVENT_ID: &'static str = "-1";

    /// Path and query of the `GET`.
    #[must_use]
    pub fn path_and_query(&self, mount_prefix: &str) -> String {
        let (prefix, Self { thread, run }) = (mount_prefix.trim_end_matches('/'), self);
        format!("{prefix}/threads/{thread}/runs/{run}/stream?stream_mode=%5B%22tasks%22%5D")
    }
}

impl Lookup {
    /// Path of the `GET`.
    #[must_use]
    pub fn path(&self, mount_prefix: &str) -> String {
        let (prefix, Self { thread, run }) = (mount_prefix.trim_end_matches('/'), self);
        format!("{prefix}/threads/{thread}/runs/{run}")
    }
}

impl Default for Runs {
    fn default() -> Self {
        Self::with_bound(RUNS_MAX)
    }
}

impl Runs {
    /// Remembers at most `max` runs.
    #[must_use]
    pub fn with_bound(max: usize) -> Self {
        Self {
            max,
            tick: 0,
            known: HashMap::new(),
            by_use: BTreeMap::new(),
            by_thread: HashMap::new(),
        }
    }

    /// Remembers a run that was created here.
    pub fn remember(&mut self, place: RunPlace, plan: Arc<StripPlan>) {
        if self.known.contains_key(&place.run) {
            self.touch(place.run);
            return;
        }
        self.tick += 1;
        let known = KnownRun { plan, thread: place.thread, used: self.tick, is_claimed: false };
        self.known.insert(place.run, known);
        self.by_use.insert(self.tick, place.run);
        if let Some(thread) = place.thread {
            self.by_thread.entry(thread).or_default().push_back(place.run);
        }
        while self.known.len() > self.max
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.leave_thread(oldest);
            self.known.remove(&oldest);
        }
    }

    /// The plan of a run, if it is remembered.
    pub fn plan(&mut self, run: RunId) -> Option<Arc<StripPlan>> {
        self.touch(run);
        self.known.get(&run).map(|known| Arc::clone(&known.plan))
    }

    /// Asks to be the one surface that tells of the run's nodes.
    pub fn claim(&mut self, run: RunId) -> Claim {
        match self.known.get_mut(&run) {
            Some(known) if !known.is_claimed => {
                known.is_claimed = true;
                Claim::Granted
            }
            Some(_) | None => Claim::Refused,
        }
    }

    /// The run of a thread that is under way: of those not told as ended, the oldest, for a thread
    /// runs one after the other.
    #[must_use]
    pub fn running_on(&self, thread: ThreadId) -> Option<RunId> {
        self.by_thread.get(&thread).and_then(|runs| runs.front().copied())
    }

    /// The run has ended; its plan is still remembered, for it can still be read.
    pub fn ended(&mut self, run: RunId) {
        self.leave_thread(run);
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn touch(&mut self, run: RunId) {
        let Some(known) = self.known.get_mut(&run) else { return };
        self.tick += 1;
        self.by_use.remove(&known.used);
        self.by_use.insert(self.tick, run);
        known.used = self.tick;
    }

    fn leave_thread(&mut self, run: RunId) {
        let Some(thread) = self.known.get(&run).and_then(|known| known.thread) else { return };
        if let Some(runs) = self.by_thread.get_mut(&thread) {
            runs.retain(|known| *known != run);
            if runs.is_empty() {
                self.by_thread.remove(&thread);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const THREAD: &str = "01a207e7-3b33-7212-8090-ee2cd8226ffe";
    const RUN: &str = "01a207e7-42d1-72c5-bb59-317bf5395d90";

    fn place(thread: u128, run: u128) -> RunPlace {
        RunPlace {
            thread: Some(ThreadId(Uuid::from_u128(thread))),
            run: RunId(Uuid::from_u128(run)),
        }
    }

    fn plan() -> Arc<StripPlan> {
        Arc::new(StripPlan::Untouched)
    }

    #[test]
    fn a_content_location_gives_the_run_and_its_thread_if_it_names_one() {
        let both =
            RunPlace::from_content_location(&format!("/threads/{THREAD}/runs/{RUN}")).unwrap();
        assert_eq!(both, RunPlace { thread: THREAD.parse().ok(), run: RUN.parse().unwrap() });
        let absolute = format!("http://host:1/agents/threads/{THREAD}/runs/{RUN}?x=1");
        assert_eq!(RunPlace::from_content_location(&absolute), Some(both));
        let stateless = RunPlace::from_content_location(&format!("/runs/{RUN}")).unwrap();
        assert_eq!(stateless.thread, None);
        assert_eq!(stateless.side_join(), None);
        for location in ["", "/", "/runs/", "/runs/x", "/threads/x/runs", "runs"] {
            assert_eq!(RunPlace::from_content_location(location), None, "{location}");
        }
    }

    #[test]
    fn a_side_join_asks_for_tasks_from_the_beginning() {
        let join = SideJoin { thread: THREAD.parse().unwrap(), run: RUN.parse().unwrap() };
        let expected =
            format!("/p/threads/{THREAD}/runs/{RUN}/stream?stream_mode=%5B%22tasks%22%5D");
        assert_eq!(join.path_and_query("/p/"), expected);
        assert!(join.path_and_query("").starts_with("/threads/"));
    }

    #[test]
    fn created_runs_are_found_in_their_answer() {
        let run = format!(r#"{{"run_id":"{RUN}","thread_id":"{THREAD}","kwargs":{{}}}}"#);
        let single = RunPlace::from_created(run.as_bytes());
        assert_eq!(
            single,
            [RunPlace::from_content_location(&format!("/threads/{THREAD}/runs/{RUN}"))]
        );
        let batch = RunPlace::from_created(format!("[{run},{{}},7]").as_bytes());
        assert_eq!(batch, [single[0], None, None]);
        assert!(RunPlace::from_created(b"[{}").is_empty());
        assert!(RunPlace::from_created(b"\xff").is_empty());
    }

    #[test]
    fn a_run_is_recorded_by_one_surface_only() {
        let mut runs = Runs::default();
        runs.remember(place(1, 1), plan());
        assert_eq!(runs.claim(place(1, 1).run), Claim::Granted);
        assert_eq!(runs.claim(place(1, 1).run), Claim::Refused);
        runs.remember(place(1, 1), plan());
        assert_eq!(runs.claim(place(1, 1).run), Claim::Refused, "told twice of its creation");
        assert_eq!(runs.claim(place(1, 2).run), Claim::Refused, "not created here");
    }

    #[test]
    fn the_oldest_run_of_a_thread_that_has_not_ended_is_under_way() {
        let mut runs = Runs::default();
        for run in 1..=3 {
            runs.remember(place(1, run), plan());
        }
        let thread = ThreadId(Uuid::from_u128(1));
        assert_eq!(runs.running_on(thread), Some(place(1, 1).run));
        runs.ended(place(1, 1).run);
        assert_eq!(runs.running_on(thread), Some(place(1, 2).run));
        assert!(runs.plan(place(1, 1).run).is_some(), "its plan is still known");
        runs.ended(place(1, 2).run);
        runs.ended(place(1, 3).run);
        assert_eq!(runs.running_on(thread), None);
    }

    #[test]
    fn the_longest_unused_is_forgotten_first() {
        let mut runs = Runs::with_bound(2);
        runs.remember(place(1, 1), plan());
        runs.remember(place(1, 2), plan());
        assert!(runs.plan(place(1, 1).run).is_some());
        runs.remember(place(1, 3), plan());
        assert!(runs.plan(place(1, 2).run).is_none());
        assert!(runs.plan(place(1, 1).run).is_some());
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_bounded_in_every_index(
            acts in prop::collection::vec((0_u8..4, 0_u128..5, 0_u128..12), 0..200),
        ) {
            let mut runs = Runs::with_bound(4);
            for (act, thread, run) in acts {
                let place = place(thread, run);
                match act {
                    0 => runs.remember(place, plan()),
                    1 => runs.ended(place.run),
                    2 => { runs.claim(place.run); }
                    _ => { runs.plan(place.run); }
                }
                prop_assert!(runs.len() <= 4);
                prop_assert_eq!(runs.by_use.len(), runs.len());
                prop_assert!(runs.by_thread.values().map(VecDeque::len).sum::<usize>() <= runs.len());
                prop_assert!(runs.by_thread.values().all(|of_thread| !of_thread.is_empty()));
            }
        }
    }
}
