//! Installs Debian packages, and says which.

use crate::process::{Failure, Result, output, say, succeed, succeeds};
use std::process::Command;
use std::sync::OnceLock;

/// Installs those of the packages that are missing.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !installed(name)).collect();
    match missing[..] {
        [] => Ok(()),
        _ => install(&missing),
    }
}

/// Whether a package is fully installed: a removed package may have left its settings.
fn installed(name: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", name]);
    query.output().is_ok_and(|shown| shown.status.success() && shown.stdout == b"installed")
}

/// Whether this process is root's.
pub(crate) fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// Installs or upgrades to the newest versions of packages in Debian.
pub(crate) fn install(names: &[&str]) -> Result<()> {
    let all = names.join(" ");
    let by_hand = |why: &str| {
        Err(Failure::new(format!(
            "{why}: as root, `apt-get update` and `apt-get install {all}`, then try again"
        )))
    };
    if !succeeds(Command::new("apt-get").arg("--version")) {
        let why = "this is no system with apt-get";
        return Err(Failure::new(format!("{why}: install what Debian has as {all}, by its means")));
    }
    let root = is_root()?;
    if !root && !succeeds(Command::new("sudo").arg("--version")) {
        return by_hand("packages are missing, and there is no sudo to install them with");
    }
    say(format_args!("installing Debian packages: {all}"));
    update(root);
    // Debian's compiler conflicts with its packages `rustc` and `rustup`. The user decides about
    // those.
    let install = ["install", "-y", "--no-install-recommends", "--no-remove"];
    match succeed(apt(root).args(install).args(names)) {
        Ok(()) => Ok(()),
        Err(_) => by_hand("packages can't be installed, or not without removing others"),
    }
}

fn apt(root: bool) -> Command {
    let mut apt = match root {
        true => Command::new("apt-get"),
        false => {
            let mut sudo = Command::new("sudo");
            sudo.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
            sudo
        }
    };
    apt.arg("-qq").env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

/// Updates the lists of packages, once. The lists of a new machine can be months old, and name
/// versions that are too old or no longer available.
fn update(root: bool) {
    static UPDATED: OnceLock<()> = OnceLock::new();
    UPDATED.get_or_init(|| {
        if succeed(apt(root).arg("update")).is_err() {
            // One of many sources may be unreachable. If a package is missing, the installation
            // fails.
            say("`apt-get update` failed: going on with the lists that are there");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_are_recognised() {
        assert!(installed("dpkg"));
        assert!(!installed("no-such-package-of-debians"));
    }
}
