//! `twine image`.

use crate::failure::Failure;
use crate::mounts::same_file;
use crate::print::{print_line, print_text};
use crate::{locate, size, xdg};
use clap::{Args, Subcommand};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twine_image::{
    Date, Manifest, Mrenclave, SigningKey, SigningRequest, VerifyingKey, build_file, inspect_file,
    read_signature, sign, signature_path, write_signature,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an image of an enclave program (ELF for x86_64-fortanix-unknown-sgx)
    Build(Build),
    /// Sign an image, in one step or, for a key that is kept offline, in two
    Sign(Sign),
    /// Show an image's MRENCLAVE
    Measure(Measure),
    /// Show what is in an image
    Inspect(Inspect),
}

/// Build: sizes on the command line win over the manifest.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The enclave program, as cargo builds it [default: Twine's, with the layout of its own image]
    elf: Option<PathBuf>,

    /// The layout and identity of the image (TOML)
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// Where to write the image [default: the program's name with .sgxs]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Bytes of heap that have pages from the start (2MiB); all of it, on machines without SGX2
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    heap_size: Option<u64>,

    /// Bytes by which the heap can grow where the machine has SGX2 (4GiB): the compiler's work, program
    /// memories without guard pages. They cost nothing until they are used
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    heap_growth_size: Option<u64>,

    /// Bytes of memory for compiled code (64MiB)
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    code_arena_size: Option<u64>,

    /// Bytes of that memory which have pages from the start: 0, or all of it as machines without SGX2
    /// need it
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    code_arena_at_start: Option<u64>,

    /// Bytes of addresses for memories with guard pages (48GiB); 0 for machines without SGX2
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    guard_size: Option<u64>,

    /// The most threads inside at once
    #[arg(long, value_name = "N")]
    threads: Option<u32>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The image
    image: PathBuf,

    /// The signing key: RSA with 3072 bits and exponent 3, PEM [default: a development key of
    /// this user's, made at first use]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// The manifest with the identity (prod-id, svn, debug, ...)
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// The date in the signature, as 2026-01-31 [default: the manifest's, SOURCE_DATE_EPOCH, or
    /// today]
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,

    /// First of two steps: write what is to be signed (256 bytes, for RSA PKCS #1 v1.5 with
    /// SHA-256), and sign nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "signature", "public_key"])]
    request: Option<PathBuf>,

    /// Second of two steps: the signature made of the request
    #[arg(long, value_name = "FILE", requires_all = ["public_key", "from_request"])]
    signature: Option<PathBuf>,

    /// Second of two steps: the request that was signed
    #[arg(long, value_name = "FILE", requires = "signature")]
    from_request: Option<PathBuf>,

    /// Second of two steps: the public key, PEM
    #[arg(long, value_name = "FILE", requires = "signature")]
    public_key: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Measure {
    /// The image
    image: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The image
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
    let output = arguments.output.unwrap_or_else(|| match layout {
        Some(_) => "twine-runtime.sgxs".into(),
        None => elf.with_extension("sgxs"),
    });
    not_over_input(&output, [Some(&elf), arguments.manifest.as_ref()])?;
    let beside = manifest_path(&output);
    let keep = is_to_be_kept(&beside, &manifest)?;
    let built = build_file(&elf, &manifest, &output)?;
    if keep {
        std::fs::write(&beside, format!("{KEPT}{manifest}"))
            .map_err(|error| cannot_write(&beside, &error))?;
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

/// Where the manifest that an image was built with is kept: signing it needs the same.
fn manifest_path(image: &Path) -> PathBuf {
    image.with_extension("toml")
}

/// How a manifest begins that was kept here, and may be written over.
const KEPT: &str = "# What the image beside this file was built with, for `twine image sign`.\n";

/// Whether the manifest of a new image is to be written here: not over a file of the user's.
fn is_to_be_kept(beside: &Path, manifest: &Manifest) -> Result<bool, Failure> {
    let there = match std::fs::read_to_string(beside) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) if error.kind() == ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(cannot_read(beside, &error)),
    };
    if there.starts_with(KEPT) {
        return Ok(true);
    }
    if Manifest::from_toml_str(&there).is_ok_and(|there| there == *manifest) {
        return Ok(false);
    }
    Err(Failure::new(
        format!(
            "the image would be signed as {} says, and that is not what it is built with",
            beside.display()
        ),
        "give the image another name: --output FILE",
    ))
}

/// Refuses to write over a file that is read.
fn not_over_input<'a>(
    output: &Path,
    inputs: impl IntoIterator<Item = Option<&'a PathBuf>>,
) -> Result<(), Failure> {
    for input in inputs.into_iter().flatten() {
        if same_file(output, input) {
            return Err(Failure::new(
                format!("{} would be written over", input.display()),
                "give what is written another name",
            ));
        }
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::system(
        format!("{} can't be written: {error}", path.display()),
        error,
        "check the folder and its permissions",
    )
}

/// What to do where a development key can't be had.
const ANOTHER_KEY: &str =
    "name a key with --key, or set XDG_DATA_HOME to a folder that this user can write";

/// This user's development key, which is kept in `$XDG_DATA_HOME/twine` or `~/.local/share/twine`.
fn development_key() -> Result<SigningKey, Failure> {
    let data = xdg::folder("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
        Failure::new("there is no folder for a development key: this user has no home", ANOTHER_KEY)
    })?;
    match SigningKey::development_key(data.join("twine/development-key.pem")) {
        // The file was not named by the user.
        Err(error @ twine_image::Error::Io { .. }) => Err(Failure::of_image(&error, ANOTHER_KEY)),
        key => Ok(key?),
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::system(
        format!("{} can't be read: {error}", path.display()),
        error,
        "check the path and its permissions",
    )
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| cannot_read(path, &error))
}

fn sign_image(arguments: &Sign) -> Result<(), Failure> {
    let image = &arguments.image;
    let beside = manifest_path(image);
    // One that can't be looked at is no missing one: the image would be signed for something else.
    let there = beside.try_exists().map_err(|error| {
        Failure::system(
            format!("{} can't be looked at: {error}", beside.display()),
            &error,
            "check the folder and its permissions",
        )
    })?;
    let named = arguments.manifest.as_deref().or_else(|| there.then_some(&*beside));
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
        std::fs::write(path, request.as_bytes()).map_err(|error| cannot_write(path, &error))?;
        if arguments.json {
            let (request, image) = (path.display().to_string(), image.display().to_string());
            print_line!("{:#}", serde_json::json!({ "request": request, "image": image }));
            return Ok(());
        }
        print_line!(
            "sign {} with RSA PKCS #1 v1.5 and SHA-256, then give --signature",
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
        print_line!("{}  signer of {}", signer.mrsigner(), image.display());
    }
    Ok(())
}

fn mrenclave(image: &Path) -> Result<Mrenclave, Failure> {
    let file = std::fs::File::open(image).map_err(|error| cannot_read(image, &error))?;
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
