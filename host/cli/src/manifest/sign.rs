//! `twine manifest sign`.

use super::{Form, SIGNED_START, Trouble};
use crate::failure::Failure;
use crate::input;
use crate::key_command::read_private;
use crate::mounts::same_file;
use crate::output;
use crate::owner_key::OwnerKey;
use crate::print::print_line;
use clap::Args;
use std::path::{Path, PathBuf};
use twine_evidence::bytes::Digest;
use twine_evidence::manifest::Manifest;
use twine_evidence::signed::{MAX_BYTES, SIGNATURE_BYTES, Signed};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Manifest to sign, in TOML
    manifest: PathBuf,

    /// Private key of the owner, in PEM, as `twine key new` writes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// File to write the signed manifest to [default: the manifest's name with .manifest]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Trouble> {
    let path = &arguments.manifest;
    let form = Form::open(path)?;
    let Form::Written(written) = &form else {
        return Err(Failure::new(
            format!("{} is signed already", path.display()),
            "name the manifest in TOML",
        )
        .into());
    };
    let target = arguments.output.clone().unwrap_or_else(|| path.with_extension("manifest"));
    may_write(&target, [path, &arguments.key])?;
    let key = read_private(&arguments.key)?;
    if *key.public() != written.owner {
        return Err(Failure::new(
            format!(
                "{} is not the key of the manifest's owner: it is {}, and the owner's is {}",
                arguments.key.display(),
                key.public().id(),
                written.owner.id()
            ),
            "sign with the owner's key, or name the other owner in the manifest",
        )
        .into());
    }
    let signed = sign_with(&key, &written.manifest)?;
    form.warn(path);
    output::replace(&target, &signed).map_err(|error| Failure::unwritable(&target, &error))?;
    print_line!("{}  {}", Digest::of(&written.manifest.encode()), target.display());
    Ok(())
}

/// Signs a manifest with its owner's key.
///
/// # Errors
/// The key is another one's, or the manifest is not valid.
pub(crate) fn sign_with(key: &OwnerKey, manifest: &Manifest) -> Result<Vec<u8>, Failure> {
    let mut failed = None;
    let signed = Signed::sign(manifest, |message| {
        key.sign(message).unwrap_or_else(|error| {
            failed = Some(error);
            [0; SIGNATURE_BYTES]
        })
    });
    if let Some(error) = failed {
        return Err(Failure::new(&error, error.remedy()));
    }
    let signed = signed.map_err(|error| Failure::new(error, "correct the manifest"))?;
    if signed.len() > MAX_BYTES {
        return Err(Failure::new(
            format!("the signed manifest has {} bytes, too many", signed.len()),
            format!("shorten it to {} bytes", MAX_BYTES),
        ));
    }
    Ok(signed)
}

/// Refuses to overwrite anything but an older signed manifest.
fn may_write<'a>(
    output: &Path,
    inputs: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<(), Failure> {
    let is_input = inputs.into_iter().any(|input| same_file(output, input));
    // An empty file can't be one of the user's.
    let other = || {
        input::start(output, 1).is_ok_and(|bytes| bytes.first().is_some_and(|b| *b != SIGNED_START))
    };
    if is_input || other() {
        return Err(Failure::new(
            format!("{} is there, and is no signed manifest", output.display()),
            "name another file: --output FILE",
        ));
    }
    Ok(())
}
