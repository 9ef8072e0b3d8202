//! Finding the enclave image.

use crate::failure::Failure;
use std::env;
use std::path::PathBuf;
use twine_host::Image;

/// The name of the image's file.
const NAME: &str = "twine.sgxs";

/// Opens the image: the one that was named, else by `TWINE_IMAGE`, else beside the command
/// or in `../lib/twine` of it.
pub(crate) fn image(named: Option<PathBuf>) -> Result<Image, Failure> {
    if let Some(path) = named.or_else(|| env::var_os("TWINE_IMAGE").map(PathBuf::from)) {
        return Ok(Image::open(path)?);
    }
    let command = env::current_exe().and_then(|path| path.canonicalize()).map_err(|error| {
        Failure::new(
            format!("the folder of this command can't be found: {error}"),
            "name the image with --image",
        )
    })?;
    let folder = command.parent().unwrap_or(&command);
    let places = [folder.join(NAME), folder.join("../lib/twine").join(NAME)];
    match places.iter().find(|place| place.exists()) {
        Some(place) => Ok(Image::open(place)?),
        None => Err(Failure::new(
            format!("there is no enclave image {NAME} beside this command"),
            "build it with `cargo xtask image`, or name it with --image or TWINE_IMAGE",
        )),
    }
}
