//! Finding the enclave image.

use crate::failure::Failure;
use std::env;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use twine_host::{Image, Machine, Platform};

/// The image for most programs.
const NAME: &str = "twine.sgxs";

/// The image for large programs: the same code with more addresses.
const LARGE: &str = "twine-large.sgxs";

/// The image for machines that can't add pages to a running enclave.
const SGX1: &str = "twine-sgx1.sgxs";

/// The program that is in all of them, for images of other sizes.
const ENCLAVE: &str = "twine.elf";

/// Programs of more bytes run in the large image: compiling them takes more than the other
/// one has addresses for.
const SMALL_PROGRAM: usize = 32 << 20;

/// The file of this command. Started by the dynamic loader, as in a container that has none of its
/// own, the process is the loader's file, and the command's is the name that it was given.
pub(crate) fn command() -> io::Result<PathBuf> {
    let running = env::current_exe()?;
    let by_loader = running.file_name().is_some_and(|name| name.as_bytes().starts_with(b"ld-"));
    let named = env::args_os().next().map(PathBuf::from).filter(|path| path.is_absolute());
    match named {
        Some(named) if by_loader => Ok(named),
        _ => running.canonicalize(),
    }
}

/// Where images are looked for: beside the command and in `../lib/twine` of it.
fn folders(remedy: &str) -> Result<[PathBuf; 2], Failure> {
    let command = command().map_err(|error| {
        Failure::new(format!("the folder of this command can't be found: {error}"), remedy)
    })?;
    let folder = command.parent().unwrap_or(&command);
    Ok([folder.to_owned(), folder.join("../lib/twine")])
}

/// The images that are there.
pub(crate) fn images() -> Result<Vec<PathBuf>, Failure> {
    let places = folders("mount /proc, or name the image with --image")?;
    let all = places.iter().flat_map(|folder| [NAME, LARGE, SGX1].map(|name| folder.join(name)));
    there(all)
}

/// Those that are there. One of which that can't be told is not taken for missing.
fn there(places: impl Iterator<Item = PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for place in places {
        let there = place.try_exists().map_err(|error| {
            Failure::system(
                format!("{} can't be looked at: {error}", place.display()),
                &error,
                "let this user read the folder, or name the image with --image",
            )
        })?;
        if there {
            found.push(place);
        }
    }
    Ok(found)
}

fn from_environment() -> Option<PathBuf> {
    env::var_os("TWINE_IMAGE").filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// Opens the image for a program of that size: the one that was named, else by `TWINE_IMAGE`,
/// else the smallest one that is there and that the program fits in; or the one for SGX without SGX2,
/// where that is what the program will run on.
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
        Platform::Hardware if !Machine::look().sgx2 => SGX1,
        _ if program > SMALL_PROGRAM => LARGE,
        _ => NAME,
    };
    let fitting = images.iter().find(|path| path.ends_with(wanted));
    match fitting.or(images.first()) {
        Some(place) => Ok(Image::open(place)?),
        None => Err(Failure::new(
            format!("there is no enclave image {NAME} beside this command"),
            "build it with `cargo xtask image`, or name it with --image or TWINE_IMAGE",
        )),
    }
}

/// The image for large programs, if it is there and `image` is the one for most.
pub(crate) fn larger_than(image: &Image) -> Option<PathBuf> {
    if !image.path().ends_with(NAME) {
        return None;
    }
    images().ok()?.into_iter().find(|path| path.ends_with(LARGE))
}

/// The program that is in the images, and the layout of the one for most programs.
pub(crate) fn enclave() -> Result<(PathBuf, PathBuf), Failure> {
    let remedy = "build it with `cargo xtask image`, or name one";
    let found = folders("mount /proc, or name the enclave's program")?
        .map(|folder| (folder.join(ENCLAVE), folder.join(NAME).with_extension("toml")));
    let there = found.into_iter().find(|(elf, layout)| elf.exists() && layout.exists());
    there.ok_or_else(|| {
        Failure::new(format!("there is no enclave program {ENCLAVE} beside this command"), remedy)
    })
}

/// A program that comes with the command.
pub(crate) fn program(name: &str) -> Result<PathBuf, Failure> {
    let places = folders("mount /proc")?;
    // `cargo xtask guests` builds them there.
    let built = places[0].join("../guests");
    let found = there(places.iter().chain([&built]).map(|folder| folder.join(name)))?;
    found.into_iter().next().ok_or_else(|| {
        Failure::new(
            format!("there is no program {name} beside this command"),
            "build it with `cargo xtask guests`",
        )
    })
}
