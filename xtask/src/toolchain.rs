//! The compiler and the standard library for the enclave target, and the system packages for the
//! host side. Prints what it installs.
//!
//! The target is one of Rust's own. If rustup's servers are reachable, rustup provides its library.
//! If not, Debian's `rustc-web` provides a compiler and `rust-web-src` the source of the same
//! version, from which cargo builds it.

use crate::debian::{install, packages};
use crate::process::{Failure, Result, command, output, say, succeed, succeeds};
use crate::remap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of the enclave.
pub(crate) const TARGET: &str = "x86_64-fortanix-unknown-sgx";

/// The source of a compiler and a library for the enclave.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The toolchain itself, with the target added by rustup.
    Rustup,
    /// Debian's compiler, which builds the library from Debian's source.
    Debian,
}

/// The path where `rustc-web` puts Debian's compiler.
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The path where `rust-web-clippy` puts Clippy of the same version.
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";

/// The path where `rust-web-src` puts the source of the same version.
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust";

/// The oldest compiler that builds this project: `rust-version` in Cargo.toml.
const OLDEST: (u32, u32) = (1, 95);

/// The CPU for which images are built: Xeon Scalable of the third generation (Ice Lake) and later,
/// which have SGX and need no software mitigation of LVI. An enclave cannot execute `cpuid`, so the
/// features that libraries may use must be named here.
const RUSTFLAGS: &[&str] = &[
    "-Ctarget-cpu=x86-64-v3",
    "-Ctarget-feature=-lvi-cfi,-lvi-load-hardening,+adx,+aes,+pclmulqdq,+sha,+rdrand,+rdseed",
];

/// The prefixes of cargo's settings in the environment. None of them may change the image.
const SETTINGS: &[&str] = &[
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_",
    "CARGO_TARGET_X86_64_FORTANIX_UNKNOWN_SGX_",
    "CARGO_UNSTABLE_",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// Installs the packages that the host side's build needs.
pub(crate) fn host_packages() -> Result<()> {
    packages(&["gcc", "libc6-dev", "libssl-dev", "pkg-config"])
}

pub(crate) fn sysroot(root: &Path) -> Result<PathBuf> {
    Ok(output(command("rustc", root).args(["--print", "sysroot"]))?.trim().into())
}

/// Returns the folder of cargo's downloads.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    let named = env::var_os("CARGO_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    named
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .ok_or_else(|| Failure::new("this user has no home: set CARGO_HOME to a folder"))
}

impl Toolchain {
    /// Finds a toolchain for the enclave, or installs one.
    pub(crate) fn find(root: &Path) -> Result<Self> {
        if sysroot(root)?.join("lib/rustlib").join(TARGET).is_dir() {
            return Ok(Toolchain::Rustup);
        }
        if !suits(debian_version(), debian_source_version()) {
            // If its servers are unreachable, rustup retries for minutes.
            let mut rustup = command("timeout", root);
            rustup.args(["120", "rustup", "target", "add", TARGET]).env("RUSTUP_MAX_RETRIES", "0");
            if succeeds(&mut rustup) {
                say(format_args!("installed the target {TARGET} with rustup"));
                return Ok(Toolchain::Rustup);
            }
            say("rustup's servers don't have the enclave target within reach; taking Debian's");
        }
        debian(&["rustc-web", "rust-web-src"])?;
        Ok(Toolchain::Debian)
    }

    /// Returns `cargo` with `arguments` first, and the settings to build for the enclave into
    /// `target`.
    pub(crate) fn cargo(&self, root: &Path, target: &Path, arguments: &[&str]) -> Result<Command> {
        let mut cargo = command("cargo", root);
        cargo.args(arguments);
        self.tell(cargo, root, target)
    }

    /// Returns `cargo clippy` with the same settings. It reads the compiler's metadata of
    /// libraries, so it must have the compiler's version.
    pub(crate) fn clippy(&self, root: &Path, target: &Path) -> Result<Command> {
        let mut clippy = match self {
            Toolchain::Rustup => command("cargo", root),
            Toolchain::Debian => {
                debian(&["rustc-web", "rust-web-src", "rust-web-clippy"])?;
                command(DEBIAN_CLIPPY, root)
            }
        };
        clippy.args(["clippy", "--release"]);
        self.tell(clippy, root, target)
    }

    fn tell(&self, mut cargo: Command, root: &Path, target: &Path) -> Result<Command> {
        if let Toolchain::Debian = self {
            self.unwinder(root, target)?;
        }
        self.settings(&mut cargo, root, target)?;
        Ok(cargo)
    }

