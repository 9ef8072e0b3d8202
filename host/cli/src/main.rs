//! The `twine` command.
#![forbid(unsafe_code)]

mod cache;
mod collateral;
mod compile;
mod custody;
mod evidence;
mod failure;
mod formers;
mod hash_cache;
mod host;
mod image;
mod info;
mod input;
mod key;
mod key_command;
mod locate;
mod manifest;
mod manual;
mod measure;
mod memory;
mod mounts;
mod oci;
mod options;
mod output;
mod owner_key;
mod peer;
mod policy;
mod print;
mod program;
mod prover;
mod remote;
mod report;
mod run;
mod signals;
mod size;
mod sqlite;
mod terminal;
mod variables;
mod verify;
mod volume;
mod xdg;

use clap::{Parser, Subcommand};
use failure::Failure;
use key::key_forms;
use std::env;
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;

/// Runs unmodified WebAssembly programs inside Intel SGX enclaves.
///
/// A program is a WebAssembly command for WASI preview 1: the output of a compiler for the target
/// wasm32-wasip1. It runs inside an enclave, whose memory the machine's owner can neither read nor
/// change. On a machine without SGX, the same enclave runs on software SGX, which protects nothing;
/// Twine says so when it uses it.
#[derive(Debug, Parser)]
#[command(name = "twine", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a program in an enclave
    ///
    /// Without --manifest, whoever runs this command sets all terms: arguments, mounts and their
    /// keys, input. Sealed volumes then protect data at rest, and not from whoever may run `twine`
    /// on this machine.
    Run(Box<run::Arguments>),
    /// Run SQLite's shell on a database in a protected volume
    ///
    /// The volume protects the database at rest: in a copy of the file, or on a disk that is taken
    /// away. It does not protect it from whoever may run `twine` on this machine: they open a sealed
    /// volume as you do. A key file or a passphrase that is kept elsewhere does.
    Sqlite(Box<sqlite::Arguments>),
    /// Create, inspect, fill, check and re-key protected volumes
    #[command(
        subcommand,
        long_about = concat!(
            "Create, inspect, fill, check and re-key protected volumes\n\n\
             The enclave does all work: keys and contents never leave it, except for output and \
             files that are copied out. KEY is ",
            key_forms!(),
            ". A volume that is sealed to one program opens for that program alone, and not for \
             these commands; give it a passphrase or a key file too."
        )
    )]
    Volume(Box<volume::Command>),
    /// Show whether this machine can use SGX, and which images are installed
    Info(info::Arguments),
    /// Show the measurements of a program and of the image that it runs in
    Measure(measure::Arguments),
    /// Compile a program ahead of its first start
    Compile(compile::Arguments),
    /// List or delete the compiled code of earlier runs
    #[command(subcommand)]
    Cache(cache::Command),
    /// Build, sign, measure and inspect enclave images
    #[command(subcommand)]
    Image(image::Command),
    /// Verify evidence of a launch, a certificate with evidence, or a quote, by a policy
    Verify(verify::Arguments),
    /// Write policies for `twine verify`
    #[command(subcommand)]
    Policy(policy::Command),
    /// Write, check, sign and show manifests: what an owner allows to be launched
    #[command(subcommand)]
    Manifest(manifest::Command),
    /// Make the key of an owner, who signs manifests, and show its public part
    #[command(subcommand)]
    Key(key_command::Command),
    /// Hold deployments of owners elsewhere, in one enclave
    ///
    /// The enclave proves to each owner what it is before it gets anything, does what the owner's
    /// signed manifest says, and gives this machine nothing of it. Stop it with SIGTERM. Its log goes
    /// to the standard error, with priorities as journald takes them.
    Host(host::Arguments),
    /// Run a program on a host that is not trusted, as a signed manifest says
    ///
    /// The enclave of the host is verified first, by what the manifest demands. Then it gets the
    /// manifest, the program and the secrets, and the program's streams lead here. If the connection
    /// is lost, it is made again, and nothing of the streams is lost.
    Deploy(remote::Deploy),
    /// Replace the version of a deployment that runs: `twine deploy --replace`
    ///
    /// The program that runs ends first, because both use the same volumes. A deployment that does not
    /// run is started.
    Update(remote::Update),
    /// List the deployments on a host that the key may look at
    Ps(remote::Ps),
    /// Print what a deployment has written to its streams
    Logs(remote::Logs),
    /// Connect the streams of this command to a deployment
    Attach(remote::Attach),
    /// Stop a deployment
    Stop(remote::Stop),
    /// Remove a deployment that has ended
    Rm(remote::Remove),
    /// Build OCI images from programs
    #[command(subcommand)]
    Oci(oci::Command),
    /// Print completions for a shell
    Completions(manual::Completions),
    /// Print a manual page, for `man -l -`, or write all of them to a folder
    Man(manual::Man),
}

