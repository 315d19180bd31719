//! The gateway's process.

fn main() -> std::process::ExitCode {
    trailgate_service::stage_main("ingest-proxy", trailgate_ingest_proxy::run)
}
