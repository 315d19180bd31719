//! How many connections each source address has open at a listener. It is bounded, so that one
//! caller can't take every place from the others. Of IPv6 the first 64 bits are one source: whoever
//! has one address there has them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The open connections by source address; as many entries as there are connections at most.
#[derive(Clone, Debug)]
pub struct Sources {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    max: usize,
}

/// A connection's place among those of its source; it is free again when this is dropped.
#[derive(Debug)]
pub struct SourcePlace {
    sources: Sources,
    source: IpAddr,
}

impl Sources {
    /// So many for each.
    #[must_use]
    pub fn of_each(max: usize) -> Self {
        Self { open: Arc::default(), max }
    }

    /// A place, if the source has one left.
    #[must_use]
    pub fn enter(&self, source: IpAddr) -> Option<SourcePlace> {
        let source = network(source);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&source).copied().unwrap_or(0);
        if count >= self.max {
            return None;
        }
        open.insert(source, count + 1);
        Some(SourcePlace { sources: self.clone(), source })
    }
}

fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

impl Drop for SourcePlace {
    fn drop(&mut self) {
        let mut open = self.sources.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_so_many_places_and_takes_none_from_another() {
        let sources = Sources::of_each(2);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let first = sources.enter(one).unwrap();
        let _second = sources.enter("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(sources.enter(one).is_none());
        let place = sources.enter(other).unwrap();
        drop(first);
        assert!(sources.enter(one).is_some());
        drop(place);
        assert_eq!(sources.open.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let sources = Sources::of_each(1);
        let [one, same, other] = ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"]
            .map(|text| text.parse().unwrap());
        let _place = sources.enter(one).unwrap();
        assert!(sources.enter(same).is_none());
        assert!(sources.enter(other).is_some());
    }
}
