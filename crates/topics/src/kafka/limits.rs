//! Kafka's bounds, each with its reason.

use std::time::Duration;

/// Partitions of a topic: each is a file handle at the broker and a queue in every reader.
pub(super) const PARTITIONS_MAX: u32 = 1_000;

/// Copies of a record; with fewer, one broken machine stops writing or loses records.
pub(super) const REPLICAS_MIN: usize = 3;

/// What a topic must let in: our longest record and Kafka's own framing of a batch around it.
pub(super) const MESSAGE_BYTES: usize = 1_048_588;

/// Segments of a compacted topic. Only closed segments are compacted, and a restart reads what is
/// not: Kafka's default of 1 GiB would never close.
pub(super) const COMPACTED_SEGMENT_BYTES: usize = 16 * 1024 * 1024;

/// The oldest a compacted topic's open segment gets, for the same reason.
pub(super) const COMPACTED_SEGMENT: Duration = Duration::from_secs(3600);

/// Records between an appender's caller and the acknowledgement. Above it callers are refused at
/// once rather than made to wait for longer than they would.
pub(super) const QUEUE_RECORDS: usize = 8_192;

/// Their bytes: what waits is in memory.
pub(super) const QUEUE_KIB: usize = 64 * 1024;

/// How long the appender waits for company before it sends. Measured with the appender's test on 2
/// cores and one broker that flushes: see the README.
pub(super) const LINGER: Duration = Duration::from_millis(2);

/// When a record that was not acknowledged is given up, so that an outage is answered soon. Longer
/// than a leader's election, shorter than a caller's patience.
pub(super) const ACK_WAIT: Duration = Duration::from_secs(5);

/// How long a suspected outage may be looked into before it is believed: a broker that closed an
/// idle connection, or is busy, answers within it.
pub(super) const PROBE_WAIT: Duration = Duration::from_secs(1);

/// Between two probes during an outage; also how late its end is noticed.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(200);

/// A network request that takes longer has met a dead peer.
pub(super) const SOCKET_WAIT: Duration = Duration::from_secs(10);

/// Longest pause between two attempts to connect: how late the end of an outage is noticed.
pub(super) const RECONNECT_MAX: Duration = Duration::from_secs(1);

/// A question to the brokers: longer than a coordinator's election.
pub(super) const ASK_WAIT: Duration = Duration::from_secs(10);

/// A question asked from a thread that also serves a group: short, since it is asked again, but not
/// so short that a busy broker (measured: 1 s behind many flushes) looks like a dead one.
pub(super) const ASK_BRIEFLY: Duration = Duration::from_secs(3);

/// How long new topics may take until every partition has a leader.
pub(super) const CREATE_WAIT: Duration = Duration::from_secs(30);

/// Between two looks at new topics.
pub(super) const CREATE_POLL: Duration = Duration::from_millis(50);

/// What a reader holds fetched and unread. Kafka's default of 64 MiB for each would be most of a
/// stage's memory.
pub(super) const FETCHED_KIB: usize = 16 * 1024;

/// When a member that does not answer loses its partitions. Measured: a stage that is killed and
/// comes back sooner, under its own name, goes on without a rebalance.
pub(super) const SESSION: Duration = Duration::from_secs(6);

/// A member's sign of life: several within a session.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a member may serve its group no call, and how long a rebalance waits for one: longer
/// than a revocation waits and than state takes to restore.
pub(super) const MEMBER_IDLE: Duration = Duration::from_secs(120);

/// Messages between a consumer and its owner: enough to hide a thread switch. A record has up to
/// 512 KiB, so this is also a bound in bytes (64 MiB).
pub(super) const MESSAGES: usize = 128;

/// Commands between an owner and its consumer.
pub(super) const COMMANDS: usize = 64;

/// How long an owner may leave its messages untaken before reading is paused. A pause throws away
/// what was fetched, so a short wait is better; a longer one would keep the group waiting.
pub(super) const STALL: Duration = Duration::from_millis(500);

/// Records of one partition in their owner's custody. A batch of 64 MiB of small events has fewer;
/// behind a record that was dropped by mistake reading stops here.
pub(super) const CUSTODY_RECORDS: usize = 1_000_000;

/// How long a member that gives partitions up waits for its owner to drain them.
pub(super) const REVOKE_WAIT: Duration = Duration::from_secs(10);

/// How often a member commits what its owner has delivered: only lag tools and a restart read it.
pub(super) const OFFSETS_EVERY: Duration = Duration::from_secs(1);

/// How long a consumer waits for records before it looks after its commands and answers.
pub(super) const POLL_WAIT: Duration = Duration::from_millis(20);

/// Between two attempts at what failed for now.
pub(super) const RETRY_EVERY: Duration = Duration::from_millis(250);

/// How often a schema that was refused as incompatible is registered again, at a growing pause, before
/// that is believed.
pub(super) const REGISTER_AGAIN: u32 = 4;

/// How long a name in a group may be held by a consumer of this process that is closing.
pub(super) const NAME_WAIT: Duration = Duration::from_secs(30);

/// A member that is fenced again within this has a living twin. Longer than two twins take to fence
/// each other in turn.
pub(super) const FENCED_AGAIN: Duration = Duration::from_secs(60);

/// When the brokers abort a transaction that is not committed, and free the readers behind it.
pub(super) const TRANSACTION_WAIT: Duration = Duration::from_secs(10);

/// How long one call about a transaction may block. Above it the producer is dropped, and what
/// became of the transaction is read from the brokers.
pub(super) const TRANSACTION_CALL: Duration = Duration::from_secs(5);

/// How long a processor's producer waits for company; the transaction's interval is longer anyway.
pub(super) const STEP_LINGER: Duration = Duration::from_millis(5);

/// A processor's outputs that are not acknowledged yet. Measured: more brings nothing.
pub(super) const STEP_IN_FLIGHT: usize = 6_000;

/// A processor's batches: larger ones compress better and cost the broker less.
pub(super) const STEP_BATCH_BYTES: usize = 500_000;

/// Shortest interval between two commits of a processor, whatever it asks for: each is three round
/// trips.
pub(super) const COMMIT_EVERY_MIN: Duration = Duration::from_millis(10);

/// Between two looks at whether earlier transactions on a changelog have ended.
pub(super) const SETTLE_POLL: Duration = Duration::from_millis(50);

/// How long reading a changelog may give nothing before it is begun anew.
pub(super) const RESTORE_WAIT: Duration = Duration::from_secs(15);

/// First and longest pause before a record that could not be taken is offered again.
pub(super) const OFFER_AGAIN: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(5));

/// Records of one batch of a tail.
pub(super) const TAIL_RECORDS: usize = 512;

/// Bytes of one batch of a tail.
pub(super) const TAIL_BYTES: usize = 4 * 1024 * 1024;

/// Batches that a tail has read ahead.
pub(super) const TAIL_BATCHES: usize = 2;

/// How often a tail asks where its topic ends: how late it knows that it has seen everything.
pub(super) const ENDS_EVERY: Duration = Duration::from_millis(200);

/// A call of the schema registry.
pub(super) const REGISTRY_WAIT: Duration = Duration::from_secs(10);

/// Schemas that are remembered by id and by text: there are a few for each version of ours.
pub(super) const SCHEMAS_KEPT: usize = 1_000;
