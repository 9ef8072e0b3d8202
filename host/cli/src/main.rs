//! The `twine` command.
#![forbid(unsafe_code)]

mod cache;
mod compile;
mod failure;
mod hash_cache;
mod image;
mod info;
mod init;
mod key;
mod locate;
mod manual;
mod measure;
mod mounts;
mod options;
mod print;
mod program;
mod room;
mod run;
mod signals;
mod size;
mod sqlite;
mod terminal;
mod volume;
mod xdg;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::env;
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;

/// Runs unmodified WebAssembly programs inside Intel SGX enclaves.
///
/// A program is a WebAssembly command for WASI preview 1, as compilers make it for the target
/// wasm32-wasip1. It runs inside an enclave, where the machine's owner can neither read nor
/// change it. On a machine without SGX the very same enclave runs on software SGX, which
/// protects nothing and says so.
#[derive(Debug, Parser)]
#[command(name = "twine", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a program in an enclave
    Run(run::Arguments),
    /// Run SQLite's shell on a database in a protected volume
    Sqlite(sqlite::Arguments),
    /// Make, look into, fill, check and re-key protected volumes
    #[command(subcommand)]
    Volume(Box<volume::Command>),
    /// Show what this machine offers, and why SGX is not used if it is not
    Info(info::Arguments),
    /// Show the identity under which a program and the image will be known
    Measure(measure::Arguments),
    /// Compile a program ahead of its first start, and keep its code, sealed
    Compile(compile::Arguments),
    /// Show or forget the compiled code that is kept, sealed, from earlier runs
    #[command(subcommand)]
    Cache(cache::Command),
    /// Build, sign, measure and inspect enclave images
    #[command(subcommand)]
    Image(image::Command),
    /// Print the completions of commands and options for a shell
    Completions(manual::Completions),
    /// Print a page of the manual, for `man -l -`, or write all of them
    Man(manual::Man),
}

/// Memory that a backtrace may take, in bytes: what names the functions is read for it.
const BACKTRACE: usize = 64 << 20;

fn main() -> ExitCode {
    twine_host::prepare();
    init::handle_signals_as_init();
    let backtrace = env::var_os("RUST_BACKTRACE").map(|_| panic::take_hook());
    panic::set_hook(Box::new(move |panic| match &backtrace {
        // The standard library waits for ever if memory ends while it writes a backtrace.
        Some(tell) if twine_host::has_memory(BACKTRACE) => tell(panic),
        _ => tell_panic(panic),
    }));
    twine_host::on_a_large_stack(command).unwrap_or_else(|error| Failure::from(error).show())
}

/// What is no fault of a user's is told in the same form as all else.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let cause = panic.payload_as_str().unwrap_or("unknown").replace('\n', " ");
    Failure::new(
        format!("the command stopped{place}: {cause}"),
        "this is a fault of Twine's: please report it with the command",
    )
    .show();
}

fn command() -> ExitCode {
    let given = sqlite::arrange(env::args_os().collect());
    let arguments = match Arguments::try_parse_from(given) {
        Ok(arguments) => arguments,
        // Wrong usage, or the answer to --help or --version.
        Err(error) => return usage(&error),
    };
    let result = match arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Sqlite(arguments) => sqlite::run(arguments),
        Command::Volume(command) => volume::run(*command),
        Command::Info(arguments) => info::run(&arguments),
        Command::Measure(arguments) => measure::run(&arguments),
        Command::Compile(arguments) => compile::run(&arguments),
        Command::Cache(command) => cache::run(&command),
        Command::Image(command) => image::run(command),
        Command::Completions(arguments) => Ok(manual::completions(&arguments)),
        Command::Man(arguments) => manual::man(&arguments),
    };
    let printed = print::finish();
    match result {
        // The first failure is the one to be told.
        Err(failure) => failure.show(),
        Ok(code) => printed.map_or_else(|failure| failure.show(), |()| code),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX));
    print::note(error.print());
    print::finish().map_or_else(|failure| failure.show(), |()| code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_and_options_are_consistent() {
        Arguments::command().debug_assert();
    }
}
