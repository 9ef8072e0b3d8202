//! `twine-oci install` and `uninstall`, which runc does not have.

use crate::containerd::Configuration;
use crate::error::{Error, Result};
use clap::{Args, Parser, Subcommand};
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments that are for this command, and not for runc.
const OWN: [&str; 5] = ["install", "uninstall", "help", "--help", "-h"];

/// An OCI runtime that runs WebAssembly containers in enclaves
///
/// containerd starts twine-oci in place of runc. The container of a WebAssembly program becomes one
/// in which `twine run` runs the program. For all other containers, and for all commands but
/// `install` and `uninstall`, twine-oci becomes runc with the same arguments.
#[derive(Debug, Parser)]
#[command(name = "twine-oci", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add Twine's runtime to the configuration of containerd
    ///
    /// Pods with the RuntimeClass `twine` use it then. Restart containerd afterwards.
    Install(Options),
    /// Remove Twine's runtime from the configuration of containerd
    Uninstall(Options),
}

#[derive(Debug, Args)]
struct Options {
    /// Configuration of containerd
    #[arg(long, value_name = "FILE", default_value = "/etc/containerd/config.toml")]
    config: PathBuf,

    /// Name of the runtime, the `handler` of a RuntimeClass
    #[arg(long, value_name = "NAME", default_value = "twine")]
    name: String,

    /// Print the new configuration, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command if the arguments, without the command's own name, are for it and not for runc.
/// Returns `None` if they are for runc.
pub fn manage(arguments: &[OsString]) -> Option<Result<String>> {
    let first = arguments.first().and_then(|first| first.to_str())?;
    if !OWN.contains(&first) {
        return None;
    }
    let name = OsString::from("twine-oci");
    let arguments = Arguments::parse_from([name].iter().chain(arguments));
    Some(match arguments.command {
        Command::Install(options) => install(&options),
        Command::Uninstall(options) => uninstall(&options),
    })
}

fn install(options: &Options) -> Result<String> {
    let command = env::current_exe()
        .map_err(|source| Error::File { path: "/proc/self/exe".into(), source })?;
    crate::Installation::find()?;
    let mut configuration = Configuration::read(&options.config)?;
    configuration.add(&options.name, &command)?;
    finish(options, &configuration, "has")
}

fn uninstall(options: &Options) -> Result<String> {
    let mut configuration = Configuration::read(&options.config)?;
    if !configuration.remove(&options.name)? {
        return Ok(format!("{} has no runtime {}\n", options.config.display(), options.name));
    }
    finish(options, &configuration, "no longer has")
}

/// Writes the configuration. Returns the text for the user.
fn finish(options: &Options, configuration: &Configuration, has: &str) -> Result<String> {
    if options.dry_run {
        return Ok(configuration.to_string());
    }
    configuration.write()?;
    let (path, name) = (options.config.display(), &options.name);
    Ok(format!(
        "{path} {has} the runtime {name}\nrestart containerd: `systemctl restart containerd`\n"
    ))
}
