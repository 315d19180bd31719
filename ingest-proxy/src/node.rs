//! Events of nodes: what a run's stream told, as records.

use trailgate_schemas::{AuditEvent, Kind, Outcome, PayloadState};

use crate::journal::Journal;
use crate::langgraph::{NodeEvent, NodeKind, NodePayload, OpenTask};
use crate::limits::NODE_PAYLOAD_MAX_BYTES;
use crate::shorten::shorten;

/// The event of a node's start or end.
pub(crate) fn node_event(journal: &Journal, node: NodeEvent) -> AuditEvent {
    let mut event = journal.event(node.kind.kind(), node.kind.outcome());
    event.surface = Some(SURFACE.to_owned());
    event.run_id = Some(node.run_id);
    event.attempt = node.attempt;
    event.graph_id = node.graph_id;
    event.assistant_id = node.assistant_id.or(event.assistant_id);
    event.task_id = Some(node.task_id);
    event.node = Some(node.node);
    event.checkpoint_ns = Some(node.checkpoint_ns);
    if node.kind == NodeKind::Failed {
        event.error = node.error_class;
    }
    add_payload(journal, &mut event, node.payload);
    event
}

/// A node that began and was not seen to end.
pub(crate) fn unfinished_event(journal: &Journal, task: &OpenTask) -> AuditEvent {
    let mut event = journal.event(Kind::Unknown, Outcome::Unknown);
    event.surface = Some(SURFACE.to_owned());
    event.reason = Some("node_end_not_seen".to_owned());
    event.run_id = Some(task.run_id);
    event.attempt = task.attempt;
    event.graph_id.clone_from(&task.graph_id);
    event.assistant_id = task.assistant_id.or(event.assistant_id);
    event.task_id = Some(task.task_id);
    event.node = Some(task.node.clone());
    event.checkpoint_ns = Some(task.checkpoint_ns.clone());
    event
}

/// A frame that should have told of a node, and could not be read.
pub(crate) fn unreadable_event(journal: &Journal) -> AuditEvent {
    let mut event = journal.event(Kind::Gap, Outcome::Unknown);
    event.surface = Some(SURFACE.to_owned());
    event.reason = Some("task_frame_unreadable".to_owned());
    event.count = Some(1);
    event
}

fn add_payload(journal: &Journal, event: &mut AuditEvent, payload: NodePayload) {
    let NodePayload::Json(json) = payload else {
        event.payload_state = PayloadState::BeyondCap;
        return;
    };
    event.payload_type = Some("application/json".to_owned());
    event.payload_bytes = i64::try_from(json.len()).ok();
    let mut digest = journal.gateway().keys.body_digest();
    digest.update(&json);
    event.payload_digest = Some(hex::encode(digest.sign().as_ref()));
    match shorten(&json, NODE_PAYLOAD_MAX_BYTES) {
        Some(fit) => {
            event.payload_state = PayloadState::Recorded;
            event.truncated = fit.is_shortened;
            event.payload = Some(fit.text);
        }
        None => event.payload_state = PayloadState::BeyondCap,
    }
}

/// The surface that told.
const SURFACE: &str = "agent_server";
