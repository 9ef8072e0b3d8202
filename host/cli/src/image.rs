//! `twine image`.

use crate::failure::Failure;
use crate::input::{self, MAX_TEXT_BYTES};
use crate::mounts::same_file;
use crate::print::{print_line, print_text};
use crate::{locate, size, xdg};
use clap::{Args, Subcommand};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twine_image::{
    Date, Manifest, Mrenclave, Mrsigner, SigningKey, SigningRequest, VerifyingKey, build_file,
    inspect_file, read_signature, sign, signature_path, write_signature,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build an image of an enclave program (an ELF file for x86_64-fortanix-unknown-sgx)
    Build(Build),
    /// Sign an image: in one step, or in two if the key is kept offline
    Sign(Sign),
    /// Print an image's MRENCLAVE
    Measure(Measure),
    /// Show an image's layout and signature
    Inspect(Inspect),
}

/// Arguments of `twine image build`. Sizes on the command line override the manifest.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Enclave program, as built by cargo [default: Twine's own, with the layout of its image]
    elf: Option<PathBuf>,

    /// Layout and identity of the image (a TOML file); the size options override it
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// File to write the image to [default: the program's name with .sgxs; twine-runtime.sgxs for
    /// Twine's own program]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Size of the heap that has pages from the start (Twine's image: 2MiB). On machines without
    /// SGX2 this is the whole heap
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    heap_size: Option<u64>,

    /// Size by which the heap can grow on machines with SGX2 (Twine's image: 4GiB). It costs nothing
    /// until it is used. The compiler and linear memories without guard pages use it
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    heap_growth_size: Option<u64>,

    /// Size of the memory for compiled code (Twine's image: 256MiB)
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    code_arena_size: Option<u64>,

    /// Size of the part of that memory that has pages from the start: 0, or all of it, which
    /// machines without SGX2 need
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    code_arena_at_start: Option<u64>,

    /// Size of the address range for linear memories with guard pages (Twine's image: 48GiB); 0 for
    /// machines without SGX2
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    guard_size: Option<u64>,

    /// Number of threads that can be inside the enclave at once
    #[arg(long, value_name = "N")]
    threads: Option<u32>,

    /// Size of the stack of each thread but the main one
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    thread_stack_size: Option<u64>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// Image to sign
    image: PathBuf,

    /// Signing key: RSA with 3072 bits and exponent 3, in PEM [default: this user's development
    /// key, created at first use]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Manifest with the identity (prod-id, svn, debug, ...) [default: the .toml file beside the
    /// image, if there is one]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// Date in the signature, such as 2026-01-31 [default: the manifest's, SOURCE_DATE_EPOCH, or
    /// today]
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,

    /// First of two steps: write the request to FILE, 256 bytes to sign with RSA PKCS #1 v1.5 and
    /// SHA-256
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "signature", "public_key"])]
    request: Option<PathBuf>,

    /// Second of two steps: signature of the request
    #[arg(long, value_name = "FILE", requires_all = ["public_key", "from_request"])]
    signature: Option<PathBuf>,

    /// Second of two steps: request that was signed
    #[arg(long, value_name = "FILE", requires = "signature")]
    from_request: Option<PathBuf>,

    /// Second of two steps: public key, in PEM
    #[arg(long, value_name = "FILE", requires = "signature")]
    public_key: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Measure {
    /// Image to measure
    image: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Image to inspect
    image: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Build(arguments) => build(arguments)?,
        Command::Sign(arguments) => sign_image(&arguments)?,
        Command::Measure(arguments) => measure(&arguments)?,
        Command::Inspect(arguments) => inspect(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn manifest(path: Option<&Path>) -> Result<Manifest, Failure> {
    Ok(path.map_or_else(|| Ok(Manifest::default()), Manifest::from_file)?)
}

fn build(arguments: Build) -> Result<(), Failure> {
    let (elf, layout) = match arguments.elf {
        Some(elf) => (elf, None),
        None => locate::enclave().map(|(elf, layout)| (elf, Some(layout)))?,
    };
    let mut manifest = manifest(arguments.manifest.as_deref().or(layout.as_deref()))?;
    if let Some(size) = arguments.heap_size {
        manifest.heap_size = size;
    }
    if let Some(size) = arguments.heap_growth_size {
        manifest.heap_growth_size = size;
    }
    if let Some(size) = arguments.code_arena_size {
        manifest.code_arena_size = size;
    }
    if let Some(size) = arguments.guard_size {
        manifest.guard_size = size;
    }
    if arguments.code_arena_at_start.is_some() {
        manifest.code_arena_at_start = arguments.code_arena_at_start;
    }
    if let Some(threads) = arguments.threads {
        manifest.threads = threads;
    }
    if let Some(size) = arguments.thread_stack_size {
        manifest.thread_stack_size = size;
    }
    let output = arguments.output.unwrap_or_else(|| match layout {
        Some(_) => "twine-runtime.sgxs".into(),
        None => elf.with_extension("sgxs"),
    });
    not_over_input(&output, [Some(&elf), arguments.manifest.as_ref()])?;
    let beside = manifest_path(&output);
    let write_manifest = writes_manifest(&beside, &manifest)?;
    let built = build_file(&elf, &manifest, &output)?;
    if write_manifest {
        std::fs::write(&beside, format!("{HEADER}{manifest}"))
            .map_err(|error| Failure::unwritable(&beside, &error))?;
    }
    if arguments.json {
        let value = serde_json::json!({
            "image": output, "mrenclave": built.mrenclave, "size": built.file_size,
            "elrange": built.elrange_size, "threads": built.tcs_count,
        });
        print_line!("{value:#}");
    } else {
        print_line!("{}  {}", built.mrenclave, output.display());
    }
    Ok(())
}

/// Returns the path of the stored manifest of an image, which signing needs.
fn manifest_path(image: &Path) -> PathBuf {
    image.with_extension("toml")
}

/// The first line of a manifest that this command wrote, and may overwrite.
const HEADER: &str = "# The settings of the image beside this file, for `twine image sign`.\n";

/// Whether to write the manifest of a new image to `beside`. The user's own file is not
/// overwritten.
///
/// # Errors
/// If the file there differs from the manifest.
fn writes_manifest(beside: &Path, manifest: &Manifest) -> Result<bool, Failure> {
    let existing = match input::start(beside, MAX_TEXT_BYTES) {
        Ok(existing) => String::from_utf8(existing).unwrap_or_default(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(Failure::unreadable(beside, &error)),
    };
    if existing.starts_with(HEADER) {
        return Ok(true);
    }
    if Manifest::from_toml_str(&existing).is_ok_and(|existing| existing == *manifest) {
        return Ok(false);
    }
    Err(Failure::new(
        format!(
            "{} is beside the new image, and differs from the manifest that it is built with",
            beside.display()
        ),
        "give the image another name: --output FILE",
    ))
}

/// Refuses to overwrite an input file.
fn not_over_input<'a>(
    output: &Path,
    inputs: impl IntoIterator<Item = Option<&'a PathBuf>>,
) -> Result<(), Failure> {
    for input in inputs.into_iter().flatten() {
        if same_file(output, input) {
            return Err(Failure::new(
                format!("the input file {} would be overwritten", input.display()),
                "give the output another name",
            ));
        }
    }
    Ok(())
}

/// The remedy if the development key can't be used.
const ANOTHER_KEY: &str =
    "name a key with --key, or set XDG_DATA_HOME to a folder that this user can write";

/// Returns this user's development key, stored in `$XDG_DATA_HOME/twine` or `~/.local/share/twine`.
fn development_key() -> Result<SigningKey, Failure> {
    let data = xdg::folder("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
        Failure::new("the development key has no folder: this user has no home", ANOTHER_KEY)
    })?;
    match SigningKey::development_key(data.join("twine/development-key.pem")) {
        // The user did not name this file, so the remedy is about the key.
        Err(error @ twine_image::Error::Io { .. }) => Err(Failure::of_image(&error, ANOTHER_KEY)),
        key => Ok(key?),
    }
}

/// Returns the MRSIGNER of this user's development key. `None` if there is no such key, or this user
/// can't read it.
pub(crate) fn development_signer() -> Option<Mrsigner> {
    let data = xdg::folder("XDG_DATA_HOME", ".local/share")?;
    let key = SigningKey::from_file(data.join("twine/development-key.pem")).ok()?;
    Some(key.verifying_key().ok()?.mrsigner())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    input::whole(path, MAX_TEXT_BYTES)
}

fn sign_image(arguments: &Sign) -> Result<(), Failure> {
    let image = &arguments.image;
    let beside = manifest_path(image);
    // If the file can't be checked, it must not be taken for missing: the image would be signed with
    // another identity.
    let exists = beside.try_exists().map_err(|error| {
        Failure::system(
            format!("{} can't be accessed: {error}", beside.display()),
            &error,
            "check the folder and its permissions",
        )
    })?;
    let named = arguments.manifest.as_deref().or_else(|| exists.then_some(&*beside));
    let manifest = manifest(named)?;
    let inputs = [
        Some(image),
        arguments.key.as_ref(),
        arguments.manifest.as_ref(),
        arguments.signature.as_ref(),
        arguments.from_request.as_ref(),
        arguments.public_key.as_ref(),
    ];
    let output = arguments.request.clone().unwrap_or_else(|| signature_path(image));
    not_over_input(&output, inputs)?;
    let inspection = inspect_file(image)?;
    manifest.check_image(&inspection)?;
    let mrenclave = inspection.mrenclave;
    let date = || Date::choose(arguments.date, &manifest);

    if let Some(path) = &arguments.request {
        let request = SigningRequest::new(mrenclave, &manifest, date()?)?;
        std::fs::write(path, request.as_bytes())
            .map_err(|error| Failure::unwritable(path, &error))?;
        if arguments.json {
            let (request, image) = (path.display().to_string(), image.display().to_string());
            print_line!("{:#}", serde_json::json!({ "request": request, "image": image }));
            return Ok(());
        }
        print_line!(
            "sign {} with RSA PKCS #1 v1.5 and SHA-256, then run this command with --signature",
            path.display()
        );
        return Ok(());
    }
    let (sigstruct, signer) =
        match (&arguments.signature, &arguments.from_request, &arguments.public_key) {
            (Some(signature), Some(request), Some(key)) => {
                let key = VerifyingKey::from_file(key)?;
                let request = SigningRequest::from_bytes(&read(request)?)?;
                let sigstruct = request.complete(&read(signature)?, &key)?;
                if sigstruct.enclavehash != mrenclave.0 {
                    return Err(Failure::new(
                        "the request was made for another image",
                        "make the request again: `twine image sign --request FILE IMAGE`",
                    ));
                }
                (sigstruct, key)
            }
            _ => {
                let key = match &arguments.key {
                    Some(path) => SigningKey::from_file(path)?,
                    None => development_key()?,
                };
                (sign(mrenclave, &manifest, date()?, &key)?, key.verifying_key()?)
            }
        };
    write_signature(image, &sigstruct)?;
    if arguments.json {
        let (image, signer) = (image.display().to_string(), signer.mrsigner().to_string());
        print_line!(
            "{:#}",
            serde_json::json!({ "image": image, "mrenclave": mrenclave, "mrsigner": signer })
        );
    } else {
        print_line!("{}  MRSIGNER of {}", signer.mrsigner(), image.display());
    }
    Ok(())
}

fn mrenclave(image: &Path) -> Result<Mrenclave, Failure> {
    let file = std::fs::File::open(image).map_err(|error| Failure::unreadable(image, &error))?;
    Ok(twine_image::measure(std::io::BufReader::with_capacity(1 << 20, file))?)
}

fn measure(arguments: &Measure) -> Result<(), Failure> {
    let mrenclave = mrenclave(&arguments.image)?;
    let signed = read_signature(&arguments.image)?.is_some();
    if arguments.json {
        print_line!("{:#}", serde_json::json!({ "mrenclave": mrenclave, "signed": signed }));
    } else {
        print_line!("{mrenclave}");
    }
    Ok(())
}

fn inspect(arguments: &Inspect) -> Result<(), Failure> {
    let inspection = inspect_file(&arguments.image)?;
    if arguments.json {
        print_line!("{:#}", serde_json::json!(inspection));
    } else {
        print_text!("{inspection}");
    }
    Ok(())
}
