//! Which sessions are open on this gateway. A session's id is a keyed hash that every gateway
//! computes alike; here is only remembered that it was opened, so that its opening and closing are
//! events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use trailgate_schemas::{
    AuditEvent, Kind, Micros, Outcome, Place, Required, Resource, SessionId, SessionRule,
};

use crate::gateway::Gateway;
use crate::journal::{Who, gateway_address};
use crate::limits::{SESSION_IDLE, SESSIONS_MAX};

/// The sessions that are open.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<SessionId, Open>>);

/// What the closing of a session needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) id: SessionId,
    pub(crate) rule: SessionRule,
    pub(crate) tenant: Arc<str>,
    pub(crate) connection: Arc<str>,
}

#[derive(Debug)]
struct Open {
    room: Room,
    last: Micros,
    exchanges: u32,
}

/// Whether a session was open when an exchange entered it.
#[derive(Debug)]
pub(crate) enum Entered {
    /// It was.
    Known,
    /// It is new; another one had to be closed for it if there is one.
    New(Option<Room>),
}

impl Sessions {
    /// An exchange begins.
    pub(crate) fn enter(&self, room: &Room, now: Micros) -> Entered {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.get_mut(&room.id) {
            known.last = now;
            known.exchanges += 1;
            return Entered::Known;
        }
        let evicted = if open.len() >= SESSIONS_MAX { evict(&mut open) } else { None };
        open.insert(room.id, Open { room: room.clone(), last: now, exchanges: 1 });
        Entered::New(evicted)
    }

    /// An exchange ends.
    pub(crate) fn leave(&self, id: SessionId, now: Micros) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.get_mut(&id) {
            known.last = now;
            known.exchanges = known.exchanges.saturating_sub(1);
        }
    }

    /// It ended, or its opening could not be recorded.
    pub(crate) fn forget(&self, id: SessionId) -> Option<Room> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&id).map(|open| open.room)
    }

    /// Those that were silent for too long, now forgotten.
    pub(crate) fn silent(&self, now: Micros) -> Vec<Room> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = open.extract_if(|_, o| o.exchanges == 0 && now.since(o.last) >= SESSION_IDLE);
        gone.map(|(_, open)| open.room).collect()
    }

    /// All of them, now forgotten.
    pub(crate) fn all(&self) -> Vec<Room> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.drain().map(|(_, open)| open.room).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// The longest silent one without an exchange; if all have one, the longest silent of all.
fn evict(open: &mut HashMap<SessionId, Open>) -> Option<Room> {
    let oldest = open.values().min_by_key(|o| (o.exchanges > 0, o.last))?.room.id;
    open.remove(&oldest).map(|open| open.room)
}

/// The event that a session was closed, a stream of its own. `reason` says by what.
pub(crate) fn closed_event(gateway: &Gateway, room: Room, reason: &'static str) -> AuditEvent {
    let who = Who::Gateway;
    let required = Required {
        actor: who.actor(),
        kind: Kind::SessionClosed,
        gateway_time: gateway.clock.now(),
        outcome: Outcome::Succeeded,
        source_address: gateway_address(),
        resource: resource(&room.connection),
    };
    let place = Place {
        tenant: room.tenant.to_string(),
        connection: room.connection.to_string(),
        session_id: room.id,
        session_rule: room.rule,
        stream_id: gateway.ids.stream(),
        stream_seq: 0,
    };
    let mut event = AuditEvent::new(gateway.ids.event(), required, place);
    who.describe(&mut event);
    event.stream_count = Some(1);
    event.reason = Some(reason.to_owned());
    event
}

fn resource(connection: &str) -> Resource {
    Resource::new(connection).unwrap_or_else(|_| unreachable!("a connection's name is never empty"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn room(n: u128) -> Room {
        Room {
            id: SessionId(Uuid::from_u128(n)),
            rule: SessionRule::Caller,
            tenant: "default".into(),
            connection: "tools".into(),
        }
    }

    #[test]
    fn a_session_is_new_once_and_closes_after_its_silence() {
        let sessions = Sessions::default();
        assert!(matches!(sessions.enter(&room(1), Micros(0)), Entered::New(None)));
        assert!(matches!(sessions.enter(&room(1), Micros(1)), Entered::Known));
        let late = Micros(0).plus(SESSION_IDLE * 2);
        sessions.leave(room(1).id, Micros(2));
        assert!(sessions.silent(late).is_empty(), "an exchange is under way");
        sessions.leave(room(1).id, Micros(2));
        assert!(sessions.silent(Micros(3)).is_empty());
        assert_eq!(sessions.silent(late).len(), 1);
        assert!(matches!(sessions.enter(&room(1), late), Entered::New(None)));
    }

    #[test]
    fn beyond_the_bound_the_longest_silent_one_is_closed() {
        let sessions = Sessions::default();
        for n in 0..SESSIONS_MAX as u128 {
            sessions.enter(&room(n), Micros(n as i64));
            sessions.leave(room(n).id, Micros(n as i64));
        }
        let Entered::New(Some(evicted)) = sessions.enter(&room(u128::MAX), Micros(0)) else {
            panic!("one is closed")
        };
        assert_eq!(evicted.id, room(0).id);
        assert_eq!(sessions.count(), SESSIONS_MAX);
    }
}
