//! The standard library for the enclave target, and the few system packages of the host
//! side. Says what it installs.
//!
//! The target is one of Rust's own. Where rustup's servers can be reached, rustup has its
//! library. Where they can't, Debian's `rustc-web` brings a compiler and `rust-web-src` the
//! source of the same version, from which cargo builds it.

use crate::process::{Failure, Result, command, output, say, succeed, succeeds};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of the enclave.
pub(crate) const TARGET: &str = "x86_64-fortanix-unknown-sgx";

/// Where a compiler and a library for the enclave come from.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The toolchain itself, with the target added by rustup.
    Rustup,
    /// Debian's compiler, which builds the library from Debian's source.
    Debian,
}

/// Debian's compiler, where `rustc-web` puts it.
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The lints of the same version, where `rust-web-clippy` puts them.
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";

/// What is there once `rust-web-src` is installed.
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// The CPU that images are built for: Xeon Scalable of the third generation (Ice Lake) and
/// later, which have SGX and need no software mitigation of LVI. `cpuid` is not to be had in
/// an enclave, so what libraries may use must be said here.
const RUSTFLAGS: &str = "-Ctarget-cpu=x86-64-v3 \
    -Ctarget-feature=-lvi-cfi,-lvi-load-hardening,+adx,+aes,+pclmulqdq,+sha,+rdrand,+rdseed";

/// What `libunwind.a` must define for the target's library to link. An enclave is built with
/// `panic=abort`: none of them is called but the backtrace, which finds nothing.
const UNWIND: &str = "\
#define MISSING(name) void name(void) { __builtin_trap(); }
MISSING(_Unwind_Resume) MISSING(_Unwind_DeleteException) MISSING(_Unwind_RaiseException)
MISSING(_Unwind_GetLanguageSpecificData) MISSING(_Unwind_GetRegionStart)
MISSING(_Unwind_GetTextRelBase) MISSING(_Unwind_GetDataRelBase)
MISSING(_Unwind_GetGR) MISSING(_Unwind_SetGR) MISSING(_Unwind_GetIP) MISSING(_Unwind_SetIP)
MISSING(_Unwind_GetIPInfo) MISSING(_Unwind_GetCFA) MISSING(_Unwind_FindEnclosingFunction)
int _Unwind_Backtrace(void *trace, void *argument) { return 0; }
";

/// Installs Debian packages that are missing, if any.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    let missing: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !succeeds(Command::new("dpkg").args(["-s", name])))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(format_args!("installing Debian packages: {}", missing.join(" ")));
    let root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let apt = |arguments: &[&str]| {
        let mut apt = if root {
            Command::new("apt-get")
        } else {
            let mut sudo = Command::new("sudo");
            sudo.arg("apt-get");
            sudo
        };
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    let install = ["-qq", "install", "-y", "--no-install-recommends"];
    let all = [&install[..], &missing[..]].concat();
    if succeeds(&mut apt(&all)) {
        return Ok(());
    }
    succeed(&mut apt(&["-qq", "update"]))?;
    succeed(&mut apt(&all)).map_err(|_| {
        Failure::new(format!("install these packages and try again: {}", missing.join(" ")))
    })
}

/// The packages that building the host side needs.
pub(crate) fn host_packages() -> Result<()> {
    packages(&["gcc", "libssl-dev", "pkg-config"])
}

pub(crate) fn sysroot(root: &Path) -> Result<PathBuf> {
    Ok(output(command("rustc", root).args(["--print", "sysroot"]))?.trim().into())
}

impl Toolchain {
    /// Finds a toolchain for the enclave, and installs one where there is none.
    pub(crate) fn find(root: &Path) -> Result<Self> {
        if sysroot(root)?.join("lib/rustlib").join(TARGET).is_dir() {
            return Ok(Toolchain::Rustup);
        }
        if !Path::new(DEBIAN_SOURCE).exists() {
            // Without its servers rustup waits and tries again for minutes.
            let mut rustup = command("timeout", root);
            rustup.args(["120", "rustup", "target", "add", TARGET]).env("RUSTUP_MAX_RETRIES", "0");
            if succeeds(&mut rustup) {
                say(format_args!("installed the target {TARGET} with rustup"));
                return Ok(Toolchain::Rustup);
            }
            say("rustup's servers don't have the enclave target within reach; taking Debian's");
            packages(&["rustc-web", "rust-web-src", "gcc", "binutils"])?;
        }
        Ok(Toolchain::Debian)
    }

