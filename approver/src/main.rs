//! The approver's process: there is none yet, and it says so instead of standing idle.

fn main() -> std::process::ExitCode {
    #[expect(clippy::print_stderr, reason = "this is all it does")]
    {
        eprintln!("approver: nothing can be held yet, so there is nothing to approve");
    }
    std::process::ExitCode::FAILURE
}
