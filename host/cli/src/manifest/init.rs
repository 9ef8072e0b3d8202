//! `twine manifest init`: makes a manifest of a program and the options of a run.

use super::document::Problem;
use super::folder_of;
use super::read::{is_variable, read};
use super::write::Commented;
use crate::failure::Failure;
use crate::key::Key;
use crate::mounts::{self, Given, memory};
use crate::options::LimitOptions;
use crate::output::{not_new, write_new};
use crate::owner_key::{OwnerKey, public_to_pem};
use crate::policy::RootName;
use crate::print::{print_error, print_line};
use crate::program::Program;
use crate::{locate, oci};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use twine_evidence::access::Access;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::manifest::{
    AllowedImage, Demands, Handover, MAX_NAME_BYTES, Manifest, Restart, VERSION, is_name,
};
use twine_evidence::owner::Algorithm;
use twine_evidence::platform::{Platform, Root};
use twine_evidence::sockets::Socket;
use twine_evidence::terms::{
    Diagnostics, Export, KeyPolicy, Limits, Mount, MountKind, Stream, Streams, Terms, Variable,
};
use twine_host::Tee;
use twine_image::inspect_file;
use twine_protocol::key::Sealing;

#[derive(Debug, Args)]
#[command(
    mut_arg("volumes", |option| option.help(
        "Allow a protected volume at GUEST [default: /]. The host chooses its file when the program \
         runs, and HOST is not written. Options for this mount: ,ro ,rw"
    )),
    mut_arg("folders", |option| option.help(
        "Allow a folder of the host at GUEST [default: HOST]. It is not protected, the host chooses \
         it when the program runs, and HOST is not written. Options for this mount: ,ro ,rw"
    )),
    mut_arg("memories", |option| option.help(
        "Allow an empty file tree in the enclave's memory, gone when the program ends [default \
         size: 64MiB]"
    )),
    // Volumes of a manifest have one kind of key.
    mut_arg("key", |option| option.hide(true)),
    mut_arg("read_only", |option| option.help(
        "Allow volumes and folders for reading alone, except those with ,rw"
    )),
    // The host chooses it when the program runs.
    mut_arg("cache", |option| option.hide(true))
)]
pub(crate) struct Arguments {
    #[arg(help = "Program to allow: a .wasm or .wat file, or oci:FOLDER[:NAME]")]
    program: PathBuf,

    /// Arguments of the program, after its name
    #[arg(last = true)]
    arguments: Vec<OsString>,

    /// File to write the manifest to; a file that is there is not overwritten [default: the
    /// program's name with .toml, in this folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Name of the deployment [default: the program's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// File with the owner's public key, relative to the manifest
    #[arg(long, value_name = "FILE", default_value = "owner.pub")]
    owner: String,

    /// Set an environment variable of the program; without a value, take this command's own
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    environment: Vec<String>,

    /// Name an environment variable whose value the host passes. A value that is given here is left
    /// out
    #[arg(long = "secret", value_name = "NAME[=VALUE]")]
    secrets: Vec<String>,

    /// Call this exported function instead of `_start`, with the arguments as its parameters
    #[arg(long, value_name = "FUNCTION")]
    invoke: Option<String>,

    /// Let a standard stream lead to the host; it leads nowhere otherwise
    #[arg(long = "stream", value_enum, value_name = "STREAM")]
    streams: Vec<StreamName>,

    #[command(flatten)]
    limits: LimitOptions,

    #[command(flatten)]
    files: mounts::Mounts,

    /// Give the program a listening socket, whose connections have no TLS until the manifest says
    /// so. The host chooses the address; the port is a wish
    #[arg(long = "listen", alias = "tcplisten", value_name = "ADDRESS")]
    listen: Vec<String>,

    /// Write it for `twine deploy`: streams lead to the owner, the image is the one of `twine host`,
    /// and memory is limited to 256MiB unless --max-memory says otherwise
    #[arg(long, conflicts_with_all = ["streams", "folders"])]
    elsewhere: bool,

    /// Root of trust of the machines to deploy to: Intel's, or that of simulated SGX, which protects
    /// nothing
    #[arg(long, value_enum, default_value = "intel", requires = "elsewhere")]
    root: RootName,

    /// Enclave image to allow [default: the one that the program would run in]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StreamName {
    Stdin,
    Stdout,
    Stderr,
}

/// A program, and what an OCI image has for it.
struct Source {
    program: Program,
    /// The name of its file.
    name: String,
    arguments: Vec<String>,
    /// Variables, as `NAME=VALUE`.
    environment: Vec<String>,
}

