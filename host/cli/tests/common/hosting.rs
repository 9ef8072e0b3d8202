//! Hosts, and owners who deploy to them.

use super::owner::Owner;
use super::{Ended, Folder, ended, run_with_input, twine};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Copies standard input to standard output, and exits with 7.
pub const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 2)
    (func (export "_start")
      (i32.store (i32.const 0) (i32.const 1024))
      (loop $next
        (i32.store (i32.const 4) (i32.const 65000))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (if (i32.load (i32.const 8)) (then
          (i32.store (i32.const 4) (i32.load (i32.const 8)))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
          (br $next))))
      (call $exit (i32.const 7))))"#;

/// A `twine host`, which ends with the test.
pub struct Host {
    pub child: Child,
    pub address: String,
    log: Arc<Mutex<String>>,
    pub state: Folder,
}

impl Host {
    pub fn start(options: &[&str]) -> Host {
        Host::in_folder(Folder::new(), options)
    }

    pub fn in_folder(state: Folder, options: &[&str]) -> Host {
        Host::of(twine(), state, options)
    }

    /// Starts one by this command.
    pub fn of(mut command: Command, state: Folder, options: &[&str]) -> Host {
        command.args(["host", "--listen", "127.0.0.1:0", "--state"]).arg(state.path());
        command.args(options).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let mut address = None;
        while address.is_none() {
            let line = lines.next().expect("the host says where it listens").unwrap();
            log.lock().unwrap().push_str(&format!("{line}\n"));
            let rest = line.strip_prefix("<6>listening on ");
            address = rest.and_then(|rest| rest.split(',').next().map(str::to_owned));
        }
        let copy = log.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                copy.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Host { child, address: address.unwrap(), log, state }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends a signal, and returns the exit code.
    pub fn end(&mut self, signal: &str) -> Option<i32> {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    /// Ends it at once, and starts another one with the same state.
    pub fn restart(self) -> Host {
        self.restart_with(&[])
    }

    /// Ends it at once, and starts another one with the same state and these options.
    pub fn restart_with(self, options: &[&str]) -> Host {
        Host::in_folder(self.kill(), options)
    }

    /// Ends it at once, and returns its state.
    pub fn kill(mut self) -> Folder {
        self.end("KILL");
        std::mem::replace(&mut self.state, Folder::new())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An owner with manifests for programs on a host.
pub struct Deployer(pub Owner);

impl Deployer {
    pub fn new() -> Deployer {
        Deployer(Owner::new("ed25519"))
    }

    /// Writes a program, and signs a manifest for it with these options.
    pub fn program(&self, name: &str, text: &str, options: &[&str]) {
        let program = format!("{name}.wat");
        self.0.folder().file(&program, text);
        let usual = ["--elsewhere", "--root", "simulation", "--max-memory", "16MiB"];
        self.0.init(name, &program, &[&usual[..], options].concat(), &[]);
        self.0.sign(name);
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = twine();
        command.current_dir(self.0.folder().path()).args(arguments).args(["--key", "owner.pem"]);
        command
    }

    pub fn deploy(&self, host: &Host, name: &str, options: &[&str], input: &[u8]) -> Ended {
        let (manifest, program) = (format!("{name}.manifest"), format!("{name}.wat"));
        let usual = ["deploy", "--quiet", &host.address, &manifest, &program];
        run_with_input(&mut self.command(&[&usual[..], options].concat()), input)
    }

    /// Runs one of the commands that look after a deployment.
    pub fn manage(&self, host: &Host, command: &str, name: &str, options: &[&str]) -> Ended {
        let manifest = format!("{name}.manifest");
        let usual = [command, "--quiet", &manifest, "--at", &host.address];
        ended(self.command(&[&usual[..], options].concat()).output().unwrap())
    }

    /// Waits until `twine ps` shows a deployment in this state.
    pub fn wait(&self, host: &Host, name: &str, state: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let shown = self.manage(host, "ps", name, &[]);
            let line = shown.out.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            if line.contains(state) {
                return;
            }
            assert!(Instant::now() < end, "{name} is not {state}: {shown:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn sqlite(&self, host: &Host, database: &str, sql: &str) -> Ended {
        let mut command = twine();
        command.current_dir(self.0.folder().path());
        let own = ["--simulation", "--owner-key", "owner.pem", "--quiet", database, sql];
        ended(command.args(["sqlite", "--at", &host.address]).args(own).output().unwrap())
    }
}
