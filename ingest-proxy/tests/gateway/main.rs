//! The gateway between a real client and a real upstream, on loopback, with a recorder that can be
//! slow, stuck or broken.

mod callers;
mod http_forms;
mod order;
mod rig;
mod tape;