impl Source {
    fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let path = &arguments.program;
        let Some(reference) = oci::reference(path) else {
            return Ok(Source {
                program: Program::read(path)?,
                name: text(path.file_name().unwrap_or(path.as_os_str()).to_owned())?,
                arguments: Vec::new(),
                environment: Vec::new(),
            });
        };
        let has_arguments = !arguments.arguments.is_empty() || arguments.invoke.is_some();
        let found = oci::open(&reference, has_arguments)?;
        if found.files.is_some() {
            print_error!("twine: the manifest leaves out the other files of the image");
        }
        let oci::Found { program, name, arguments, environment, .. } = found;
        Ok(Source { program, name, arguments, environment })
    }
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let source = Source::open(&arguments)?;
    source.program.check_format(&arguments.program)?;
    let stem = Path::new(&source.name).file_stem().unwrap_or_default().display().to_string();
    let output =
        arguments.output.clone().unwrap_or_else(|| Path::new(&stem).with_extension("toml"));
    let name = name(arguments.name.as_deref(), &stem)?;
    let manifest = manifest(&arguments, source, name)?;
    let file = beside(&arguments.program, &output);
    check(&manifest, &file)?;
    let text = Commented { manifest: &manifest, owner: &arguments.owner, file: &file }.to_string();
    write_new(&output, text.as_bytes(), 0o666)
        .map_err(|error| not_new(&output, &error, "name another file: --output FILE"))?;
    print_line!("{}", output.display());
    Ok(())
}

/// Checks that the manifest can be read as it will be written. The owner's key may not be made yet,
/// so another takes its place.
fn check(manifest: &Manifest, file: &str) -> Result<(), Failure> {
    let key = OwnerKey::generate(Algorithm::EdDsa)
        .map_err(|error| Failure::new(&error, error.remedy()))?;
    let owner = public_to_pem(key.public());
    let text = Commented { manifest, owner: &owner, file }.to_string();
    match read(&text, Path::new(".")) {
        Ok(_) => Ok(()),
        Err(problems) => {
            let mut causes = problems.into_iter().map(|Problem { cause, .. }| cause);
            let first = causes.next().unwrap_or_default();
            Err(Failure::usage(
                format!("the manifest would be wrong: {first}"),
                "correct the options",
            ))
        }
    }
}

fn name(given: Option<&str>, stem: &str) -> Result<String, Failure> {
    let name = given.unwrap_or(stem);
    if is_name(name) {
        return Ok(name.to_owned());
    }
    Err(Failure::usage(
        format!("{name:?} is no name of a deployment"),
        format!("name it: --name NAME, of 1 to {MAX_NAME_BYTES} letters, digits or `._-`"),
    ))
}

/// Returns how the manifest at `output` names the program's file.
fn beside(program: &Path, output: &Path) -> String {
    let folder = |path: &Path| folder_of(path).canonicalize().ok();
    let same = folder(program).is_some_and(|parent| Some(parent) == folder(output));
    match (same, program.file_name()) {
        (true, Some(name)) => name.display().to_string(),
        _ => program.canonicalize().as_deref().unwrap_or(program).display().to_string(),
    }
}

fn text(value: OsString) -> Result<String, Failure> {
    value.into_string().map_err(|value| {
        Failure::usage(
            format!("{value:?} is not UTF-8, and manifests are"),
            "write it in UTF-8, or pass it to the program in a file",
        )
    })
}

fn manifest(arguments: &Arguments, source: Source, name: String) -> Result<Manifest, Failure> {
    let image = match arguments.elsewhere {
        true => locate::host_image(arguments.image.clone())?,
        false => {
            let platform = Tee::Auto.choose()?;
            locate::image(arguments.image.clone(), source.program.len(), platform)?
        }
    };
    let image = inspect_file(image.path())?;
    Ok(Manifest {
        format: VERSION,
        name,
        version: 1,
        generation: 1,
        owner: Bytes::default(),
        terms: terms(arguments, source)?,
        images: vec![AllowedImage {
            measurement: Some(Digest(image.mrenclave.0)),
            ..AllowedImage::default()
        }],
        demands: Demands::default(),
        access: Access::default(),
        restart: Restart::default(),
        platform: Platform {
            root: match arguments.root {
                RootName::Intel => Root::Intel,
                RootName::Simulation => Root::Simulation,
            },
            ..Platform::default()
        },
        handover: Handover::default(),
    })
}

/// The memory of a deployment elsewhere whose manifest is made without a limit, in bytes. Hosts
/// refuse manifests without one.
const MEMORY_ELSEWHERE: u64 = 256 << 20;

