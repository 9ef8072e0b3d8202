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
use twine_evidence::manifest::AllowedImage;
use twine_evidence::signed::{MAX_BYTES, Signed};
use twine_host::{Image, Tee};
use twine_image::inspect_file;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a policy with comments, for the image and the program or manifest that are to run, or
    /// for a host of deployments
    Init(Init),
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Program that is to run: a .wasm or .wat file
    #[arg(required_unless_present_any = ["manifest", "host"])]
    program: Option<PathBuf>,

    /// Signed manifest that is to run; its owner, name and version are demanded, and its images
    #[arg(long, value_name = "FILE", conflicts_with = "program")]
    manifest: Option<PathBuf>,

    /// Demand an enclave that waits for deployments (`twine host`), and runs no program itself
    #[arg(long, conflicts_with_all = ["program", "manifest"])]
    host: bool,

    /// Demand evidence that the program asked for while it runs, for what it says to its peers
    #[arg(long, conflicts_with = "host")]
    guest: bool,

    /// Enclave image that is to run [default: the installed image that fits the program]
    #[arg(long, value_name = "FILE", conflicts_with = "manifest")]
    image: Option<PathBuf>,

    /// Root of trust: Intel's, for hardware, or that of the simulation, which protects nothing
    #[arg(long, value_enum, default_value = "intel")]
    root: RootName,

    /// File to write, which must not exist [default: the standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A root of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RootName {
    Intel,
    Simulation,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    let Command::Init(arguments) = command;
    let (enclave, launch) = match (&arguments.program, &arguments.manifest) {
        _ if arguments.host => of_host(arguments.image.clone())?,
        (_, Some(manifest)) => of_manifest(manifest)?,
        (Some(program), None) => of_program(program, arguments.image.clone())?,
        (None, None) => unreachable!("clap requires one of them"),
    };
    let launch = match arguments.guest {
        true => format!("# What the program says of itself.\nkind = \"guest\"\n{launch}"),
        false => launch,
    };
    let text = text(arguments.root, &enclave, &launch);
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

/// Returns the contents of the tables `[enclave]` and `[launch]` for a program, in the image that is
/// named or installed.
fn of_program(path: &Path, image: Option<PathBuf>) -> Result<(String, String), Failure> {
    let program = Program::read(path)?;
    program.check_format(path)?;
    let image = locate::image(image, program.len(), Tee::Auto.choose()?)?;
    let sha256 = program.sha256().map_err(|error| Failure::unreadable(path, &error))?;
    let launch = format!(
        "# The SHA-256 of the program's file. The statement has more: arguments, environment, \
         mounts.\n# To demand all of them, verify evidence of a launch once, and name it here:\n\
         # launches = [\"<the hash that `twine verify` prints>\"]\n\
         programs = [\"{}\"]\n",
        to_hex(&sha256)
    );
    Ok((of_image(&image)?, launch))
}

/// Returns the contents of the tables `[enclave]` and `[launch]` for an enclave that waits for
/// deployments, of the image that is named or installed.
fn of_host(image: Option<PathBuf>) -> Result<(String, String), Failure> {
    let image = locate::host_image(image)?;
    let launch = "# An enclave that waits for deployments.\nkind = \"host\"\n";
    Ok((of_image(&image)?, launch.into()))
}

/// Returns the contents of the table `[enclave]` for an image.
fn of_image(image: &Image) -> Result<String, Failure> {
    let image = inspect_file(image.path())?;
    let mut enclave = format!(
        "# MRENCLAVE of the image. To accept newer images of its signer, name the signer instead.\n\
         measurements = [\"{}\"]\n",
        image.mrenclave
    );
    if let Some(signature) = &image.signature {
        let signer = signature.mrsigner;
        enclave += &format!("# signers = [\"{signer}\"]\n# product-id = 1\n# least-svn = 1\n");
    }
    Ok(enclave)
}

