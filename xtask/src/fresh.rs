//! Simulates a new machine: a root folder of a Debian release with only a Rust toolchain and a
//! checkout, where an ordinary user runs the README's commands unchanged.

use crate::debian::packages;
use crate::process::{Failure, Result, command, output, say, succeed};
use crate::toolchain::{cargo_home, sysroot};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The supported releases.
const RELEASES: [&str; 2] = ["bookworm", "trixie"];

/// The packages on a machine with a clone of this project, a Rust toolchain that can link, and a
/// user who may install packages, in addition to the smallest Debian.
const PRESENT: &str = "--include=ca-certificates,gcc,git,libc6-dev,sudo";

/// The release on which the machine is not entirely new: it has the release's own compiler, which
/// is too old.
const USED: &str = "bookworm";

/// The user's home, in the root folder.
const HOME: &str = "home/user";

/// The checkout, in the user's home.
const CHECKOUT: &str = "twine";

/// The results of a release.
#[derive(Debug)]
struct Shown {
    release: &'static str,
    /// Each command that was run, with its time.
    took: Vec<(String, Duration)>,
    /// MRENCLAVE of the image.
    mrenclave: String,
}

/// Runs the README's commands on new machines, and compares the resulting images. `--demo` leaves
/// out the second command, and `--keep` leaves the root folders.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let (options, named): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    let unknown = options.iter().find(|option| !["--demo", "--keep"].contains(option));
    let unknown = unknown.or(named.iter().find(|name| !RELEASES.contains(name)));
    if let Some(unknown) = unknown {
        return Err(Failure::new(format!(
            "`cargo xtask fresh [--demo] [--keep] [{}]`, and not {unknown}",
            RELEASES.join("] [")
        )));
    }
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err(Failure::new(
            "only root can make a root folder: run `cargo xtask fresh` as root",
        ));
    }
    packages(&["debootstrap", "util-linux"])?;
    let mut commands = commands(&fs::read_to_string(root.join("README.md"))?)?;
    if options.contains(&"--demo") {
        commands.truncate(1);
    }
    let mut all = Vec::new();
    for release in RELEASES.into_iter().filter(|name| named.is_empty() || named.contains(name)) {
        all.push(machine(root, release, &commands, options.contains(&"--keep"))?);
    }
    for Shown { release, took, mrenclave } in &all {
        for (command, took) in took {
            println!("{release}: `{command}` took {} s", took.as_secs());
        }
        println!("{release}: MRENCLAVE {mrenclave}");
    }
    match all.iter().all(|shown| shown.mrenclave == all[0].mrenclave) {
        true => Ok(()),
        false => Err(Failure::new("MRENCLAVE is not the same on all releases")),
    }
}

/// Returns the two commands of the README, from its first section of commands.
fn commands(readme: &str) -> Result<Vec<String>> {
    let start = readme.split("\n## Start\n").nth(1).unwrap_or_default();
    let section = start.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    let commands: Vec<String> = blocks.take(2).map(|block| block.trim().to_owned()).collect();
    match commands.len() {
        2 => Ok(commands),
        _ => Err(Failure::new("README.md has no two blocks of commands under \"Start\"")),
    }
}

fn machine(root: &Path, release: &'static str, commands: &[String], keep: bool) -> Result<Shown> {
    let folder = root.join("target/fresh").join(release);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    say(format_args!("making a new machine with Debian {release}"));
    debian(root, release, &folder)?;
    rust(root, &folder)?;
    let checkout = folder.join(HOME).join(CHECKOUT);
    succeed(command("git", root).args(["clone", "--quiet", "--no-hardlinks", "."]).arg(&checkout))?;
    succeed(Command::new("chown").args(["--recursive", "1000:1000"]).arg(folder.join(HOME)))?;
    let mut took = Vec::new();
    for line in commands {
        say(format_args!("{release}: {line}"));
        let begin = Instant::now();
        run_inside(&folder, line)?;
        took.push((line.clone(), begin.elapsed()));
    }
    let measure = "target/release/twine image measure target/release/twine.sgxs";
    let measured = output(&mut inside(&folder, measure))?;
    let mrenclave = measured.split_whitespace().last().unwrap_or_default().to_owned();
    if !keep {
        fs::remove_dir_all(&folder)?;
    }
    Ok(Shown { release, took, mrenclave })
}

