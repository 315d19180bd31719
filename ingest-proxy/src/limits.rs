//! The bounds of the gateway, each with its reason.

use std::time::Duration;

/// Clear bytes of payload in one record: half of what a sealed event may hold, so that base64 and
/// the head's fields fit beside it.
pub const PIECE_MAX_BYTES: usize = 64 * 1024;

/// Arrivals that share one record; beyond it a piece counts as full. Keeps the list of offsets
/// smaller than the payload it belongs to.
pub const PIECE_MAX_FRAMES: usize = 1024;

/// Records of one direction of one exchange that may wait for their acknowledgement. Together with
/// the piece that is being filled this bounds what an exchange holds to 320 KiB a direction.
pub const PIECES_IN_FLIGHT_MAX: usize = 4;

/// How long the record of a request's head waits for its body to begin, so that the two share it.
pub const FIRST_REQUEST_PIECE_WAIT: Duration = Duration::from_millis(50);

/// How long the record of an answer's head waits for its body to begin, and for a short body of
/// known length to be whole.
pub const FIRST_RESPONSE_PIECE_WAIT: Duration = Duration::from_millis(5);

/// How much of one body is recorded unless the connection says otherwise.
pub const RECORD_DEFAULT_BYTES: u64 = 16 * 1024 * 1024;

/// The largest body that is read whole, because admission must read it: a hundred times a large
/// run input.
pub const REWRITE_DEFAULT_BYTES: u64 = 8 * 1024 * 1024;

/// All names and values of a request's head together. Escaped as JSON it must fit in a record.
pub const HEAD_MAX_BYTES: usize = 16 * 1024;

/// What the reader of a head may buffer: the head itself and the line before it.
pub const HEAD_BUFFER_BYTES: usize = 64 * 1024;

/// Header fields of one head.
pub const HEADERS_MAX: usize = 100;

/// Path and query; longer ones are refused.
pub const TARGET_MAX_BYTES: usize = 8 * 1024;

/// How much of a path stands in the name of the resource.
pub const RESOURCE_MAX_BYTES: usize = 256;

/// A recorded answer's headers, as JSON; what is beyond is cut and the record says so.
pub const RECORDED_HEADERS_MAX_BYTES: usize = 24 * 1024;

/// A node's payload in its event; of a longer one the largest parts are left out.
pub const NODE_PAYLOAD_MAX_BYTES: usize = 64 * 1024;

/// Open connections of one listener unless the configuration says otherwise.
pub const CONNECTIONS_DEFAULT: usize = 1024;

/// One source may have one in so many of a listener's connections, unless the configuration says
/// otherwise: the rest is for others, also while somebody opens all he can.
pub const SOURCE_SHARE: usize = 4;

/// How often the log tells that a listener closes connections of sources that have too many.
pub const CROWDED_TOLD_EVERY: Duration = Duration::from_secs(60);

/// Exchanges under way in the process unless the configuration says otherwise. With what one
/// exchange may hold, the most that all of them can: 640 MiB, when every one of them waits in both
/// directions for the backbone.
pub const EXCHANGES_DEFAULT: usize = 1024;

/// Streams of one HTTP/2 connection.
pub const H2_STREAMS_MAX: u32 = 128;

/// How long a TLS handshake may take.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// How long the head of a connection's first request may take to arrive. Those behind it have
/// [`IDLE_DEFAULT_S`], since nothing tells a head that is late from one that was not begun.
pub const HEAD_WAIT: Duration = Duration::from_secs(10);

/// How long a connection stays open without an exchange, unless the configuration says otherwise:
/// longer than the 60 s that balancers commonly keep theirs, so that it is they who close it.
pub const IDLE_DEFAULT_S: u64 = 75;

/// How long an exchange may go without a byte in either direction, unless the configuration says
/// otherwise: longer than a slow model takes.
pub const STALL_DEFAULT_S: u64 = 900;

/// How long a connection that was asked to end may take to. With what comes behind it, below what a
/// stage has to drain.
pub const CONNECTION_DRAIN_WAIT: Duration = Duration::from_secs(15);

