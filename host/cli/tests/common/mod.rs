//! Runs the `twine` command as a user would.
#![allow(dead_code, reason = "each test program uses only a part of this module")]

pub mod hosting;
pub mod owner;
pub mod peers;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Returns the folder of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Returns a file of the build, which must exist.
pub fn built(path: &str) -> PathBuf {
    let path = root().join("target").join(path);
    assert!(path.exists(), "{} is missing: `cargo xtask test` builds it", path.display());
    path
}

/// Returns the released `twine` command.
pub fn twine() -> Command {
    let mut command = Command::new(built("release/twine"));
    command.env_remove("TWINE_IMAGE").env("TWINE_CACHE", cache()).stdin(Stdio::null());
    command
}

/// Returns the tests' folder for compiled code, which is not the user's.
pub fn cache() -> PathBuf {
    root().join("target/test-cache")
}

/// Builds the enclave's program into a signed image in a folder, with these options.
#[track_caller]
pub fn image(folder: &Folder, name: &str, options: &[&str]) -> PathBuf {
    let image = folder.path().join(name);
    let elf = built("sgx/x86_64-fortanix-unknown-sgx/release/twine-runtime");
    let built =
        run(twine().args(["image", "build", "--output"]).arg(&image).args(options).arg(elf));
    assert_eq!(built.code, Some(0), "{built:?}");
    let signed = run(twine().args(["image", "sign"]).arg(&image));
    assert_eq!(signed.code, Some(0), "{signed:?}");
    image
}

/// Returns the manifest of the image in which programs run.
pub fn manifest() -> String {
    root().join("enclave/runtime/image.toml").display().to_string()
}

/// The result of a command.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends SIGINT to a process through a shell: the program `kill` is not on every machine.
pub fn interrupt(process: u32) {
    let mut shell = Command::new("sh");
    run(shell.args(["-c", &format!("kill -INT {process}")])).printed("");
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ended {
    ended(command.output().unwrap())
}

/// Runs a command with `input` as its standard input.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Another thread writes, because the program may write before it has read everything.
    let writer = std::thread::spawn(move || {
        // A program that ends early closes the pipe.
        let _ = pipe.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    ended(output)
}

impl Ended {
    /// Checks that it failed as a command should: with one line of cause that contains `cause`, one
    /// of remedy, and nothing else.
    #[track_caller]
    pub fn failed_with(&self, code: i32, cause: &str) {
        let lines: Vec<&str> = self.err.lines().collect();
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(lines.len(), 2, "{self:?}");
        assert!(lines[0].starts_with("error: ") && lines[0].contains(cause), "{self:?}");
        assert!(lines[1].starts_with("  help: ") && lines[1].len() > 12, "{self:?}");
    }

    /// Checks that clap refused its options, and names this one.
    #[track_caller]
    pub fn failed_usage(&self, option: &str) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(self.err.starts_with("error: ") && self.err.contains(option), "{self:?}");
    }

    /// Checks that it trapped: exit code 134, the cause and a backtrace.
    #[track_caller]
    pub fn trapped_with(&self, cause: &str) {
        let mut lines = self.err.lines();
        assert_eq!(self.code, Some(134), "{self:?}");
        let first = lines.next().unwrap_or_default();
        assert!(first.starts_with("error: ") && first.contains(cause), "{self:?}");
        assert!(lines.all(|line| line.starts_with("  ")), "{self:?}");
    }

    /// Checks that it succeeded and printed `out`.
    #[track_caller]
    pub fn printed(&self, out: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(0), out), "{self:?}");
    }
}

/// A folder that is removed when the test ends.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("twine-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Writes a file into the folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
