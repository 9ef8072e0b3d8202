//! `twine oci`, and programs in OCI images.

use crate::failure::Failure;
use crate::mounts;
use crate::print::print_line;
use crate::program::{Program, is_standard_input};
use crate::signals::RemovedAtEnd;
use clap::{Args, Subcommand};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twine_oci_image::{Error, Form, Image, Layout, Recipe, Reference, Unpacked};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build an image from a program
    ///
    /// The image is for the platform wasi/wasm. `twine run oci:FOLDER` runs it here; containerd
    /// runs it with twine-oci as its runtime. The same program and options give the same bytes.
    Build(Box<Build>),
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Program for the image: a .wasm or .wat file
    program: PathBuf,

    /// Arguments of the program, if it is started without any
    #[arg(trailing_var_arg = true)]
    arguments: Vec<String>,

    /// Name of the image, such as app:1 or registry.example.org/app:1
    #[arg(long, short, value_name = "NAME")]
    tag: String,

    /// Where to write the image: a folder with an OCI layout, to which the image is added, or a
    /// .tar file for `ctr image import` [default: the program's name, with .oci]
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,

    #[arg(
        long,
        value_name = "IMAGE",
        default_value = "scratch",
        help = "Image whose files and settings the new image gets first: scratch, or \
                oci:FOLDER[:NAME]"
    )]
    base: String,

    /// Add a file or a folder of this machine to the image
    #[arg(long = "file", value_name = "HOST::GUEST")]
    files: Vec<String>,

    /// Set an environment variable of the program
    #[arg(long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,

    /// Set the working directory
    #[arg(long, value_name = "GUEST")]
    workdir: Option<String>,

    /// Set the user of the container
    #[arg(long, value_name = "UID[:GID]")]
    user: Option<String>,

    /// Add a label
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,

    /// Build the artifact of the CNCF's Wasm working group, which holds the program alone. Old
    /// versions of containerd do not take it
    #[arg(long)]
    artifact: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::new(&error, error.remedy())
    }
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Build(arguments) => build(*arguments),
    }
}

/// `NAME=VALUE`, as its two parts.
fn pair<'a>(option: &str, text: &'a str) -> Result<(&'a str, &'a str), Failure> {
    text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        Failure::new(
            format!("{option} {text}: there is no value"),
            format!("write it as {option} NAME=VALUE"),
        )
    })
}