/// How long the connection to an upstream may take to open.
pub const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// How long an unused connection to an upstream is kept: below the 5 s after which uvicorn closes.
pub const UPSTREAM_IDLE_WAIT: Duration = Duration::from_secs(4);

/// Unused connections to one upstream.
pub const UPSTREAM_IDLE_MAX: usize = 64;

/// Closing records that wait for the backbone after their exchange is gone; beyond it the masker
/// finds the stream unfinished.
pub const CLOSERS_MAX: usize = 1024;

/// How often a closing record that was not taken is offered again, and how long apart.
pub const CLOSE_TRIES: u32 = 5;
/// The wait before the second offer; doubled each time.
pub const CLOSE_RETRY_WAIT: Duration = Duration::from_millis(200);

/// Sessions that are known to be open; beyond it the longest silent one is closed.
pub const SESSIONS_MAX: usize = 10_000;

/// How long a session may be silent.
pub const SESSION_IDLE: Duration = Duration::from_secs(15 * 60);

/// How often silent sessions are looked for.
pub const SESSION_SWEEP: Duration = Duration::from_secs(30);

/// How many closings of sessions wait for the backbone at once.
pub const SESSION_CLOSES_AT_ONCE: usize = 64;

/// Runs that are watched beside their clients at once.
pub const JOINS_MAX: usize = 1024;

/// How often the stream of a watched run is opened again after it broke.
pub const JOIN_TRIES: u32 = 5;
/// The wait before it is opened again; doubled each time.
pub const JOIN_RETRY_WAIT: Duration = Duration::from_millis(250);

/// Bytes of all bodies together that are read whole; beyond it such a request is answered 503, and
/// such an answer passes as it is.
pub const WHOLE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bodies up to this length are read on the thread that serves their connection: below a
/// millisecond.
pub const ADMIT_INLINE_MAX_BYTES: usize = 64 * 1024;

/// A node's payload up to this length is shortened to fit its event; of a longer one only length
/// and keyed hash are recorded. Reading it takes milliseconds.
pub const SHORTEN_MAX_BYTES: usize = 1024 * 1024;

/// A run object that is asked for because its plan is not known: one with a large input.
pub const LOOKUP_MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long the client's join waits for it; without it frames show what was injected.
pub const LOOKUP_WAIT: Duration = Duration::from_secs(5);

/// The longest body that is held for a person, unless the configuration says otherwise: longer than
/// anybody reads before deciding.
pub const HOLD_DEFAULT_BYTES: u64 = 1024 * 1024;

/// Bytes of all bodies together that wait for a person, for minutes each; beyond it such a request
/// is answered 503. A single one is not allowed to be longer either.
pub const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One in so many exchanges may wait for a person, beyond it 503: the rest is for those that nobody
/// has to decide about.
pub const HELD_SHARE: usize = 4;

/// Requests of one caller that wait at once, beyond it 429: more than reviewers can look at, and too
/// few to take all places.
pub const HELD_PER_CALLER: usize = 16;

/// Clear bytes of one record of the spool: with its seal half of the longest record that a backbone
/// takes.
pub const SPOOL_PIECE_MAX_BYTES: usize = 512 * 1024;

/// Claims whose end waits to be told. Beyond it the approver finds them expired.
pub const CLAIMS_MAX: usize = 1024;

/// How long the reader of decisions waits for one before it asks again: the most that a stop waits
/// for it.
pub const DECISIONS_WAIT: Duration = Duration::from_secs(1);

/// How often, in the time after which a connection counts as stalled, a request that waits says that
/// it does not: a person thinks for longer than a model.
pub const HELD_BEATS: u32 = 4;

/// Bytes read at once from an upgraded connection: with half a character before them they fit in one
/// record.
pub const TUNNEL_READ_BYTES: usize = PIECE_MAX_BYTES - 16;

/// A key or header value from a file.
pub const SECRET_FILE_MAX_BYTES: u64 = 64 * 1024;

/// How long tasks that outlive their requests, and the closings of sessions, may take at the end.
pub const TASKS_DRAIN_WAIT: Duration = Duration::from_secs(2);

/// How long a start waits before it looks for the backbone again.
pub const BACKBONE_RETRY_WAIT: Duration = Duration::from_secs(2);
