//! What a panic does to the process. A test program of its own: the hook is one for all threads.

use std::thread::Builder;

use trailgate_service::{CONTAINED_THREAD, Stop, stop_on_panic, stops_by_panic};

fn panics_on(thread: &str) -> bool {
    let panics = Builder::new().name(thread.to_owned()).spawn(|| panic!("hunter2"));
    panics.is_ok_and(|panics| panics.join().is_err())
}

#[test]
fn a_panic_stops_the_process_unless_its_thread_is_contained() {
    let stop = Stop::new();
    stop_on_panic(&stop);
    assert!(panics_on(&format!("{CONTAINED_THREAD}sql")));
    assert!(!stop.is_asked() && !stops_by_panic());
    assert!(panics_on("listener"));
    assert!(stop.is_asked() && stops_by_panic());
}
