//! The first command of the README: from nothing to a program in an enclave.

use crate::process::{Result, command, say, succeed};
use crate::{enclave, guests};
use std::path::Path;

/// Installs what is missing, builds the image and the command, and runs a program.
pub(crate) fn run(root: &Path) -> Result<()> {
    let twine = enclave::image(root)?;
    let program = guests::rust_example(root)?;
    let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let (twine, program) = (relative(&twine), relative(&program));
    say(format_args!("running {program} in the enclave: {twine} run {program}"));
    succeed(
        command(&format!("./{twine}"), root).args(["run", &program, "from", "the", "enclave"]),
    )?;
    say(format_args!("try it: {twine} --help"));
    Ok(())
}
