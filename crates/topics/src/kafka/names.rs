//! Names in groups that consumers of this process hold. A name that is taken again while its last
//! consumer still closes would fence it, and its last commit would be lost.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::failure::broken;
use super::limits;
use crate::backbone::BackboneError;

/// The names that are held.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<Held>);

#[derive(Default)]
struct Held {
    names: Mutex<BTreeSet<(String, String)>>,
    freed: Condvar,
}

/// A name that is held. Dropped, it is free.
pub(super) struct Name {
    names: Names,
    name: (String, String),
}

impl Names {
    /// Waits until the name is free, and holds it.
    ///
    /// # Errors
    /// If it stays taken: two consumers of this process are given one name.
    pub(super) fn take(&self, group: &str, instance: &str) -> Result<Name, BackboneError> {
        let name = (group.to_owned(), instance.to_owned());
        let names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            self.0.freed.wait_timeout_while(names, limits::NAME_WAIT, |held| held.contains(&name));
        let (mut names, late) = waited.unwrap_or_else(PoisonError::into_inner);
        if late.timed_out() {
            return Err(broken("another consumer of this process has this name"));
        }
        names.insert(name.clone());
        Ok(Name { names: self.clone(), name })
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let held = &self.names.0;
        held.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        held.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_waited_for() {
        let names = Names::default();
        let first = names.take("group", "a").unwrap();
        let other = names.take("group", "b").unwrap();
        let waiting = names.clone();
        let second = std::thread::spawn(move || waiting.take("group", "a").map(drop));
        drop((first, other));
        assert_eq!(second.join().unwrap(), Ok(()));
    }
}