    /// `cargo` with the `arguments` that come first, told what it needs to know to build for
    /// the enclave into `target`.
    pub(crate) fn cargo(&self, root: &Path, target: &Path, arguments: &[&str]) -> Result<Command> {
        let mut cargo = command("cargo", root);
        cargo.args(arguments);
        self.tell(cargo, root, target)
    }

    /// `cargo clippy`, told the same. It reads what the compiler has made of libraries, so it
    /// must be of the compiler's version.
    pub(crate) fn clippy(&self, root: &Path, target: &Path) -> Result<Command> {
        let mut clippy = match self {
            Toolchain::Rustup => command("cargo", root),
            Toolchain::Debian => {
                packages(&["rust-web-clippy"])?;
                command(DEBIAN_CLIPPY, root)
            }
        };
        clippy.args(["clippy", "--release"]);
        self.tell(clippy, root, target)
    }

    fn tell(&self, mut cargo: Command, root: &Path, target: &Path) -> Result<Command> {
        let mut flags = RUSTFLAGS.to_owned();
        cargo.args(["--target", TARGET]);
        if let Toolchain::Debian = self {
            let library = unwind_library(target)?;
            let linker = sysroot(root)?.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
            cargo
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_X86_64_FORTANIX_UNKNOWN_SGX_LINKER", linker);
            // A path that is the same in every checkout: flags are part of what names symbols.
            let library = library.strip_prefix(root).unwrap_or(&library).to_owned();
            flags += &format!(" -L{}", library.display());
        }
        // The folders of this machine must not show in the image: its measurement has to be
        // the same everywhere. Paths of this project's own files are relative already.
        let cargo_home = std::env::var("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|_| std::env::var("HOME").map(|home| PathBuf::from(home).join(".cargo")))
            .map_err(|_| Failure::new("neither CARGO_HOME nor HOME is set"))?;
        flags += &format!(" --remap-path-prefix={}=/cargo", cargo_home.display());
        cargo
            .env("CARGO_TARGET_X86_64_FORTANIX_UNKNOWN_SGX_RUSTFLAGS", flags)
            .env_remove("RUSTFLAGS")
            .env("CARGO_TARGET_DIR", target);
        Ok(cargo)
    }

    /// Arguments of `cargo` that let a package be linked whose folder lies outside of this
    /// project. In what [`Toolchain::cargo`] says, the folder of `libunwind.a` is relative, and
    /// flags for all packages would have the library built anew.
    pub(crate) fn outside(&self, target: &Path, package: &str) -> Vec<String> {
        match self {
            Toolchain::Rustup => Vec::new(),
            Toolchain::Debian => {
                let folder = target.join("lib");
                let flags = format!("rustflags=[\"-L{}\"]", folder.display());
                let config = format!("profile.release.package.{package}.{flags}");
                vec!["-Zprofile-rustflags".to_owned(), "--config".to_owned(), config]
            }
        }
    }

    /// A name for people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Toolchain::Rustup => "rustup's library for the enclave target",
            Toolchain::Debian => "Debian's rustc-web and rust-web-src",
        }
    }
}

/// Makes the `libunwind.a` that only rustup's copy of the target carries.
fn unwind_library(target: &Path) -> Result<PathBuf> {
    let folder = target.join("lib");
    let archive = folder.join("libunwind.a");
    if archive.exists() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("unwind.c"), UNWIND)?;
    let compile =
        ["-c", "-O2", "-ffreestanding", "-fno-stack-protector", "unwind.c", "-o", "unwind.o"];
    succeed(command("gcc", &folder).args(compile))?;
    succeed(command("ar", &folder).args(["rcsD", "libunwind.a", "unwind.o"]))?;
    Ok(folder)
}