/// Returns the contents of the tables `[enclave]` and `[launch]` for a signed manifest.
fn of_manifest(path: &Path) -> Result<(String, String), Failure> {
    let bytes = input::whole(path, MAX_BYTES)?;
    let signed = Signed::open(&bytes).map_err(|error| {
        Failure::new(
            format!("{}: {error}", path.display()),
            "name the manifest that `twine manifest sign` wrote",
        )
    })?;
    let manifest = signed.manifest();
    let enclave = of_images(&manifest.images).ok_or_else(|| {
        Failure::new(
            format!("{}: no policy can name these images: they differ in keys", path.display()),
            "give each of [[images]] a measurement, or the same product and min-svn to each signer",
        )
    })?;
    let launch = format!(
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
    );
    Ok((enclave, launch))
}

/// Returns the contents of the table `[enclave]` for the images that a manifest allows. `None` if no
/// policy can say the same: each key of a policy holds for all images.
fn of_images(images: &[AllowedImage]) -> Option<String> {
    let all = |field: fn(&AllowedImage) -> Option<Digest>| {
        images.iter().map(field).collect::<Option<Vec<_>>>()
    };
    let measurements = all(|image| image.measurement);
    let signers = all(|image| image.signer);
    let [first, rest @ ..] = images else { return None };
    let product = first.product.filter(|_| rest.iter().all(|i| i.product == first.product));
    let svn = first.min_svn.filter(|_| rest.iter().all(|i| i.min_svn == first.min_svn));
    let is_alike = rest.iter().all(|i| (i.product, i.min_svn) == (first.product, first.min_svn));
    // A measurement leaves nothing open that product and SVN could decide.
    if measurements.is_none() && (signers.is_none() || !is_alike) {
        return None;
    }
    let list = |digests: Vec<Digest>| {
        let quoted: Vec<_> = digests.iter().map(|digest| format!("\"{digest}\"")).collect();
        quoted.join(", ")
    };
    let lines = [
        Some("# The images that the manifest allows.".to_owned()),
        measurements.map(|digests| format!("measurements = [{}]", list(digests))),
        signers.map(|digests| format!("signers = [{}]", list(digests))),
        product.map(|product| format!("product-id = {product}")),
        svn.map(|svn| format!("least-svn = {svn}")),
    ];
    Some(lines.into_iter().flatten().map(|line| line + "\n").collect())
}

fn text(root: RootName, enclave: &str, launch: &str) -> String {
    let mut text =
        String::from("# What `twine verify` accepts. docs/verifying.md describes each key.\n\n");
    let root = match root {
        RootName::Intel => "# Intel's root: hardware.\nroot = \"intel\"\n",
        RootName::Simulation => {
            "# The root of the simulation: everybody can sign under it. It protects nothing.\n\
             root = \"simulation\"\n"
        }
    };
    let _ = write!(
        text,
        "{root}\n\
         [enclave]\n\
         {enclave}\n\
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

#[cfg(test)]
mod tests {
    use super::*;

    fn image(measurement: Option<u8>, signer: Option<u8>, svn: Option<u16>) -> AllowedImage {
        let digest = |byte: u8| Digest([byte; 32]);
        let product = signer.map(|_| 7);
        AllowedImage {
            measurement: measurement.map(digest),
            signer: signer.map(digest),
            product,
            min_svn: svn,
        }
    }

    #[test]
    fn a_policy_names_all_images_of_a_manifest_by_what_the_manifest_says() {
        let hex = |digits: &str| digits.repeat(32);
        let two = [image(Some(1), None, None), image(Some(2), None, Some(3))];
        let wanted = format!(
            "# The images that the manifest allows.\nmeasurements = [\"{}\", \"{}\"]\n",
            hex("01"),
            hex("02")
        );
        assert_eq!(of_images(&two), Some(wanted));
        let wanted = format!(
            "# The images that the manifest allows.\nsigners = [\"{}\"]\nproduct-id = 7\n\
             least-svn = 4\n",
            hex("09")
        );
        assert_eq!(of_images(&[image(None, Some(9), Some(4))]), Some(wanted));
    }

    #[test]
    fn images_that_no_policy_can_name_together_are_refused() {
        let signer = |svn| image(None, Some(9), Some(svn));
        assert_eq!(of_images(&[signer(4), signer(5)]), None);
        assert_eq!(of_images(&[image(Some(1), None, None), signer(4)]), None);
        assert_eq!(of_images(&[]), None);
    }
}
