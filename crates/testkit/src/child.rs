//! A process that a test started: paused, killed, restarted at will, and gone with the test.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::fail::{OrGiveUp, give_up};
use crate::limits::{END_MAX, LOG_TAIL_BYTES, POLL, START_MAX};
use crate::nursery;

/// A child process in a group of its own. What it prints goes to a log file, whose end every panic
/// message about it shows. Dropping it kills the group; so does the end of the test's process.
#[derive(Debug)]
pub struct Child {
    name: String,
    log: PathBuf,
    process: std::process::Child,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts `command`; both its outputs are appended to `log`.
    #[must_use]
    pub fn start(name: &str, command: Command, log: &Path) -> Self {
        let output = append(log);
        let errors = output.try_clone().or_give_up("sharing a log file");
        Self::start_with(name, command, log, (output, errors))
    }

    /// Starts `command`; its standard output goes to a file of its own, its errors to `log`.
    #[must_use]
    pub fn start_with_output(name: &str, command: Command, output: &Path, log: &Path) -> Self {
        Self::start_with(name, command, log, (append(output), append(log)))
    }

    fn start_with(
        name: &str,
        mut command: Command,
        log: &Path,
        (output, errors): (File, File),
    ) -> Self {
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let process = nursery::spawn(command).or_give_up(&format!("starting {name}"));
        Self { name: name.to_owned(), log: log.to_owned(), process, ended: None }
    }

    /// Its process id, also its group's.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.process.try_wait().or_give_up("asking after a child");
        }
        self.ended
    }

    /// Ends the test if the child is no more, showing the end of its log.
    #[track_caller]
    pub fn must_live(&mut self) {
        if let Some(status) = self.ended() {
            self.complain(&format!("ended by itself ({status})"));
        }
    }

    /// Ends the test with `problem` and the end of the child's log.
    #[track_caller]
    pub fn complain(&self, problem: &str) -> ! {
        give_up(&self.name, &format!("{problem}; the end of its log:\n{}", self.log_tail()))
    }

    /// Polls `is_ready` until it says yes; ends the test with the end of the log if the child ends
    /// before, or is not ready in [`START_MAX`].
    pub(crate) async fn await_ready(&mut self, mut is_ready: impl AsyncFnMut(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + START_MAX;
        loop {
            self.must_live();
            match tokio::time::timeout_at(deadline, is_ready(self)).await {
                Ok(true) => return,
                Ok(false) => tokio::time::sleep(POLL).await,
                Err(_) => self.complain("does not even answer whether it is ready"),
            }
            if tokio::time::Instant::now() >= deadline {
                self.complain("is not ready in time");
            }
        }
    }

    /// Kills it at once, as `kill -9` does, and its whole group.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.signal(libc::SIGKILL);
            self.ended = self.process.wait().ok();
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has; ends the test if it does not.
    pub async fn terminate(&mut self) -> ExitStatus {
        if self.ended().is_none() {
            self.signal(libc::SIGTERM);
        }
        self.end_within(END_MAX, "did not end when asked to").await
    }

    /// Waits until it has ended by itself; ends the test with the end of the log if it does not.
    pub(crate) async fn await_end(&mut self) -> ExitStatus {
        self.end_within(END_MAX, "did not end by itself").await
    }

    async fn end_within(&mut self, patience: Duration, problem: &str) -> ExitStatus {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            if tokio::time::Instant::now() >= deadline {
                self.complain(problem);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Stops it where it is (SIGSTOP): it holds what it holds and answers nothing.
    pub fn pause(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Lets it go on after [`Child::pause`].
    pub fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    /// The memory it holds now, from `/proc`.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most memory it has held since it began or since [`Child::forget_peak`].
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Begins a new measurement of [`Child::peak_bytes`].
    pub fn forget_peak(&self) {
        let file = format!("/proc/{}/clear_refs", self.pid());
        std::fs::write(file, "5").or_give_up("forgetting the peak of memory");
    }

    /// The whole log so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Where the log is.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// The end of the log, for a person.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let mut from = log.len().saturating_sub(LOG_TAIL_BYTES);
        while !log.is_char_boundary(from) {
            from += 1;
        }
        log[from..].to_owned()
    }

    fn memory(&self, key: &str) -> u64 {
        let file = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(file).or_give_up("reading a child's memory");
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.or_give_up("reading a child's memory") * 1024
    }

    #[expect(unsafe_code, reason = "std can only kill, and only one process")]
    fn signal(&self, signal: libc::c_int) {
        if self.ended.is_some() {
            return;
        }
        let group = libc::pid_t::try_from(self.pid()).or_give_up("a process id");
        // SAFETY: a plain system call. The child has not been waited for, so its id, which is its
        // group's, is not another's.
        unsafe {
            libc::killpg(group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn append(file: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(file).or_give_up("opening a log file")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Child) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let child = Child::start("shell", command, &folder.path().join("log"));
        (folder, child)
    }

    #[tokio::test]
    async fn dropping_a_child_kills_its_whole_group() {
        let (folder, child) = shell("sleep 600 & echo $!; wait");
        let inner = crate::until("the inner process", async || {
            child.log().lines().next().and_then(|line| line.parse::<u32>().ok())
        })
        .await;
        drop(child);
        crate::until("its end", async || is_gone(inner).then_some(())).await;
        drop(folder);
    }

    #[tokio::test]
    async fn a_killed_test_process_takes_its_children_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut test = Command::new(std::env::current_exe().unwrap());
        let inner = "child::tests::starts_a_child_and_waits_to_be_killed";
        test.args(["--ignored", "--exact", inner, "--nocapture"]);
        let mut test = Child::start("inner test", test, &folder.path().join("log"));
        let child = crate::until("the inner test's child", async || {
            test.log().lines().find_map(|line| line.strip_prefix("child ")?.parse::<u32>().ok())
        })
        .await;
        assert!(!is_gone(child));
        // Its group would not reach the child, which has one of its own.
        test.kill();
        crate::until("the child's end", async || is_gone(child).then_some(())).await;
    }

    #[test]
    #[ignore = "is the process that another test kills"]
    fn starts_a_child_and_waits_to_be_killed() {
        let (_folder, mut child) = shell("sleep 600");
        println!("\nchild {}", child.pid());
        child.process.wait().unwrap();
    }

    // Killed and not yet waited for by init is gone, too.
    fn is_gone(pid: u32) -> bool {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => true,
            Ok(stat) => stat.contains(") Z "),
        }
    }

    #[tokio::test]
    async fn a_paused_child_goes_on_only_when_it_is_resumed() {
        let (_folder, mut child) =
            shell("read x < /dev/null; trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done");
        crate::until("its start", async || child.log().contains("up").then_some(())).await;
        child.pause();
        child.signal(libc::SIGTERM);
        assert!(child.ended().is_none());
        child.resume();
        assert_eq!(child.terminate().await.code(), Some(7));
    }

    #[test]
    #[should_panic(expected = "last words")]
    fn a_child_that_ended_by_itself_shows_its_log() {
        let (_folder, mut child) = shell("echo last words; exit 3");
        child.process.wait().unwrap();
        child.must_live();
    }
}