/// Memory that a backtrace may take, in bytes. Most of it is for the debug information.
const BACKTRACE_MEMORY: usize = 64 << 20;

fn main() -> ExitCode {
    twine_host::prepare();
    let backtrace = env::var_os("RUST_BACKTRACE").map(|_| panic::take_hook());
    panic::set_hook(Box::new(move |panic| match &backtrace {
        // The standard library hangs if memory runs out while it writes a backtrace.
        Some(hook) if twine_host::has_memory(BACKTRACE_MEMORY) => hook(panic),
        _ => report_panic(panic),
    }));
    twine_host::on_a_large_stack(command).unwrap_or_else(|error| Failure::from(error).show())
}

/// Reports a panic in the form of all other failures.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(|location| format!(" at {location}")).unwrap_or_default();
    let cause = panic.payload_as_str().unwrap_or("unknown").replace('\n', " ");
    Failure::new(
        format!("the command panicked{location}: {cause}"),
        "this is a bug in Twine: please report it with the command",
    )
    .show();
}

fn command() -> ExitCode {
    let given = sqlite::arrange(env::args_os().collect());
    let arguments = match Arguments::try_parse_from(given) {
        Ok(arguments) => arguments,
        // This is wrong usage, or the output of --help or --version.
        Err(error) => return usage(&error),
    };
    // SQLite's shell makes a line editor first. A host ends its programs first.
    if !matches!(arguments.command, Command::Sqlite(_) | Command::Host(_)) {
        signals::end_first_process();
    }
    let result = match arguments.command {
        Command::Run(arguments) => run::run(*arguments),
        Command::Sqlite(arguments) => sqlite::run(*arguments),
        Command::Volume(command) => volume::run(*command),
        Command::Info(arguments) => info::run(&arguments),
        Command::Measure(arguments) => measure::run(&arguments),
        Command::Compile(arguments) => compile::run(&arguments),
        Command::Cache(command) => cache::run(&command),
        Command::Image(command) => image::run(command),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Policy(command) => policy::run(&command),
        Command::Manifest(command) => manifest::run(command),
        Command::Key(command) => key_command::run(&command),
        Command::Host(arguments) => host::run(arguments),
        Command::Deploy(arguments) => remote::deploy(arguments),
        Command::Update(arguments) => remote::update(arguments),
        Command::Ps(arguments) => remote::ps(arguments),
        Command::Logs(arguments) => remote::logs(arguments),
        Command::Attach(arguments) => remote::attach(arguments),
        Command::Stop(arguments) => remote::stop(arguments),
        Command::Rm(arguments) => remote::remove(arguments),
        Command::Oci(command) => oci::run(command),
        Command::Completions(arguments) => Ok(manual::completions(&arguments)),
        Command::Man(arguments) => manual::man(&arguments),
    };
    match result {
        // Only the first failure is reported.
        Err(failure) => {
            let _ = print::finish();
            failure.show()
        }
        Ok(code) => finish(code),
    }
}

/// Flushes the standard output. The exit code is `code` if all of it was written.
fn finish(code: ExitCode) -> ExitCode {
    print::finish().map_or_else(|error| Failure::of_stdout(&error).show(), |()| code)
}

fn usage(error: &clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX));
    print::check(error.print());
    finish(code)
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
