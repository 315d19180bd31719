//! The archiver as a process: `trailgate-archiver --config FILE`.

use std::process::ExitCode;

use trailgate_archiver::run;
use trailgate_service::stage_main;

fn main() -> ExitCode {
    stage_main("archiver", run)
}