fn terms(arguments: &Arguments, source: Source) -> Result<Terms, Failure> {
    let path = &arguments.program;
    let program = source.program.sha256().map_err(|error| Failure::unreadable(path, &error))?;
    let given = arguments.arguments.iter().cloned().map(text);
    let given: Vec<String> =
        source.arguments.into_iter().map(Ok).chain(given).collect::<Result<_, _>>()?;
    let (export, rest) = match &arguments.invoke {
        None => (None, given),
        Some(function) => {
            (Some(Export { function: function.clone(), arguments: given }), Vec::new())
        }
    };
    let stream = |name| match (arguments.elsewhere, arguments.streams.contains(&name)) {
        (true, _) => Stream::Owner,
        (false, true) => Stream::Host,
        (false, false) => Stream::None,
    };
    let memory = arguments.limits.max_memory;
    let memory = memory.or(arguments.elsewhere.then_some(MEMORY_ELSEWHERE));
    let secrets = secrets(&arguments.secrets)?;
    // Those of the command line come last, and so replace others.
    let mut environment = environment(&[&source.environment[..], &arguments.environment].concat())?;
    environment.retain(|variable| !secrets.contains(&variable.name));
    Ok(Terms {
        program: Digest(program),
        arguments: [source.name]
            .iter()
            .chain(&rest)
            .map(|argument| Bytes::from(&**argument))
            .collect(),
        environment,
        secrets,
        export,
        streams: Streams {
            stdin: stream(StreamName::Stdin),
            stdout: stream(StreamName::Stdout),
            stderr: stream(StreamName::Stderr),
        },
        mounts: mounts(&arguments.files)?,
        sockets: sockets(&arguments.listen),
        limits: Limits {
            memory,
            fuel: arguments.limits.fuel,
            timeout: arguments.limits.nanoseconds(),
            interrupts: false,
        },
        diagnostics: Diagnostics::default(),
    })
}

fn variable(name: &str) -> Result<Bytes, Failure> {
    if is_variable(name) {
        return Ok(Bytes::from(name));
    }
    Err(Failure::usage(format!("{name:?} is no name of a variable"), "write NAME=VALUE"))
}

fn secrets(given: &[String]) -> Result<Vec<Bytes>, Failure> {
    let mut secrets = Vec::new();
    for text in given {
        let name = variable(text.split_once('=').map_or(&**text, |(name, _)| name))?;
        if !secrets.contains(&name) {
            secrets.push(name);
        }
    }
    Ok(secrets)
}

/// Returns the variables in the order of their names, each with its last value.
fn environment(given: &[String]) -> Result<Vec<Variable>, Failure> {
    let mut values = std::collections::BTreeMap::new();
    for text in given {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (
                &**text,
                std::env::var(text).map_err(|error| {
                    Failure::usage(
                        format!("--env {text}: {error}"),
                        "set the variable, or write --env NAME=VALUE",
                    )
                })?,
            ),
        };
        values.insert(variable(name)?, Bytes::from(&*value));
    }
    Ok(values.into_iter().map(|(name, value)| Variable { name, value }).collect())
}

/// Returns sockets that listen without TLS on the ports of these addresses.
fn sockets(addresses: &[String]) -> Vec<Socket> {
    let port =
        |address: &String| address.rsplit(':').next()?.parse().ok().filter(|port| *port != 0);
    let socket = |(at, address)| Socket {
        name: format!("listen-{at}"),
        port: port(address),
        ..Socket::default()
    };
    (1..).zip(addresses).map(socket).collect()
}

fn mounts(files: &mounts::Mounts) -> Result<Vec<Mount>, Failure> {
    files.check_mapdir()?;
    let mut mounts = Vec::new();
    for Given { text, guest, options, .. } in files.volumes()? {
        let key = options.key.or_else(|| files.key().cloned());
        if key.is_some_and(|key| key != Key::Sealed(Sealing::DEPLOYMENT)) {
            return Err(Failure::usage(
                format!("--dir {text}: others could have this key too, and make the volume"),
                "leave the key out: volumes of a manifest are sealed to its deployment",
            ));
        }
        let read_only = options.read_only.unwrap_or(files.is_read_only());
        mounts.push(mount(guest, MountKind::Volume, read_only, Some(KeyPolicy::Deployment), None)?);
    }
    for Given { guest, options, .. } in files.folders()? {
        let read_only = options.read_only.unwrap_or(files.is_read_only());
        mounts.push(mount(guest, MountKind::Folder, read_only, None, None)?);
    }
    for text in files.memories() {
        let (guest, size) = memory(text)?;
        mounts.push(mount(guest, MountKind::Memory, false, None, Some(size))?);
    }
    Ok(mounts)
}

fn mount(
    guest: &str,
    kind: MountKind,
    read_only: bool,
    key: Option<KeyPolicy>,
    size: Option<u64>,
) -> Result<Mount, Failure> {
    if !guest.starts_with('/') {
        return Err(Failure::usage(
            format!("{guest:?} is no absolute path in the program"),
            "write the mount as HOST::GUEST, such as my.vol::/data",
        ));
    }
    Ok(Mount { guest: guest.to_owned(), kind, key, read_only, size, main: None, former: None })
}
