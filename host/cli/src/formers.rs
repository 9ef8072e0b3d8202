//! Older images, from which a newer one takes over what their deployments have.

use crate::failure::Failure;
use crate::print::print_error;
use std::path::PathBuf;
use twine_host::{Former, FormerImage, Image, Platform};

/// Opens older images. What their enclaves refuse is printed after `prefix`.
pub(crate) fn open(
    paths: &[PathBuf],
    platform: Platform,
    prefix: &'static str,
) -> Result<Vec<Box<dyn Former>>, Failure> {
    let former = |path: &PathBuf| -> Result<Box<dyn Former>, Failure> {
        let tell = move |line: &str| print_error!("{prefix}{line}");
        Ok(Box::new(FormerImage::new(Image::open(path)?, platform, tell)?))
    };
    paths.iter().map(former).collect()
}
