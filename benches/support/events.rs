//! Events as a gateway before agents makes them.

use trailgate_schemas::{
    Actor, AuditEvent, AuthMethod, EventId, Kind, Micros, Outcome, PayloadState, Place, Required,
    Resource, RunId, SessionId, SessionRule, SourceAddress, StreamId, ThreadId,
};
use uuid::Uuid;

/// The `n`th event: a node's end with a payload of about `payload_bytes`.
///
/// # Panics
/// Never: its texts are not empty.
#[must_use]
#[expect(clippy::expect_used, reason = "its texts are not empty")]
pub fn event(n: u64, payload_bytes: usize) -> AuditEvent {
    let id =
        |kind: u128| Uuid::from_u128((u128::from(scatter(n)) << 64) | (kind << 56) | u128::from(n));
    let required = Required {
        actor: Actor::new(format!("user-{}", n % 97)).expect("not empty"),
        kind: Kind::NodeFinished,
        gateway_time: Micros(1_795_000_000_000_000 + n as i64 * 731),
        outcome: Outcome::Succeeded,
        source_address: SourceAddress::new("192.0.2.17").expect("not empty"),
        resource: Resource::new("agents").expect("not empty"),
    };
    let place = Place {
        tenant: "default".to_owned(),
        connection: "agents".to_owned(),
        session_id: SessionId(id(1)),
        session_rule: SessionRule::Thread,
        stream_id: StreamId(id(2)),
        stream_seq: (n % 40) as i64,
    };
    let mut event = AuditEvent::new(EventId(id(3)), required, place);
    event.auth_method = AuthMethod::OidcBearer;
    event.broker_time = Some(Micros(1_795_000_000_000_000 + n as i64 * 731));
    event.thread_id = Some(ThreadId(id(4)));
    event.run_id = Some(RunId(id(5)));
    event.node = Some(["planner", "tools", "finish", "review"][(n % 4) as usize].to_owned());
    event.payload_state = PayloadState::Recorded;
    event.payload_type = Some("application/json".to_owned());
    event.payload = Some(format!(r#"{{"n":{n},"text":"{}"}}"#, seeded_text(n, payload_bytes)));
    event.payload_bytes = i64::try_from(payload_bytes).ok();
    event
}

/// About `bytes` of words, different for each seed.
#[must_use]
pub fn seeded_text(seed: u64, bytes: usize) -> String {
    let mut state = scatter(seed) | 1;
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(WORDS[(state >> 33) as usize % WORDS.len()]);
        text.push(' ');
    }
    text
}

fn scatter(n: u64) -> u64 {
    n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

const WORDS: [&str; 24] = [
    "the", "agent", "calls", "a", "tool", "with", "order", "42", "and", "account", "then", "plans",
    "next", "step", "of", "transfer", "amount", "17.50", "until", "review", "message", "is",
    "done", "result",
];
