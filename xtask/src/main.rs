//! `cargo xtask`: sets up, builds, runs and checks Twine. It depends only on the toolchain, so it
//! builds in seconds, and can be built first on a new machine.
#![forbid(unsafe_code)]

mod bench;
mod check;
mod debian;
mod demo;
mod deny;
mod enclave;
mod fresh;
mod fuzz;
mod guests;
mod hang;
mod install;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod lints;
mod patches;
mod process;
mod published;
mod remap;
mod reproduce;
mod toolchain;

use process::{Failure, Result};
use std::path::{Path, PathBuf};

const HELP: &str = "\
Sets up, builds, runs and checks Twine.

Usage: cargo xtask <COMMAND>

Commands:
  demo       Install what is missing, build the image and the `twine` command, run a program
  test       Check everything: format, lints, tests outside and inside the enclave, documents
  lint       Lint everything, also what is compiled for the enclave alone
  fuzz       Run the fuzz targets, a minute each: `fuzz [--seconds N | --runs N] [TARGET...]`;
             `fuzz --repeat FILE TARGET` runs one input, `fuzz --seeds` writes the seed inputs
  patch      Patch the dependencies that need changes, into target/patched; then plain cargo
             commands work
  program    Build the program of the enclave image, but no image
  deny       Check licences, vulnerabilities, sources and duplicates of dependencies
  image      Build the enclave image and sign it with the development key
  install    Build the command and its images, and install them with manual pages and completions:
             `install [--prefix FOLDER]` (default: ~/.local)
  enclaves   Build the enclaves that only tests run
  guests     Build or download the example programs, into target/guests
  rivals     Build the programs that the benchmarks compare Twine with, into target/rivals
  bench      Measure: `bench paper [--quick]` repeats all experiments, into target/bench;
             `bench compare A.json B.json` shows the differences between two results
  reproduce  Build the image's program again, from scratch in another folder, and compare the
             measurement
  fresh      Run the README's commands in new root folders made by debootstrap, and compare the
             images: `fresh [--demo] [--keep] [bookworm] [trixie]`
  docs       Write the documents that are generated from the source
  help       Show this text
";

/// Returns the folder of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

fn run(arguments: &[String]) -> Result<()> {
    let root = root();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["help" | "--help" | "-h"] | [] = arguments[..] {
        print!("{HELP}");
        return Ok(());
    }
    patches::apply(&root)?;
    match arguments[..] {
        ["patch"] => Ok(()),
        ["program"] => enclave::program(&root).map(drop),
        ["demo"] => demo::run(&root),
        ["test"] => check::everything(&root),
        ["lint"] => check::lint(&root),
        ["deny"] => deny::check(&root),
        ["image"] => enclave::image(&root).map(drop),
        ["install", ref arguments @ ..] => install::run(&root, arguments),
        ["enclaves"] => check::enclaves(&root),
        ["guests"] => guests::all(&root),
        ["rivals"] => guests::rivals::all(&root),
        ["bench", ref arguments @ ..] => bench::run(&root, arguments),
        ["fuzz", ref arguments @ ..] => fuzz::run(&root, arguments),
        ["fresh", ref arguments @ ..] => fresh::run(&root, arguments),
        ["reproduce"] => reproduce::check(&root),
        ["docs"] => check::write_documents(&root),
        _ => Err(Failure::new(format!(
            "no such command: `cargo xtask {}`; `cargo xtask help` lists them",
            arguments.join(" ")
        ))),
    }
}

fn main() {
    let arguments = || std::env::args().skip(1).collect::<Vec<String>>();
    if let Err(failure) = remap::become_compiler().and_then(|()| run(&arguments())) {
        eprintln!("xtask: {failure}");
        std::process::exit(1);
    }
}
