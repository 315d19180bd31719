//! `trailgate`: the command line.

mod dev_issuer;
mod files;
mod keys;
mod token;

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
    /// Make or rotate the keys of a deployment.
    Keys(keys::KeysArguments),
    /// Print a token of the development issuer of a `trailgate up` folder.
    Token(token::TokenArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is a command")]
            {
                eprintln!("trailgate: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
