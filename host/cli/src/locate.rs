//! Finds the enclave images and other installed files.

use crate::failure::Failure;
use std::env;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use twine_host::{Image, Machine, Platform};

/// The image for most programs.
const NAME: &str = "twine.sgxs";

/// The image for large programs: the same code with a larger address range.
const LARGE: &str = "twine-large.sgxs";

/// The image for machines without SGX2, which cannot add pages to a running enclave.
const SGX1: &str = "twine-sgx1.sgxs";

/// The image with threads for many programs.
const HOST: &str = "twine-host.sgxs";

/// The enclave program of all images, for building images of other sizes.
const ENCLAVE: &str = "twine.elf";

/// Programs larger than this many bytes run in the large image: the standard image has too few
/// addresses to compile them.
const MAX_SMALL_PROGRAM: usize = 32 << 20;

/// Returns the file of this command. If the dynamic loader was started with the command, as in a
/// container that has no loader, the process's file is the loader's, and the command's is argument
/// 0.
pub(crate) fn command() -> io::Result<PathBuf> {
    let running = env::current_exe()?;
    let by_loader = running.file_name().is_some_and(|name| name.as_bytes().starts_with(b"ld-"));
    let named = env::args_os().next().map(PathBuf::from).filter(|path| path.is_absolute());
    match named {
        Some(named) if by_loader => Ok(named),
        _ => running.canonicalize(),
    }
}

/// Returns the folders that are searched for images: the command's own, and `../lib/twine` beside
/// it.
fn folders(remedy: &str) -> Result<[PathBuf; 2], Failure> {
    let command = command().map_err(|error| {
        Failure::new(format!("the folder of this command can't be found: {error}"), remedy)
    })?;
    let folder = command.parent().unwrap_or(&command);
    Ok([folder.to_owned(), folder.join("../lib/twine")])
}

/// Returns the installed images.
pub(crate) fn images() -> Result<Vec<PathBuf>, Failure> {
    let folders = folders("mount /proc, or name the image with --image")?;
    let all =
        folders.iter().flat_map(|folder| [NAME, LARGE, SGX1, HOST].map(|name| folder.join(name)));
    existing(all)
}

/// Returns the paths that exist. A path that can't be checked is an error.
fn existing(paths: impl Iterator<Item = PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let exists = path.try_exists().map_err(|error| {
            Failure::system(
                format!("{} can't be accessed: {error}", path.display()),
                &error,
                "let this user read the folder, or name the image with --image",
            )
        })?;
        if exists {
            found.push(path);
        }
    }
    Ok(found)
}

fn from_environment() -> Option<PathBuf> {
    env::var_os("TWINE_IMAGE").filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// Opens the image for a program of `program` bytes: the one in `named` or in `TWINE_IMAGE`,
/// otherwise the smallest installed image that fits the program. On hardware without SGX2, this is
/// the image for such machines.
pub(crate) fn image(
    named: Option<PathBuf>,
    program: usize,
    platform: Platform,
) -> Result<Image, Failure> {
    if let Some(path) = named.or_else(from_environment) {
        return Ok(Image::open(path)?);
    }
    let images = images()?;
    let wanted = match platform {
        Platform::Hardware if !Machine::detect().sgx2 => SGX1,
        _ if program > MAX_SMALL_PROGRAM => LARGE,
        _ => NAME,
    };
    let fitting = images.iter().find(|path| path.ends_with(wanted));
    match fitting.or(images.first()) {
        Some(path) => Ok(Image::open(path)?),
        None => Err(Failure::new(
            format!("there is no enclave image {NAME} beside this command"),
            "build it with `cargo xtask image`, or name it with --image or TWINE_IMAGE",
        )),
    }
}

/// Opens the image that holds deployments: the one in `named` or in `TWINE_IMAGE`, otherwise the
/// installed one.
pub(crate) fn host_image(named: Option<PathBuf>) -> Result<Image, Failure> {
    if let Some(path) = named.or_else(from_environment) {
        return Ok(Image::open(path)?);
    }
    match images()?.into_iter().find(|path| path.ends_with(HOST)) {
        Some(path) => Ok(Image::open(path)?),
        None => Err(Failure::new(
            format!("there is no enclave image {HOST} beside this command"),
            "build it with `cargo xtask image`, or name it with --image or TWINE_IMAGE",
        )),
    }
}

/// Returns the image for large programs, if it is installed and `image` is the one for most
/// programs.
pub(crate) fn larger_than(image: &Image) -> Option<PathBuf> {
    if !image.path().ends_with(NAME) {
        return None;
    }
    images().ok()?.into_iter().find(|path| path.ends_with(LARGE))
}

/// Returns the enclave program of the installed images, and the layout of the image for most
/// programs.
pub(crate) fn enclave() -> Result<(PathBuf, PathBuf), Failure> {
    let remedy = "build it with `cargo xtask image`, or name an enclave program";
    let paths = folders("mount /proc, or name the enclave program")?
        .map(|folder| (folder.join(ENCLAVE), folder.join(NAME).with_extension("toml")));
    let found = paths.into_iter().find(|(elf, layout)| elf.exists() && layout.exists());
    found.ok_or_else(|| {
        Failure::new(format!("there is no enclave program {ENCLAVE} beside this command"), remedy)
    })
}

/// Returns a WebAssembly program that is installed with the command.
pub(crate) fn program(name: &str) -> Result<PathBuf, Failure> {
    let folders = folders("mount /proc")?;
    // This folder has the output of `cargo xtask guests`.
    let built = folders[0].join("../guests");
    let found = existing(folders.iter().chain([&built]).map(|folder| folder.join(name)))?;
    found.into_iter().next().ok_or_else(|| {
        Failure::new(
            format!("there is no program {name} beside this command"),
            "build it with `cargo xtask guests`",
        )
    })
}
