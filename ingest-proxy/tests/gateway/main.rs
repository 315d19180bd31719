//! The gateway between a real client and a real upstream, on loopback, with a recorder that can be
//! slow, stuck or broken.

#![expect(clippy::unwrap_used, reason = "a test that can't go on ends")]

mod agent_server;
mod agents;
mod broken_off;
mod callers;
mod desk;
mod holds;
mod holds_fail;
mod http_forms;
mod order;
mod rig;
mod tape;
mod tls;
