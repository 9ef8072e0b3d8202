//! Finding the enclave image.

use crate::failure::Failure;
use std::env;
use std::path::PathBuf;
use twine_host::Image;

/// The image for most programs.
const NAME: &str = "twine.sgxs";

/// The image for large programs: the same code with more memory, which takes longer to load.
const LARGE: &str = "twine-large.sgxs";

/// Programs of more bytes run in the large image: compiling them takes more than the other
/// one's heap.
const SMALL_PROGRAM: usize = 1 << 20;

/// Where images are looked for: beside the command and in `../lib/twine` of it.
fn folders() -> Result<[PathBuf; 2], Failure> {
    let command = env::current_exe().and_then(|path| path.canonicalize()).map_err(|error| {
        Failure::new(
            format!("the folder of this command can't be found: {error}"),
            "name the image with --image",
        )
    })?;
    let folder = command.parent().unwrap_or(&command);
    Ok([folder.to_owned(), folder.join("../lib/twine")])
}

/// The images that are there.
pub(crate) fn images() -> Result<Vec<PathBuf>, Failure> {
    let places = folders()?;
    let all = places.iter().flat_map(|folder| [NAME, LARGE].map(|name| folder.join(name)));
    Ok(all.filter(|place| place.exists()).collect())
}

/// Opens the image for a program of that size: the one that was named, else by `TWINE_IMAGE`,
/// else the smallest one that is there and that the program fits in.
pub(crate) fn image(named: Option<PathBuf>, program: usize) -> Result<Image, Failure> {
    if let Some(path) = named.or_else(|| env::var_os("TWINE_IMAGE").map(PathBuf::from)) {
        return Ok(Image::open(path)?);
    }
    let images = images()?;
    let wanted = if program > SMALL_PROGRAM { LARGE } else { NAME };
    let fitting = images.iter().find(|path| path.ends_with(wanted));
    match fitting.or(images.first()) {
        Some(place) => Ok(Image::open(place)?),
        None => Err(Failure::new(
            format!("there is no enclave image {NAME} beside this command"),
            "build it with `cargo xtask image`, or name it with --image or TWINE_IMAGE",
        )),
    }
}

/// A program that comes with the command.
pub(crate) fn program(name: &str) -> Result<PathBuf, Failure> {
    let places = folders()?;
    // `cargo xtask guests` builds them there.
    let built = places[0].join("../guests");
    let mut found = places.iter().chain([&built]).map(|folder| folder.join(name));
    found.find(|place| place.exists()).ok_or_else(|| {
        Failure::new(
            format!("there is no program {name} beside this command"),
            "build it with `cargo xtask guests`",
        )
    })
}
