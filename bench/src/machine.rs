//! A description of the machine on which the numbers were measured.

use crate::error::{Error, Result, about};
use crate::process::Workspace;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The facts that must be known before numbers are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub cpu: String,
    pub cores: usize,
    /// Whether this is a virtual machine.
    pub virtual_machine: bool,
    pub memory_mib: u64,
    pub kernel: String,
    /// `always`, `madvise` or `never`: it changes the cost of first touches of memory.
    pub huge_pages: String,
    /// The average number of processes that ran or wanted to, over the last minute before the
    /// measurements began.
    pub load_average: f64,
    /// The scheduling policy, which the processes inherit from the one that measures.
    pub scheduling: String,
    pub sgx: Sgx,
    pub versions: Versions,
}

/// The kind of SGX that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sgx {
    Hardware,
    Software,
}

impl fmt::Display for Sgx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sgx::Hardware => "hardware",
            Sgx::Software => {
                "software: its times hold nothing of EPC paging, of memory encryption or of what \
                 a real EENTER and EEXIT cost"
            }
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub twine: String,
    /// The commit of the checkout, with a `+` if files differ from it.
    pub commit: String,
    /// The images from which `twine run` chooses by a program's size.
    pub images: Vec<Image>,
    pub wasmtime: String,
    pub rustc: String,
    /// The compilers that have built the rivals for this machine, and the programs.
    pub gcc: String,
    pub clang: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Image {
    pub name: String,
    pub mrenclave: String,
    pub mib: f64,
}

/// The fields of `twine info --json`.
#[derive(Deserialize)]
struct Info {
    version: String,
    tee: String,
    images: Vec<PathBuf>,
}

impl Machine {
    /// Describes this machine.
    ///
    /// # Errors
    /// An error if the `twine` command does not work or has no image.
    pub(crate) fn detect(workspace: &Workspace) -> Result<Self> {
        let info = run(Command::new(&workspace.twine).args(["info", "--json"]))?;
        let info: Info =
            serde_json::from_str(&info).map_err(|error| Error::Program(error.to_string()))?;
        // The image that this variable names is used for all programs.
        let images = match std::env::var_os("TWINE_IMAGE") {
            Some(image) => vec![image.into()],
            None => info.images,
        };
        if images.is_empty() {
            return Err(Error::NotBuilt(workspace.twine.with_extension("sgxs")));
        }
        let cpuinfo = read("/proc/cpuinfo");
        let system = rustix::system::uname();
        let load = read("/proc/loadavg");
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Ok(Machine {
            cpu: cpu(&cpuinfo),
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            virtual_machine: field(&cpuinfo, "flags").split(' ').any(|flag| flag == "hypervisor"),
            memory_mib: memory.trim_end_matches(" kB").parse().unwrap_or(0) / 1024,
            kernel: format!(
                "{} {}",
                system.sysname().to_string_lossy(),
                system.release().to_string_lossy()
            ),
            huge_pages: chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled")),
            load_average: load.split(' ').next().and_then(|one| one.parse().ok()).unwrap_or(0.0),
            scheduling: scheduling(&read("/proc/self/stat")),
            sgx: if info.tee == "sim" { Sgx::Software } else { Sgx::Hardware },
            versions: Versions {
                twine: info.version,
                commit: commit(&workspace.root),
                images: images.iter().map(|path| image(workspace, path)).collect::<Result<_>>()?,
                wasmtime: locked("wasmtime"),
                rustc: first_line(
                    Command::new("rustc").arg("--version").current_dir(&workspace.root),
                ),
                gcc: first_line(Command::new("gcc").arg("--version")),
                clang: first_line(Command::new("clang-22").arg("--version")),
            },
        })
    }

    /// Returns an unknown machine, for tests of messages about others.
    #[cfg(test)]
    pub(crate) fn unknown() -> Self {
        let unknown = || "?".to_owned();
        Machine {
            cpu: unknown(),
            cores: 2,
            virtual_machine: false,
            memory_mib: 0,
            kernel: unknown(),
            huge_pages: unknown(),
            load_average: 0.0,
            scheduling: unknown(),
            sgx: Sgx::Software,
            versions: Versions {
                twine: unknown(),
                commit: unknown(),
                images: Vec::new(),
                wasmtime: unknown(),
                rustc: unknown(),
                gcc: unknown(),
                clang: unknown(),
            },
        }
    }

    /// Whether others use this machine so much that its times mean little.
    pub(crate) fn busy(&self) -> bool {
        self.load_average > self.cores as f64 / 2.0
    }
}

fn image(workspace: &Workspace, path: &Path) -> Result<Image> {
    let shown = run(Command::new(&workspace.twine).args(["image", "measure"]).arg(path))?;
    let bytes = about(path.display(), fs::metadata(path))?.len();
    Ok(Image {
        name: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        mrenclave: shown.split_whitespace().last().unwrap_or("?").to_owned(),
        mib: bytes as f64 / f64::from(1 << 20),
    })
}

fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = about(&name, command.output())?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Failed { command: name, why });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns the first line that a command prints, which names its version.
fn first_line(command: &mut Command) -> String {
    let printed = run(command).unwrap_or_default();
    printed.lines().next().unwrap_or("?").to_owned()
}

/// Returns the scheduling policy from fields 40 and 41 of a process's status (proc(5)).
fn scheduling(stat: &str) -> String {
    // A name may contain spaces and brackets, and ends with the last bracket.
    let after_name = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let field = |number: usize| after_name.split_whitespace().nth(number - 3);
    match (field(41), field(40)) {
        (Some("0"), _) => "as all others".into(),
        (Some("1"), Some(priority)) => format!("real time, FIFO {priority}"),
        (Some("2"), Some(priority)) => format!("real time, RR {priority}"),
        (Some(policy), _) => format!("policy {policy}"),
        _ => "?".into(),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Returns the value of the first `name: value`.
fn field(text: &str, name: &str) -> String {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map_or_else(|| "?".to_owned(), |(_, value)| value.trim().to_owned())
}

fn cpu(cpuinfo: &str) -> String {
    let field = |name| field(cpuinfo, name);
    format!(
        "{} (family {}, model {}, stepping {})",
        field("model name"),
        field("cpu family"),
        field("model"),
        field("stepping")
    )
}

/// Returns the word in brackets of a text such as `always [madvise] never`.
fn chosen(text: &str) -> String {
    let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    chosen.map_or("?", |(chosen, _)| chosen).to_owned()
}

/// Returns a package's version in the lock file with which this program was built.
fn locked(package: &str) -> String {
    let wanted = format!("name = \"{package}\"");
    let mut lines = include_str!("../../Cargo.lock").lines();
    let version = lines.find(|line| *line == wanted).and_then(|_| lines.next());
    let version = version.and_then(|line| line.strip_prefix("version = "));
    version.unwrap_or("?").trim_matches('"').to_owned()
}

fn commit(root: &Path) -> String {
    let git = |arguments: &[&str]| run(Command::new("git").args(arguments).current_dir(root));
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        Ok(commit) => {
            let changed = git(&["status", "--porcelain"]).is_ok_and(|files| !files.is_empty());
            if changed { commit + "+" } else { commit }
        }
        Err(_) => "?".into(),
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, memory_mib, kernel, huge_pages, versions, .. } = self;
        let machine = if self.virtual_machine { ", virtual machine" } else { "" };
        writeln!(f, "machine   {cpu}, {cores} cores, {memory_mib} MiB{machine}")?;
        writeln!(f, "kernel    {kernel}, huge pages: {huge_pages}")?;
        write!(f, "load      {:.2}", self.load_average)?;
        write!(f, "{}", if self.busy() { ": busy, so times say little" } else { "" })?;
        writeln!(f, "; scheduled {}", self.scheduling)?;
        writeln!(f, "twine     {}, commit {}", versions.twine, versions.commit)?;
        for Image { name, mrenclave, mib } in &versions.images {
            writeln!(f, "image     {name}, {mib:.1} MiB, MRENCLAVE {mrenclave}")?;
        }
        writeln!(f, "built by  {}, wasmtime {}", versions.rustc, versions.wasmtime)?;
        writeln!(f, "rivals    {}; {}", versions.gcc, versions.clang)?;
        writeln!(f, "SGX       {}", self.sgx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_choices_are_found_where_linux_puts_them() {
        let text =
            "processor\t: 0\nmodel name\t: Some CPU\ncpu family\t: 25\nflags\t\t: fpu hypervisor\n";
        assert_eq!(field(text, "model name"), "Some CPU");
        assert_eq!(field(text, "missing"), "?");
        assert_eq!(cpu(text), "Some CPU (family 25, model ?, stepping ?)");
        assert_eq!(chosen("always [madvise] never\n"), "madvise");
        assert_eq!(chosen(""), "?");
    }

    #[test]
    fn the_scheduling_policy_is_found_behind_any_name() {
        let stat = |policy, priority| {
            let middle = ["0"; 36].join(" ");
            format!("7 (a) b) S {middle} {priority} {policy} 0 0 0")
        };
        assert_eq!(scheduling(&stat(0, 0)), "as all others");
        assert_eq!(scheduling(&stat(1, 10)), "real time, FIFO 10");
        assert_eq!(scheduling(""), "?");
    }

    #[test]
    fn the_version_of_wasmtime_is_the_locked_one() {
        assert!(locked("wasmtime").starts_with("48."));
        assert_eq!(locked("no-such-package"), "?");
    }
}
