//! A containerd of its own for each test, with its own root, state and socket.

use rustix::process::Pid;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use twine_oci_image::{Form, Recipe, build};

/// How long anything in a test may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program with containerd, and the container of an ordinary image beside.
pub struct Node {
    folder: TempDir,
    namespace: String,
    containerd: Child,
    prefix: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Ended {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A file that the build makes. It must be there.
pub fn built(path: &str) -> PathBuf {
    let path = project().join("target").join(path);
    assert!(path.exists(), "{} is missing: `cargo xtask test` builds it", path.display());
    path
}

/// Installs Twine below a folder of the build, once for all tests.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = project().join("target/test-oci");
        let _ = fs::remove_dir_all(&prefix);
        for folder in ["bin", "lib/twine"] {
            fs::create_dir_all(prefix.join(folder)).unwrap();
        }
        let place = |from: &Path, to: &str| fs::copy(from, prefix.join(to)).map(drop).unwrap();
        place(Path::new(env!("CARGO_BIN_EXE_twine-oci")), "bin/twine-oci");
        place(&built("release/twine"), "bin/twine");
        for file in ["twine.sgxs", "twine.sig", "twine.toml"] {
            place(&built(&format!("release/{file}")), &format!("lib/twine/{file}"));
        }
        prefix
    })
}

/// Says on the standard error of the test run, which is not captured, that a test was left out.
fn skip(why: &str) {
    let _ = writeln!(io::stderr(), "skipped: a test with containerd: {why}");
}

/// Why this machine can't run containers, if so.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root".into());
    }
    let is_missing = |name: &&str| Command::new(name).arg("--version").output().is_err();
    ["containerd", "ctr", "runc", "busybox"]
        .iter()
        .find(|name| is_missing(name))
        .map(|name| format!("there is no {name}"))
}

/// Makes a folder. The path of a socket is short, so it is one for temporary files.
fn folder() -> TempDir {
    tempfile::Builder::new().prefix("twine-oci-").tempdir().unwrap()
}

/// Writes the configuration of a containerd with its own root, state and socket. Returns its path.
fn write_configuration(folder: &Path, more: &str) -> PathBuf {
    let at = |name: &str| folder.join(name).display().to_string();
    let (root, state, socket) = (at("root"), at("state"), at("sock"));
    let own = format!("version = 2\nroot = {root:?}\nstate = {state:?}\n");
    let grpc = format!("[grpc]\naddress = {socket:?}\n");
    let text = match more.starts_with('[') {
        true => [own, grpc, more.into()].concat(),
        false => [own, more.into(), grpc].concat(),
    };
    let path = folder.join("config.toml");
    fs::write(&path, text).unwrap();
    path
}

impl Node {
    /// Starts a containerd that has an image with busybox. Returns `None` where this machine can't
    /// run even that, and says so.
    pub fn start() -> Option<Self> {
        if let Some(why) = missing() {
            skip(&why);
            return None;
        }
        let folder = folder();
        // Containers of several nodes may have the same names: runc and cgroups know the namespace.
        let namespace = folder.path().file_name().unwrap().to_string_lossy().into_owned();
        let more = "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
        write_configuration(folder.path(), more);
        Node::run_in(folder, namespace)
    }

    /// Starts a containerd with the interface of Kubernetes, into whose configuration `twine-oci
    /// install` has written Twine's runtime. Returns `None` where this machine can't run it.
    pub fn of_kubernetes() -> Option<Self> {
        if let Some(why) = missing() {
            skip(&why);
            return None;
        }
        let folder = folder();
        let more = "[plugins.\"io.containerd.grpc.v1.cri\"]\n\
                    sandbox_image = \"docker.io/library/pause:1\"\n\
                    restrict_oom_score_adj = true\n";
        let path = write_configuration(folder.path(), more);
        let mut install = Command::new(prefix().join("bin/twine-oci"));
        let installed: Ended =
            install.arg("install").arg("--config").arg(path).output().unwrap().into();
        installed.expect(0);
        let node = Node::run_in(folder, "k8s.io".into())?;
        node.import_ordinary("pause:1", &["sleep", "3600"]);
        Some(node)
    }

