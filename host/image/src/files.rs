//! Images as files: `NAME.sgxs`, and beside it `NAME.sig`, the bare SIGSTRUCT. `enclave-runner`
//! looks for a signature there (`coresident_signature`).

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use sgx_isa::Sigstruct;

use crate::io::{Draft, read_all};
use crate::{Built, Error, Manifest, build, sign};

/// Returns the path of an image's signature.
pub fn signature_path(sgxs: impl AsRef<Path>) -> PathBuf {
    sgxs.as_ref().with_extension("sig")
}

/// Does what [`build`] does, for files. The image's file is written atomically.
pub fn build_file(
    elf: impl AsRef<Path>,
    manifest: &Manifest,
    sgxs: impl AsRef<Path>,
) -> Result<Built, Error> {
    let (elf, sgxs) = (elf.as_ref(), sgxs.as_ref());
    let program = fs::read(elf).map_err(|e| Error::io("reading the program", elf, e))?;
    let failed = |e| Error::io("writing the image", sgxs, e);
    let mut draft = Draft::create(sgxs, 0o666).map_err(failed)?;
    let built = build(&program, manifest, &mut draft)?;
    draft.keep().map_err(failed)?;
    Ok(built)
}

/// Writes the signature of the image at `sgxs` beside it.
pub fn write_signature(sgxs: impl AsRef<Path>, sigstruct: &Sigstruct) -> Result<(), Error> {
    let path = signature_path(sgxs);
    let write = || {
        let mut draft = Draft::create(&path, 0o666)?;
        draft.write_all(sigstruct.as_ref())?;
        draft.keep()
    };
    write().map_err(|e| Error::io("writing the signature", &path, e))
}

/// Reads the signature of the image at `sgxs`, without verifying it. `None` if there is none.
pub fn read_signature(sgxs: impl AsRef<Path>) -> Result<Option<Sigstruct>, Error> {
    let path = signature_path(sgxs);
    match File::open(&path).and_then(read_all) {
        Ok(bytes) => sign::sigstruct_from_bytes(&bytes).map(Some),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("reading the signature", &path, e)),
    }
}