fn build(arguments: Build) -> Result<ExitCode, Failure> {
    let (program, stem) = program(&arguments.program)?;
    let mut files = Vec::new();
    for text in &arguments.files {
        let (host, Some(guest)) = mounts::split(text) else {
            return Err(Failure::new(
                format!("--file {text}: there is no path in the image"),
                "write it as --file HOST::GUEST",
            ));
        };
        files.push((PathBuf::from(host), guest.to_owned()));
    }
    for variable in &arguments.environment {
        pair("--env", variable)?;
    }
    let mut labels = BTreeMap::new();
    for label in &arguments.labels {
        let (name, value) = pair("--label", label)?;
        labels.insert(name.to_owned(), value.to_owned());
    }
    let recipe = Recipe {
        program: program.into_bytes()?,
        path: format!("{stem}.wasm"),
        arguments: arguments.arguments,
        environment: arguments.environment,
        directory: arguments.workdir,
        user: arguments.user,
        labels,
        files,
        base: base(&arguments.base)?,
    };
    let form = if arguments.artifact { Form::Artifact } else { Form::Image };
    let built = twine_oci_image::build(recipe, form)?;
    let output = arguments.output.unwrap_or_else(|| format!("{stem}.oci").into());
    match output.extension() {
        Some(extension) if extension == "tar" => built.write_archive(&output, &arguments.tag)?,
        _ => Layout::open_or_create(&output)?.add(&built, &arguments.tag)?,
    }
    let (tag, digest, bytes) = (&arguments.tag, built.digest(), built.size());
    if arguments.json {
        let output = output.display().to_string();
        let value = json!({ "name": tag, "digest": digest, "bytes": bytes, "output": output });
        print_line!("{value:#}");
    } else {
        print_line!("{}: {tag} {digest}, {bytes} bytes", output.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a program for an image. Returns its name too, without the extension.
fn program(path: &Path) -> Result<(Program, String), Failure> {
    let (program, name) = match reference(path) {
        Some(reference) => {
            let found = open(&reference, false)?;
            (found.program, found.name.into())
        }
        None if is_standard_input(path) => (Program::read(path)?, "program".into()),
        None => (Program::read(path)?, path.to_owned()),
    };
    let stem = name.file_stem().unwrap_or(OsStr::new("program"));
    Ok((program, stem.to_string_lossy().into_owned()))
}

fn base(text: &str) -> Result<Option<Image>, Failure> {
    if text == "scratch" {
        return Ok(None);
    }
    let reference: Reference = text.parse().map_err(|error| {
        Failure::new(format!("--base {text}: {error}"), "write scratch or oci:FOLDER[:NAME]")
    })?;
    Ok(Some(find(&reference)?))
}

fn find(reference: &Reference) -> Result<Image, Failure> {
    Ok(Layout::open(&reference.folder)?.find(reference.name.as_deref())?)
}

/// The reference to an image, if this path is one. A file whose name begins with `oci:` is written
/// as `./oci:...`.
pub(crate) fn reference(path: &Path) -> Option<Reference> {
    path.to_str()?.parse().ok()
}

/// A program in an image.
pub(crate) struct Found {
    /// The program.
    pub program: Program,
    /// The name of the program's file.
    pub name: String,
    /// Arguments that the image has for the program.
    pub arguments: Vec<String>,
    /// Environment variables, as `NAME=VALUE`.
    pub environment: Vec<String>,
    /// The files of the image, if it has any beside the program.
    pub files: Option<Files>,
}

/// The files of an image in a temporary folder, which is removed when this is dropped, and when a
/// signal ends the process.
#[derive(Debug)]
pub(crate) struct Files {
    unpacked: Unpacked,
    _removed: RemovedAtEnd,
}

impl Files {
    fn of(image: &Image) -> Result<Self, Failure> {
        let unpacked = Unpacked::new()?;
        let removed = RemovedAtEnd::new(unpacked.folder()).map_err(|error| {
            Failure::system(
                format!("signals can't be handled: {error}"),
                &error,
                "raise the limits of processes and of open files: `ulimit -u`, `ulimit -n`",
            )
        })?;
        let files = Files { unpacked, _removed: removed };
        image.unpack_into(&files.unpacked)?;
        Ok(files)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.unpacked.folder()
    }
}

/// Opens the program of an image. `given` says whether the user has given arguments: these replace
/// some of the image's.
pub(crate) fn open(reference: &Reference, given: bool) -> Result<Found, Failure> {
    let image = find(reference)?;
    let mut command = image.command(given)?.into_iter();
    let path = command.next().unwrap_or_default();
    let directory = image.directory();
    let path = Path::new("/").join(&directory).join(path);
    let files = Files::of(&image)?;
    let text = path.to_string_lossy();
    let program = Program::of_file(files.unpacked.open(&text)?, &path)?;
    let has_others = files.unpacked.has_other_files(&text)?;
    let mut environment = image.environment();
    let has_directory = environment.iter().any(|variable| variable.starts_with("PWD="));
    if directory != "/" && !has_directory {
        environment.push(format!("PWD={directory}"));
    }
    Ok(Found {
        program,
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        arguments: command.collect(),
        environment,
        files: has_others.then_some(files),
    })
}

/// Whether a reference names a layout that is there, for messages about missing files.
pub(crate) fn is_layout(path: &Path) -> bool {
    fs::metadata(path.join("oci-layout")).is_ok()
}
