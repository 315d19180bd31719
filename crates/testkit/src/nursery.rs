//! The one thread that every child process is born on.
//!
//! A child must not outlive its test, also when that is killed. On Linux a process can ask to be
//! killed when its parent dies, but the kernel means the parent's *thread*: a child born on a
//! test's own thread would die with that thread, or outlive the process if the thread was gone
//! before. So all are born on one thread that lives as long as the process. Elsewhere there is only
//! [`crate::Child`]'s drop.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::limits::SPAWNS_WAITING_MAX;

struct Birth {
    command: Command,
    born: SyncSender<std::io::Result<Child>>,
}

static NURSERY: OnceLock<SyncSender<Birth>> = OnceLock::new();

/// Starts `command` in a process group of its own, to be killed with this process.
pub(crate) fn spawn(mut command: Command) -> std::io::Result<Child> {
    command.process_group(0);
    die_with_parent(&mut command);
    let (born, child) = sync_channel(1);
    let gone = |_| std::io::Error::other("the nursery's thread ended");
    NURSERY
        .get_or_init(open)
        .send(Birth { command, born })
        .map_err(|_| std::io::Error::other("the nursery's thread ended"))?;
    child.recv().map_err(gone)?
}

fn open() -> SyncSender<Birth> {
    let (sender, births) = sync_channel::<Birth>(SPAWNS_WAITING_MAX);
    std::thread::spawn(move || {
        for Birth { mut command, born } in births {
            // The one who waits is gone only if the whole process ends.
            let _ = born.send(command.spawn());
        }
    });
    sender
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "std has no safe way to set the parent-death signal")]
fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: prctl, getppid and _exit are async-signal-safe, touch no memory of ours and take no
    // lock.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // The parent may have died before the call.
            if u32::try_from(libc::getppid()) != Ok(parent) {
                libc::_exit(1);
            }
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}
