//! An enclave from outside this project, for the tests of the software SGX: a program from
//! crates.io, made an image by Fortanix' own tool.

use crate::debian::packages;
use crate::enclave;
use crate::process::{Result, command, say, succeed};
use crate::toolchain::{TARGET, Toolchain};
use std::path::Path;

/// The program, a JSON formatter, and its version.
const PROGRAM: (&str, &str) = ("jsonxf", "1.1.1");

/// The version of the tool's crate.
const TOOL: &str = "0.6.4";

/// Builds the image if it is missing. `sgx-sim/tests/edp` uses its name.
pub(crate) fn image(root: &Path) -> Result<()> {
    let (name, version) = PROGRAM;
    let image = enclave::programs(root).join(format!("{name}-{version}.sgxs"));
    if image.exists() {
        return Ok(());
    }
    // A dependency of the tool generates code with it.
    packages(&["protobuf-compiler"])?;
    say(format_args!("building ftxsgx-elf2sgxs {TOOL} from crates.io"));
    let installed = root.join("target/published");
    let mut cargo = command("cargo", root);
    cargo.args(["install", "fortanix-sgx-tools", "--version", TOOL, "--bin", "ftxsgx-elf2sgxs"]);
    cargo.args(["--locked", "--no-track", "--force", "--quiet", "--debug", "--root"]);
    cargo.arg(&installed).arg("--target-dir").arg(installed.join("build"));
    // No one debugs the tool, and it builds faster without debug information.
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
    succeed(&mut cargo)?;

    let toolchain = Toolchain::find(root)?;
    say(format_args!("building {name} {version} from crates.io for {TARGET}"));
    let target = enclave::target(root);
    let mut cargo = toolchain.cargo(root, &target, &["install", name, "--version", version])?;
    cargo.args(["--locked", "--no-track", "--force", "--quiet", "--root"]).arg(&installed);
    cargo.args(toolchain.outside(&target, name));
    // This equals this project's profile, so that the target's library is not built again.
    cargo.env("CARGO_PROFILE_RELEASE_PANIC", "abort").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    succeed(&mut cargo)?;

    let folder = installed.join("bin");
    let mut tool = command(&folder.join("ftxsgx-elf2sgxs").display().to_string(), &folder);
    tool.args([name, "--heap-size", "0x200000", "--stack-size", "0x20000", "--output"]);
    succeed(tool.arg(&image))
}
