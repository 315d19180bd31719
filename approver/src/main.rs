//! The approver's process.

fn main() -> std::process::ExitCode {
    trailgate_service::stage_main("approver", trailgate_approver::run)
}