    /// Sets cargo's arguments and variables for the compilation.
    fn settings(&self, cargo: &mut Command, root: &Path, target: &Path) -> Result<()> {
        for (name, _) in env::vars_os() {
            let shown = name.to_string_lossy();
            if SETTINGS.iter().any(|setting| shown.starts_with(setting)) {
                cargo.env_remove(&name);
            }
        }
        // Without this, a build script that asks git for its crate's commit would get the commit of
        // whatever repository contains cargo's folder.
        cargo.env("GIT_DIR", "/nonexistent");
        let mut flags: Vec<OsString> = RUSTFLAGS.iter().map(OsString::from).collect();
        cargo.args(["--target", TARGET]);
        if let Toolchain::Debian = self {
            let linker = sysroot(root)?.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
            cargo
                // Without symbols and unwinding, most of the code that prints backtraces is
                // useless, so no features.
                .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="])
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_X86_64_FORTANIX_UNKNOWN_SGX_LINKER", linker);
            // The path is the same in every checkout, since flags are part of the names of symbols.
            let mut flag = OsString::from("-L");
            let folder = libraries(target);
            flag.push(folder.strip_prefix(root).unwrap_or(&folder));
            flags.push(flag);
        }
        // This form allows spaces in flags.
        cargo
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join(&OsString::from("\x1f")))
            .env("CARGO_TARGET_DIR", target);
        let source = match self {
            Toolchain::Rustup => sysroot(root)?.join("lib/rustlib/src/rust"),
            Toolchain::Debian => PathBuf::from(DEBIAN_SOURCE),
        };
        remap::hide(cargo, root, &source)
    }

    /// Makes the `libunwind.a` to which the target's library links. Only rustup's copy of the
    /// target contains one.
    fn unwinder(&self, root: &Path, target: &Path) -> Result<()> {
        const SOURCE: &str = "enclave/unwind/src/lib.rs";
        let folder = libraries(target);
        let stamp = folder.join("made-of");
        let recipe = fs::read_to_string(root.join(SOURCE))?;
        if fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
            return Ok(());
        }
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        packages(&["binutils"])?;
        let mut cargo = command("cargo", root);
        cargo.args(["rustc", "--quiet", "--release", "--package", "twine-unwind"]);
        self.settings(&mut cargo, root, target)?;
        let mut emit = OsString::from("--emit=obj=");
        emit.push(folder.join("unwind.o"));
        succeed(cargo.arg("--").args(["-Ccodegen-units=1"]).arg(emit))?;
        succeed(command("ar", &folder).args(["rcsD", "libunwind.a", "unwind.o"]))?;
        Ok(fs::write(stamp, recipe)?)
    }

    /// Returns arguments of `cargo` that allow linking a package whose folder is outside of this
    /// project. In the settings of [`Toolchain::cargo`], the folder of `libunwind.a` is relative,
    /// and flags for all packages would make cargo build the library again.
    pub(crate) fn outside(&self, target: &Path, package: &str) -> Vec<String> {
        match self {
            Toolchain::Rustup => Vec::new(),
            Toolchain::Debian => {
                let folder = libraries(target);
                let flags = format!("rustflags=[\"-L{}\"]", folder.display());
                let config = format!("profile.release.package.{package}.{flags}");
                vec!["-Zprofile-rustflags".to_owned(), "--config".to_owned(), config]
            }
        }
    }

    /// Returns a name for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Toolchain::Rustup => "rustup's library for the enclave target",
            Toolchain::Debian => "Debian's rustc-web and rust-web-src",
        }
    }
}

/// Installs Debian's compiler and its companions, new enough and of one version.
pub(crate) fn debian(names: &[&str]) -> Result<()> {
    packages(names)?;
    if suits(debian_version(), debian_source_version()) {
        return Ok(());
    }
    say("Debian's compiler and its source are not as they have to be: upgrading them");
    install(names)?;
    let (compiler, source) = (debian_version(), debian_source_version());
    if suits(compiler, source) {
        return Ok(());
    }
    let shown = |version: Option<(u32, u32)>| {
        version.map_or_else(|| "none".to_owned(), |(major, minor)| format!("{major}.{minor}"))
    };
    Err(Failure::new(format!(
        "Debian's rustc-web is {} and rust-web-src {}, and {} or later of both is needed: add the \
         security updates of this Debian release to apt's sources, or run `rustup target add \
         {TARGET}` where rustup's servers are within reach; then try again",
        shown(compiler),
        shown(source),
        shown(Some(OLDEST)),
    )))
}

/// Whether a compiler is new enough, and the source has the same version.
fn suits(compiler: Option<(u32, u32)>, source: Option<(u32, u32)>) -> bool {
    compiler.is_some_and(|version| version >= OLDEST) && compiler == source
}

fn debian_version() -> Option<(u32, u32)> {
    let shown = Command::new(DEBIAN_RUSTC).arg("--version").output().ok()?;
    version(std::str::from_utf8(&shown.stdout).ok()?.strip_prefix("rustc ")?)
}

/// Takes the version from the name of the folder to which the link leads.
fn debian_source_version() -> Option<(u32, u32)> {
    let folder = Path::new(DEBIAN_SOURCE).canonicalize().ok()?;
    version(folder.file_name()?.to_str()?.strip_prefix("rustc-")?)
}

/// Returns the major and minor version at the start of a text.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Returns the folder of libraries that cargo does not manage.
fn libraries(target: &Path) -> PathBuf {
    target.join("lib")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_is_accepted_if_it_is_new_enough_and_has_its_source() {
        assert_eq!(version("1.96.0 (ac68faa20 2026-05-25)"), Some((1, 96)));
        assert_eq!(version("1.85.0"), Some((1, 85)));
        assert_eq!(version("nightly"), None);
        assert!(suits(Some((1, 96)), Some((1, 96))));
        assert!(!suits(Some((1, 85)), Some((1, 85))), "too old");
        assert!(!suits(Some((1, 96)), Some((1, 85))));
        assert!(!suits(Some((1, 96)), None));
        assert!(!suits(None, Some((1, 96))));
    }

    #[test]
    fn the_oldest_compiler_is_the_one_that_the_manifests_name() {
        let (major, minor) = OLDEST;
        let line = format!("rust-version = \"{major}.{minor}\"");
        for manifest in ["Cargo.toml", "xtask/Cargo.toml"] {
            let text = fs::read_to_string(crate::root().join(manifest)).unwrap();
            assert!(text.lines().any(|is| is == line), "{manifest}");
        }
    }
}
