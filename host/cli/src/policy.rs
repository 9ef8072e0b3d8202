//! `twine policy`.

use crate::failure::Failure;
use crate::input;
use crate::locate;
use crate::output::{not_new, write_new};
use crate::print::print_line;
use crate::program::Program;
use clap::{Args, Subcommand, ValueEnum};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twine_evidence::bytes::{Digest, to_hex};
use twine_evidence::signed::{MAX_BYTES, Signed};
use twine_host::Tee;
use twine_image::inspect_file;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a policy with comments, for the image and the program or manifest that are to run
    Init(Init),
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Program that is to run: a .wasm or .wat file
    #[arg(required_unless_present = "manifest")]
    program: Option<PathBuf>,

    /// Signed manifest that is to run; its owner, name and version are demanded
    #[arg(long, value_name = "FILE", conflicts_with = "program")]
    manifest: Option<PathBuf>,

    /// Enclave image that is to run [default: the installed image that fits the program]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// Root of trust: Intel's, for hardware, or that of the simulation, which protects nothing
    #[arg(long, value_enum, default_value = "intel")]
    root: RootName,

    /// File to write, which must not exist [default: the standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RootName {
    Intel,
    Simulation,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    let Command::Init(arguments) = command;
    let (launch, size) = match (&arguments.program, &arguments.manifest) {
        (_, Some(manifest)) => (of_manifest(manifest)?, 0),
        (Some(program), None) => of_program(program)?,
        (None, None) => unreachable!("clap requires one of them"),
    };
    let image = locate::image(arguments.image.clone(), size, Tee::Auto.choose()?)?;
    let image = inspect_file(image.path())?;
    let signer = image.signature.as_ref().map(|signature| signature.mrsigner.to_string());
    let text = text(arguments.root, &image.mrenclave.to_string(), signer.as_deref(), &launch);
    match &arguments.output {
        None => {
            print_line!("{}", text.trim_end());
        }
        Some(path) => {
            write_new(path, text.as_bytes(), 0o666)
                .map_err(|error| not_new(path, &error, "name another file: --output FILE"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the table `[launch]` for a program, and the program's size in bytes.
fn of_program(path: &Path) -> Result<(String, usize), Failure> {
    let program = Program::read(path)?;
    let size = program.len();
    let sha256 = program.sha256().map_err(|error| {
        Failure::system(
            format!("{} can't be read: {error}", path.display()),
            &error,
            "check the path and its permissions",
        )
    })?;
    let text = format!(
        "# The SHA-256 of the program's file. The statement has more: arguments, environment, \
         mounts.\n# To demand all of them, verify evidence of a launch once, and name it here:\n\
         # launches = [\"<the hash that `twine verify` prints>\"]\n\
         programs = [\"{}\"]\n",
        to_hex(&sha256)
    );
    Ok((text, size))
}

/// Returns the table `[launch]` for a signed manifest.
fn of_manifest(path: &Path) -> Result<String, Failure> {
    let bytes = input::whole(path, MAX_BYTES)?;
    let signed = Signed::open(&bytes).map_err(|error| {
        Failure::new(
            format!("{}: {error}", path.display()),
            "name the manifest that `twine manifest sign` wrote",
        )
    })?;
    let manifest = signed.manifest();
    Ok(format!(
        "# The owner who signed the manifest: the SHA-256 of the public key.\n\
         owners = [\"{}\"]\n\
         # The deployment's name, and the least version of its manifest.\n\
         name = \"{}\"\n\
         least-version = {}\n\
         generation = {}\n\
         # To demand this very manifest:\n\
         # manifests = [\"{}\"]\n",
        signed.owner().id(),
        manifest.name,
        manifest.version,
        manifest.generation,
        Digest::of(&manifest.encode()),
    ))
}

fn text(root: RootName, measurement: &str, signer: Option<&str>, launch: &str) -> String {
    let mut text =
        String::from("# What `twine verify` accepts. docs/verifying.md describes each key.\n\n");
    let root = match root {
        RootName::Intel => "# Intel's root: hardware.\nroot = \"intel\"\n",
        RootName::Simulation => {
            "# The root of the simulation: everybody can sign under it. It protects nothing.\n\
             root = \"simulation\"\n"
        }
    };
    let signer = match signer {
        Some(signer) => format!("# signers = [\"{signer}\"]\n# product-id = 1\n# least-svn = 1\n"),
        None => String::new(),
    };
    let _ = write!(
        text,
        "{root}\n\
         [enclave]\n\
         # MRENCLAVE of the image. To accept newer images of its signer, name the signer instead.\n\
         measurements = [\"{measurement}\"]\n\
         {signer}\n\
         [launch]\n\
         {launch}\n\
         [tcb]\n\
         # What Intel says of the platform's firmware. Read the advisories before you accept more.\n\
         statuses = [\"UpToDate\", \"SWHardeningNeeded\"]\n\
         # accepted-advisories = [\"INTEL-SA-00615\"]\n\
         # least-evaluation-number = 17\n\
         \n\
         [collateral]\n\
         # How old the platform's collateral may be, and how early its end is announced, in days.\n\
         most-days = 30\n\
         warning-days = 7\n\
         \n\
         [platform]\n\
         # Machines: without them, evidence of any genuine machine is accepted, also of one in other\n\
         # hands. `twine verify` prints the hash.\n\
         # ppid-hashes = [\"...\"]\n"
    );
    text
}
