//! Ports for the components under test.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::fail::{OrGiveUp, give_up};
use crate::limits::PORTS;
use crate::parts::Parts;

/// A port of 127.0.0.1 that nobody listens on and that no other test is given while this process
/// lives.
///
/// "Bind 0, read the port, release it" gives a port that an outgoing connection may take a moment
/// later, and a component that is killed and restarted would need to find it free again. So ports
/// come from outside the range of outgoing connections, and each is held by a lock file.
#[must_use]
pub fn free_port() -> u16 {
    let folder = Parts::find().cache.join("ports");
    std::fs::create_dir_all(&folder).or_give_up("making the folder of port locks");
    let count = PORTS.end - PORTS.start;
    let first = random() % count;
    for step in 0..count {
        let port = PORTS.start + (first + step) % count;
        if take(&folder.join(port.to_string())) && is_free(port) {
            return port;
        }
    }
    give_up("looking for a port", &"all are taken")
}

static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

fn take(lock: &PathBuf) -> bool {
    let Ok(file) = File::create(lock) else { return false };
    let taken = file.try_lock().is_ok();
    if taken {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    }
    taken
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[expect(clippy::disallowed_methods, reason = "where the search begins must differ by process")]
fn random() -> u16 {
    let bytes = Uuid::new_v4();
    u16::from_be_bytes([bytes.as_bytes()[0], bytes.as_bytes()[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let mut ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
