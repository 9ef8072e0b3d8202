//! Checks that the same source gives the same MRENCLAVE anywhere: builds the image's program a
//! second time, from nothing, in another folder with another home, and compares.

use crate::enclave;
use crate::process::{Failure, Result, command, output, say};
use crate::toolchain::cargo_home;
use std::env;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The folder of the second build. Other commands may fail at the space in its path.
const ELSEWHERE: &str = "target/reproduce/a folder elsewhere";

/// The copy of the checkout, and the output of its build, in that folder.
const COPY: &str = "checkout";
const LOG: &str = "build.log";

/// The second build, from nothing, in a copy of this checkout. It ends with this value.
pub(crate) struct SecondBuild {
    root: PathBuf,
    child: Child,
}

impl SecondBuild {
    /// Starts the build. The copy has its own folder, home and cargo folder. The build uses cargo's
    /// downloads, but nothing that was compiled here. Its output goes to a file.
    pub(crate) fn start(root: &Path) -> Result<Self> {
        say("building the image's program from nothing in another folder");
        // The first build downloads what the second one needs.
        enclave::program(root)?;
        let elsewhere = root.join(ELSEWHERE);
        if elsewhere.exists() {
            fs::remove_dir_all(&elsewhere)?;
        }
        let copy = elsewhere.join(COPY);
        copy_source(root, &copy)?;
        let (home, cargo) = (elsewhere.join("home"), elsewhere.join("cargo"));
        fs::create_dir_all(&home)?;
        fs::create_dir_all(cargo.join("registry"))?;
        for downloads in ["cache", "index"] {
            let name = Path::new("registry").join(downloads);
            symlink(cargo_home()?.join(&name), cargo.join(&name))?;
        }
        let mut build = command("cargo", &copy);
        build.args(["xtask", "program"]).env("HOME", home).env("CARGO_HOME", cargo);
        build.env_remove("CARGO_TARGET_DIR").env_remove("XDG_CACHE_HOME");
        // Other builds of this checkout may use the downloads at the same time.
        build.env("CARGO_NET_OFFLINE", "true");
        // The toolchain is the same, whoever's home contains it.
        let rustup = env::var_os("RUSTUP_HOME").map(PathBuf::from);
        if let Some(rustup) = rustup.or_else(|| env::home_dir().map(|home| home.join(".rustup"))) {
            build.env("RUSTUP_HOME", rustup);
        }
        let log = File::create(elsewhere.join(LOG))?;
        build.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A group of its own: the end of cargo alone would not end its compilers.
        let child = build.process_group(0).spawn()?;
        Ok(SecondBuild { root: root.to_owned(), child })
    }

    /// Waits for the build, and compares its MRENCLAVE with that of this checkout.
    pub(crate) fn finish(mut self) -> Result<()> {
        say("waiting for the build in another folder");
        let elsewhere = self.root.join(ELSEWHERE);
        let status = self.child.wait()?;
        if !status.success() {
            let log = fs::read_to_string(elsewhere.join(LOG))?;
            return Err(Failure::new(format!("the second build failed: {status}\n{log}")));
        }
        let here = enclave::mrenclave(&self.root, &enclave::program(&self.root)?)?;
        let program = enclave::programs(&elsewhere.join(COPY)).join("twine-runtime");
        let there = enclave::mrenclave(&self.root, &program)?;
        if here != there {
            return Err(Failure::new(format!(
                "MRENCLAVE is {here} here and {there} in another folder: something of the folder, \
                 of the home or of what was built before went into {}",
                program.display()
            )));
        }
        fs::remove_dir_all(self.root.join("target/reproduce"))?;
        println!("MRENCLAVE is the same from nothing in another folder: {here}");
        Ok(())
    }
}

impl Drop for SecondBuild {
    /// Ends the build and what it has started. A build that has ended is not affected.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // The group may end in between.
            let _ = Command::new("sh")
                .args(["-c", "kill -KILL -- \"-$0\""])
                .arg(self.child.id().to_string())
                .status();
            let _ = self.child.wait();
        }
    }
}

/// Builds a second time, and compares.
pub(crate) fn check(root: &Path) -> Result<()> {
    SecondBuild::start(root)?.finish()
}

/// Copies the present files of a checkout.
pub(crate) fn copy_source(root: &Path, copy: &Path) -> Result<()> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    for file in output(command("git", root).args(list))?.split_terminator('\0') {
        let (from, to) = (root.join(file), copy.join(file));
        if let (true, Some(folder)) = (from.exists(), to.parent()) {
            fs::create_dir_all(folder)?;
            fs::copy(from, to)?;
        }
    }
    Ok(())
}
