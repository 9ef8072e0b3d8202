//! Checks the dependencies against `deny.toml`, by `cargo-deny`.

use crate::process::{Failure, Result, command, output, say, succeed, succeeds};
use std::path::{Path, PathBuf};

/// The version of cargo-deny.
const VERSION: &str = "0.20.2";

/// The workspaces whose dependencies are built.
const WORKSPACES: &[&str] = &[
    "Cargo.toml",
    "bench/outside/Cargo.toml",
    "bench/sqlcipher/Cargo.toml",
    crate::fuzz::MANIFEST,
];

/// Makes all checks of `deny.toml` that are possible here.
pub(crate) fn check(root: &Path) -> Result<()> {
    let tool = tool(root)?;
    for workspace in WORKSPACES {
        let deny = |arguments: &[&str]| {
            let mut deny = command(&tool.display().to_string(), root);
            deny.args(["--manifest-path", workspace, "--config", "deny.toml"]);
            deny.args(arguments);
            deny
        };
        say(format_args!("checking licences, sources and duplicates of dependencies: {workspace}"));
        // A skip in `deny.toml` that one workspace needs matches nothing in the other.
        let unmatched = ["check", "-A", "unmatched-skip", "-A", "unnecessary-skip"];
        succeed(&mut deny(&[&unmatched[..], &["bans", "licenses", "sources"]].concat()))?;
        if succeeds(&mut deny(&["fetch", "db"])) {
            say(format_args!("checking known weaknesses of dependencies: {workspace}"));
            succeed(&mut deny(&["check", "advisories"]))?;
        } else {
            say(
                "known weaknesses of dependencies were not checked: their database is out of reach",
            );
        }
    }
    Ok(())
}

/// Builds cargo-deny if it is missing, and returns its path.
fn tool(root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/tools");
    let tool = folder.join("bin/cargo-deny");
    let shown = format!("cargo-deny {VERSION}");
    if tool.exists()
        && output(command(&tool.display().to_string(), root).arg("--version"))?.trim() == shown
    {
        return Ok(tool);
    }
    say(format_args!("building {shown} from crates.io"));
    let mut cargo = command("cargo", root);
    cargo.args([
        "install",
        "cargo-deny",
        "--version",
        VERSION,
        "--locked",
        "--no-track",
        "--force",
    ]);
    cargo.args(["--quiet", "--debug", "--root"]).arg(&folder);
    cargo.arg("--target-dir").arg(folder.join("build")).env("CARGO_PROFILE_DEV_DEBUG", "0");
    succeed(&mut cargo)?;
    match tool.exists() {
        true => Ok(tool),
        false => Err(Failure::new(format!("{} was not made", tool.display()))),
    }
}
