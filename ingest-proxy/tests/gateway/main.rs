//! The gateway between a real client and a real upstream, on loopback, with a recorder that can be
//! slow, stuck or broken.

mod agent_server;
mod agents;
mod callers;
mod http_forms;
mod order;
mod rig;
mod tape;
