//! How long a test waits, and for how much it keeps room.

use std::time::Duration;

/// A real component that is not up by then will not come up: the slowest (Keycloak on two busy cores)
/// takes 60 s.
pub const START_MAX: Duration = Duration::from_secs(180);

/// What a test waits for has happened by then, or never will.
pub const WAIT_MAX: Duration = Duration::from_secs(180);

/// Between two looks at what is waited for.
pub const POLL: Duration = Duration::from_millis(20);

/// How long a child that was asked to end may take before it is killed: longer than a stage drains.
pub const END_MAX: Duration = Duration::from_secs(40);

/// As much of a child's log as a panic message shows.
pub const LOG_TAIL_BYTES: usize = 6_000;

/// Requests that the fake upstream remembers; a test that sends more only counts them.
pub const SEEN_MAX: usize = 10_000;

/// A piece of a body that the fake upstream makes.
pub const PIECE_BYTES: usize = 64 * 1024;

/// Children whose start waits for the nursery's thread.
pub const SPAWNS_WAITING_MAX: usize = 16;

/// Ports are sought here: below Linux's range for outgoing connections (32768 and up), so that none
/// of those takes a port between a component's stop and its restart.
pub const PORTS: std::ops::Range<u16> = 20_000..32_000;
