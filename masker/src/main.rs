//! The masker's process.

fn main() -> std::process::ExitCode {
    trailgate_service::stage_main("masker", trailgate_masker::run)
}
