//! Places among those who wait for a person. Whoever waits holds an exchange, a connection and a
//! body for minutes, so there are few, and one caller gets few of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use trailgate_schemas::Principal;

use crate::limits::HELD_PER_CALLER;

/// The places of one gateway.
#[derive(Debug)]
pub(super) struct Seats {
    max: usize,
    taken: Mutex<HashMap<Principal, usize>>,
}

/// A place; letting it go frees it.
#[derive(Debug)]
pub(crate) struct Seat {
    who: Principal,
    seats: Arc<Seats>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSeat {
    /// This caller has as many as one may have.
    OfCaller,
    /// All are taken.
    OfAll,
}

impl Seats {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: Mutex::default() })
    }

    pub(super) fn take(self: &Arc<Self>, who: Principal) -> Result<Seat, NoSeat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(&who).copied().unwrap_or(0);
        if own >= HELD_PER_CALLER {
            return Err(NoSeat::OfCaller);
        }
        if all >= self.max {
            return Err(NoSeat::OfAll);
        }
        taken.insert(who.clone(), own + 1);
        drop(taken);
        Ok(Seat { who, seats: Arc::clone(self) })
    }
}

impl Seat {
    /// Who has it.
    pub(crate) const fn who(&self) -> &Principal {
        &self.who
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.who) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(name: &str) -> Principal {
        Principal { issuer: "https://issuer.test".to_owned(), subject: name.to_owned() }
    }

    #[test]
    fn one_caller_has_so_many_places_and_leaves_the_others_to_others() {
        let seats = Seats::new(HELD_PER_CALLER + 1);
        let mut held: Vec<_> =
            (0..HELD_PER_CALLER).map(|_| seats.take(who("a")).unwrap()).collect();
        assert_eq!(seats.take(who("a")).err(), Some(NoSeat::OfCaller));
        held.push(seats.take(who("b")).unwrap());
        assert_eq!(seats.take(who("c")).err(), Some(NoSeat::OfAll));
        held.clear();
        assert!(seats.take(who("a")).is_ok());
        assert!(seats.taken.lock().unwrap().is_empty(), "who left is forgotten");
    }
}
