#![doc = include_str!("../README.md")]

mod approvals;
mod dev_issuer;
mod files;
mod keys;
mod place;
mod refused;
mod sql;
mod terminal;
mod token;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An open audit gateway for LangGraph agents.
#[derive(Parser)]
#[command(name = "trailgate", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all stages in one process, with everything in one folder.
    Up(up::UpArguments),
    /// Ask the trail in SQL.
    Sql(sql::SqlArguments),
    /// See held operations and decide them.
    Approvals(approvals::ApprovalsArguments),
    /// See what the masker could not take, and send it again.
    Refused(refused::RefusedArguments),
    /// Make or rotate the keys of a deployment.
    Keys(keys::KeysArguments),
    /// Print a token of the development issuer of a `trailgate up` folder.
    Token(token::TokenArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Sql(arguments) => sql::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Approvals(arguments) => approvals::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Refused(arguments) => refused::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Keys(arguments) => keys::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Token(arguments) => token::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is a command")]
            {
                eprintln!("trailgate: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