    fn run_in(folder: TempDir, namespace: String) -> Option<Self> {
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let containerd = Command::new("containerd")
            .arg("--config")
            .arg(folder.path().join("config.toml"))
            .env("TWINE_OCI_STATE", folder.path().join("twine"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let node = Node { folder, namespace, containerd, prefix: prefix().to_owned() };
        node.wait("containerd to answer", || node.ctr(&["version"]).code == Some(0));
        node.import_ordinary("busybox:1", &["sh"]);
        let tried = node.busybox(&["true"]);
        if tried.code != Some(0) {
            skip(&format!("runc can't run busybox here: {}", tried.err.trim()));
            return None;
        }
        Some(node)
    }

    /// A path in the folder of this node.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// The bundle of a running container.
    pub fn bundle(&self, name: &str) -> PathBuf {
        let tasks = self.path("state/io.containerd.runtime.v2.task");
        tasks.join(&self.namespace).join(name)
    }

    /// The process of a container's shim.
    #[track_caller]
    pub fn shim(&self, name: &str) -> Pid {
        let wanted = ["-namespace", &self.namespace, "-id", name].join("\0");
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let process = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let line = fs::read(format!("/proc/{process}/cmdline")).ok()?;
            String::from_utf8_lossy(&line).contains(&wanted).then_some(process)
        });
        let found: Vec<i32> = processes.collect();
        assert_eq!(found.len(), 1, "shims of {name}");
        Pid::from_raw(found[0]).unwrap()
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub fn wait(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            let log = || fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "waiting for {what}; containerd: {}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn ctr_command(&self, arguments: &[&str]) -> Command {
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(self.path("sock")).args(["--namespace", &self.namespace]);
        ctr.args(arguments).stdin(Stdio::null());
        ctr
    }

    pub fn ctr(&self, arguments: &[&str]) -> Ended {
        self.ctr_command(arguments).output().unwrap().into()
    }

    /// The arguments of `ctr run` for an ordinary container with `twine-oci` as the runtime.
    pub fn ordinary_arguments(&self) -> Vec<String> {
        let runtime = self.prefix.join("bin/twine-oci").display().to_string();
        ["run", "--runtime", "io.containerd.runc.v2", "--runc-binary", &runtime]
            .map(str::to_owned)
            .into()
    }

    /// `ctr run` with `twine-oci` as the runtime.
    pub fn run_command(&self, arguments: &[&str]) -> Command {
        let own = self.ordinary_arguments();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        self.ctr_command(&[&own[..], &["--platform", "wasi/wasm"], arguments].concat())
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_command(arguments).output().unwrap().into()
    }

    /// Runs busybox under runc, without Twine.
    pub fn busybox(&self, arguments: &[&str]) -> Ended {
        let run = ["run", "--rm", "--runtime", "io.containerd.runc.v2", "busybox:1", "plain"];
        self.ctr(&[&run, arguments].concat())
    }

    /// Builds an image from a program, and imports it as `NAME:1`.
    pub fn import(&self, name: &str, program: Vec<u8>) {
        self.import_recipe(name, Recipe { program, path: "app.wasm".into(), ..Recipe::default() });
    }

    pub fn import_recipe(&self, name: &str, recipe: Recipe) {
        let archive = self.path(&format!("{name}.tar"));
        let name = format!("{name}:1");
        build(recipe, Form::Image).unwrap().write_archive(&archive, &name).unwrap();
        self.import_archive(&archive, &name);
    }

    /// Imports an archive, and gives the image a short name.
    fn import_archive(&self, archive: &Path, name: &str) {
        let archive = archive.display().to_string();
        self.ctr(&["image", "import", "--all-platforms", &archive]).expect(0);
        let whole = format!("docker.io/library/{name}");
        self.ctr(&["image", "tag", &whole, name]).expect(0);
    }

    /// Imports an image with busybox and a command for this machine, as other tools make it.
    fn import_ordinary(&self, name: &str, command: &[&str]) {
        let places = ["/bin/busybox", "/usr/bin/busybox"];
        let busybox = places.into_iter().map(Path::new).find(|path| path.exists()).unwrap();
        let archive = self.path("ordinary.tar");
        super::ordinary::write(&archive, busybox, command, &format!("docker.io/library/{name}"));
        self.import_archive(&archive, name);
    }

    /// The memory of containers, in bytes: all of it, and without the pages of files.
    pub fn memory(&self, names: &[String]) -> [u64; 2] {
        let number = |text: &str| text.trim().parse::<u64>().unwrap();
        let mut sums = [0; 2];
        for name in names {
            let v1 = Path::new("/sys/fs/cgroup/memory").join(&self.namespace).join(name);
            let v2 = Path::new("/sys/fs/cgroup").join(&self.namespace).join(name);
            let (folder, total, own) = match v1.exists() {
                true => (v1, "memory.usage_in_bytes", "rss "),
                false => (v2, "memory.current", "anon "),
            };
            let statistics = fs::read_to_string(folder.join("memory.stat")).unwrap();
            let own = statistics.lines().find_map(|line| line.strip_prefix(own)).unwrap();
            sums[0] += number(&fs::read_to_string(folder.join(total)).unwrap());
            sums[1] += number(own);
        }
        sums
    }

    /// Names and states of the tasks.
    pub fn tasks(&self) -> Vec<(String, String)> {
        let listed = self.ctr(&["task", "ls"]).expect(0).out;
        let words = |line: &str| {
            let mut words = line.split_whitespace();
            let (name, _, state) = (words.next()?, words.next()?, words.next()?);
            Some((name.to_owned(), state.to_owned()))
        };
        listed.lines().skip(1).filter_map(words).collect()
    }

    /// Starts a container that goes on by itself, with its output in a file.
    #[track_caller]
    pub fn start_container(&self, options: &[&str], image: &str, name: &str) {
        let log = format!("file://{}", self.path(&format!("{name}.log")).display());
        let detached = ["--detach", "--log-uri", &log];
        self.run(&[&detached, options, &[image, name]].concat()).expect(0);
    }

    /// What a container has written so far.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    /// Removes a container that was killed, once it has ended.
    #[track_caller]
    pub fn remove(&self, name: &str) {
        self.wait("the container to end", || {
            !self.tasks().iter().any(|(other, state)| other == name && state == "RUNNING")
        });
        self.ctr(&["task", "delete", name]);
        self.ctr(&["container", "delete", name]).expect(0);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for (name, _) in self.tasks() {
            self.ctr(&["task", "kill", "--signal", "SIGKILL", &name]);
            self.remove(&name);
        }
        let _ = self.containerd.kill();
        let _ = self.containerd.wait();
        // runc leaves the folders of its namespace behind, which are empty now.
        let _ = fs::remove_dir(Path::new("/run/containerd/runc").join(&self.namespace));
        for controller in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let _ = fs::remove_dir(controller.path().join(&self.namespace));
        }
        let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(&self.namespace));
    }
}
