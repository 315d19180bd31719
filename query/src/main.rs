//! The process of query.

fn main() -> std::process::ExitCode {
    trailgate_service::stage_main("query", trailgate_query::run)
}