/// Installs the release, with the archives of this machine's settings, and adds a user.
fn debian(root: &Path, release: &str, folder: &Path) -> Result<()> {
    let archive = archive("Debian")?;
    let security = archive_of_updates(&archive)?;
    let mut debootstrap = command("debootstrap", root);
    debootstrap.args(["--variant=minbase", PRESENT, release]).arg(folder).arg(&archive);
    // Its output names every package, so it goes to a file.
    let log = folder.with_extension("debootstrap.log");
    fs::create_dir_all(folder)?;
    succeed(debootstrap.stdout(fs::File::create(&log)?)).map_err(|failure| {
        Failure::new(format!("{failure}; what it said is in {}", log.display()))
    })?;
    if release == USED {
        let apt = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", "rustc-web"];
        succeed(Command::new("chroot").arg(folder).args(apt).stdout(fs::File::create(&log)?))?;
    }
    let sources = format!(
        "deb {archive} {release} main\n\
         deb {archive} {release}-updates main\n\
         deb {security} {release}-security main\n"
    );
    fs::write(folder.join("etc/apt/sources.list"), sources)?;
    for file in ["etc/resolv.conf", "etc/hosts"] {
        fs::copy(Path::new("/").join(file), folder.join(file))?;
    }
    // A network may have its own authority between it and the registries.
    let own = Path::new("/usr/local/share/ca-certificates");
    if let Ok(certificates) = fs::read_dir(own) {
        for certificate in certificates {
            let path = certificate?.path();
            fs::copy(&path, folder.join(path.strip_prefix("/").unwrap_or(&path)))?;
        }
        let update = ["update-ca-certificates", "--fresh"];
        succeed(Command::new("chroot").arg(folder).args(update).stdout(fs::File::create(&log)?))?;
    }
    let add = ["useradd", "--create-home", "--shell", "/bin/bash", "--uid", "1000", "user"];
    succeed(Command::new("chroot").arg(folder).args(add))?;
    Ok(fs::write(folder.join("etc/sudoers.d/user"), "user ALL=(ALL) NOPASSWD: ALL\n")?)
}

/// Returns the source of this machine's packages, by the archive's label.
fn archive(label: &str) -> Result<String> {
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
    apt.args(["Origin: Debian", &format!("Label: {label}")]);
    let all = output(&mut apt)?;
    let first = all.lines().next().map(|uri| uri.trim_end_matches('/').to_owned());
    first.ok_or_else(|| Failure::new(format!("apt has no archive of the label {label}")))
}

/// Returns the archive of security updates. If this machine has none, it is beside the other one.
fn archive_of_updates(archive_of_releases: &str) -> Result<String> {
    Ok(archive("Debian-Security").unwrap_or(format!("{archive_of_releases}-security")))
}

/// Copies this machine's toolchain to where rustup keeps a user's.
fn rust(root: &Path, folder: &Path) -> Result<()> {
    let home = folder.join(HOME);
    let toolchain = sysroot(root)?;
    let toolchains = home.join(".rustup/toolchains");
    fs::create_dir_all(&toolchains)?;
    let copy = |from: PathBuf, to: PathBuf| {
        let mut cp = Command::new("cp");
        succeed(cp.args(["--archive", "--no-target-directory"]).arg(from).arg(to))
    };
    let name = format!("{}-x86_64-unknown-linux-gnu", channel(root)?);
    copy(toolchain.canonicalize()?, toolchains.join(&name))?;
    let settings = format!("version = \"12\"\ndefault_toolchain = \"{name}\"\n");
    fs::write(home.join(".rustup/settings.toml"), settings)?;
    fs::create_dir_all(home.join(".cargo"))?;
    copy(cargo_home()?.join("bin"), home.join(".cargo/bin"))
}

/// Returns the version of the toolchain, from the file that pins it.
fn channel(root: &Path) -> Result<String> {
    let pinned = fs::read_to_string(root.join("rust-toolchain.toml"))?;
    let channel = pinned.lines().find_map(|line| line.strip_prefix("channel = "));
    let channel = channel.map(|value| value.trim_matches('"').to_owned());
    channel.ok_or_else(|| Failure::new("rust-toolchain.toml has no channel"))
}

/// Returns a command line of the user, in the checkout, in its own process tree.
fn inside(folder: &Path, line: &str) -> Command {
    const START: &str = "\
        set -e
        mount --bind /dev \"$0/dev\"
        mount -t devpts -o ptmxmode=0666 devpts \"$0/dev/pts\"
        mount -t tmpfs tmpfs \"$0/dev/shm\"
        mount -t proc proc \"$0/proc\"
        mount -t sysfs -o ro sysfs \"$0/sys\"
        exec chroot --userspec=user:user \"$0\" /usr/bin/env -i HOME=/home/user USER=user \\
            RUSTUP_AUTO_INSTALL=0 LANG=C.UTF-8 PATH=/home/user/.cargo/bin:/usr/local/bin:/usr/bin:/bin \\
            /bin/sh -c \"cd ~/twine && $1\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", START]);
    unshare.arg(folder).arg(line);
    unshare
}

/// Runs a command line of the user.
fn run_inside(folder: &Path, line: &str) -> Result<()> {
    match inside(folder, line).status()?.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("`{line}` failed on the new machine"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_the_readmes() {
        assert_eq!(channel(&crate::root()).unwrap().split('.').count(), 3);
        let readme = fs::read_to_string(crate::root().join("README.md")).unwrap();
        assert_eq!(commands(&readme).unwrap(), ["cargo xtask demo", "cargo xtask test"]);
        assert!(commands("# Twine\n\n## Start\n\n```sh\none\n```\n\n## Files\n").is_err());
    }
}
