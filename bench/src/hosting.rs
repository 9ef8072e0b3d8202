//! `hosting`: deployments on a `twine host` of this machine, over loopback.

mod tls;

use crate::error::{Error, Result, about};
use crate::process::{Job, Runner, Workspace, cause};
use crate::report::{Bar, Case, Section};
use crate::statistics::{Effort, Sample, interleaved};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const SINK: &str = include_str!("../programs/sink.wat");
const SOURCE: &str = include_str!("../programs/source.wat");

/// The bytes that go through the channel in one run.
const BULK: u64 = 256 << 20;

/// The bar of a deployment, in milliseconds, of the channel (as 1 over 60% of the speed), and of
/// SQLite elsewhere.
const DEPLOY: Bar = Bar::AtMostOr { ratio: 0.0, value: 150.0 };
const CHANNEL: Bar = Bar::AtMost(1.0 / 0.6);
const SQLITE: Bar = Bar::AtMost(1.05);

/// The work of speedtest1, for `--size`.
const SIZE: &str = "50";

/// How many deployments there are at once, one after the other, and idle.
struct Counts {
    at_once: usize,
    in_turn: usize,
    idle: usize,
}

pub(crate) fn measure(workspace: &Workspace, effort: Effort, quick: bool) -> Section {
    let mut section = Section::new(
        "hosting",
        "deployments on one `twine host` over loopback, evidence and verification included: each run is \
         a `twine deploy` from its start to its end, and the host has the program",
    );
    let counts = match quick {
        true => Counts { at_once: 20, in_turn: 20, idle: 8 },
        false => Counts { at_once: 200, in_turn: 1000, idle: 32 },
    };
    match Place::new(workspace) {
        Err(error) => section.skip("all", error.to_string()),
        Ok(place) => {
            section.add("deploy", place.hello(effort));
            section.add("channel in", place.channel(effort, true));
            section.add("channel out", place.channel(effort, false));
            section.add("speedtest1", place.speedtest(effort));
            section.add("many", place.many(&counts));
            section.add("idle", place.idle(&counts));
        }
    }
    section
}

/// A host, and the folder of an owner.
struct Place<'w> {
    workspace: &'w Workspace,
    folder: PathBuf,
    host: Child,
    address: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let _ = self.host.kill();
        let _ = self.host.wait();
    }
}

fn succeed(command: &mut Command) -> Result<Vec<u8>> {
    let output = about("twine", command.output())?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(Error::Failed {
            command: format!("{command:?}"),
            why: cause(&output.stderr, output.status),
        }),
    }
}

impl<'w> Place<'w> {
    fn new(workspace: &'w Workspace) -> Result<Self> {
        let folder = workspace.scratch.join("owner");
        about(folder.display(), fs::create_dir_all(&folder))?;
        let mut command = workspace.twine();
        command.args(["host", "--listen", "127.0.0.1:0", "--state"]);
        command.arg(workspace.scratch.join("state")).stderr(Stdio::piped()).stdout(Stdio::null());
        let mut host = about("twine host", command.spawn())?;
        let mut address = None;
        if let Some(log) = host.stderr.take() {
            let mut lines = BufReader::new(log).lines().map_while(std::result::Result::ok);
            address = lines.find_map(|line| {
                Some(line.split_once("listening on ")?.1.split(',').next()?.to_owned())
            });
            thread::spawn(move || lines.for_each(drop));
        }
        let mut place = Place { workspace, folder, host, address: String::new() };
        place.address =
            address.ok_or_else(|| Error::Program("twine host does not listen".into()))?;
        succeed(&mut place.twine(&["key", "new", "-o", "owner.pem", "--public", "owner.pub"]))?;
        Ok(place)
    }

    fn twine(&self, arguments: &[&str]) -> Command {
        let mut command = self.workspace.twine();
        command.current_dir(&self.folder).args(arguments).stdin(Stdio::null());
        command
    }

    /// Signs a manifest for a program, and has the host keep the program.
    fn sign(&self, name: &str, program: &Path, options: &[&str], arguments: &[&str]) -> Result<()> {
        let (toml, program) = (format!("{name}.toml"), program.display().to_string());
        let usual = ["manifest", "init", "--elsewhere", "--root", "simulation", "--name", name];
        let output = ["--output", &toml];
        let rest = [&[&*program, "--"], arguments].concat();
        succeed(&mut self.twine(&[&usual[..], &output, options, &rest].concat()))?;
        succeed(&mut self.twine(&["manifest", "sign", &toml, "--key", "owner.pem"])).map(drop)
    }

    fn deploy(&self, name: &str, more: &[&str]) -> Command {
        let manifest = format!("{name}.manifest");
        let usual = ["deploy", "--quiet", "--key", "owner.pem", &self.address, &manifest];
        self.twine(&[&usual[..], more].concat())
    }

    fn seconds(command: &mut Command) -> Result<f64> {
        let start = Instant::now();
        succeed(command)?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn hello(&self, effort: Effort) -> Result<Case> {
        let program = self.workspace.guest("hello")?;
        self.sign("hello", &program, &["--max-memory", "16MiB"], &[])?;
        let path = program.display().to_string();
        succeed(&mut self.deploy("hello", &[&path]))?;
        let job = Job::new(&program, &[]);
        let mut ours = || Ok::<_, Error>(Self::seconds(&mut self.deploy("hello", &[]))? * 1e3);
        let mut local =
            || Ok(self.workspace.run_well(Runner::Enclave, &job, false)?.wall.as_secs_f64() * 1e3);
        local()?;
        let samples = interleaved(effort, &mut [&mut ours, &mut local])?;
        let rivals = ["twine deploy", "twine run"].into_iter().zip(samples);
        Ok(Case::new("deploy hello.wasm", "ms", rivals, Some(DEPLOY)))
    }

    /// Measures the channel in one direction, beside plain TLS between two threads outside.
    fn channel(&self, effort: Effort, inwards: bool) -> Result<Case> {
        let (name, text) = if inwards { ("sink", SINK) } else { ("source", SOURCE) };
        let program = self.workspace.own_program(name, text)?;
        self.sign(name, &program, &["--max-memory", "16MiB"], &[])?;
        let path = program.display().to_string();
        let bulk = self.folder.join("bulk");
        let file = about(bulk.display(), fs::File::create(&bulk))?;
        about(bulk.display(), file.set_len(if inwards { BULK } else { 0 }))?;
        let mut ours = || {
            let input = about(bulk.display(), fs::File::open(&bulk))?;
            let mut command = self.deploy(name, &[&path]);
            let start = Instant::now();
            let status = command.stdin(input).stdout(Stdio::null()).status();
            match about("twine deploy", status)?.success() {
                true => Ok(start.elapsed().as_secs_f64()),
                false => Err(Error::Program(format!("{name} failed"))),
            }
        };
        let mut plain = || tls::seconds(BULK, inwards);
        ours()?;
        let samples = interleaved(effort, &mut [&mut ours, &mut plain])?;
        let rivals = ["twine deploy", "plain TLS outside (rustls)"].into_iter().zip(samples);
        let what = if inwards { "to" } else { "from" };
        Ok(Case::new(format!("256 MiB {what} a program"), "s", rivals, Some(CHANNEL)))
    }

    fn speedtest(&self, effort: Effort) -> Result<Case> {
        let program = self.workspace.guest("speedtest")?;
        let path = program.display().to_string();
        let arguments = ["--size", SIZE, "--pagesize", "4096", "--cachesize", "2048", "/speed.db"];
        let options = ["--max-memory", "256MiB", "--dir", "::/"];
        self.sign("speedtest", &program, &options, &arguments)?;
        let volume = self.workspace.scratch.join("speed.vol").display().to_string();
        let job = Job {
            options: vec!["--dir".into(), format!("{volume}::/")],
            ..Job::new(&program, &arguments)
        };
        let mut ours = || Self::seconds(&mut self.deploy("speedtest", &[&path]));
        let mut local = || {
            let run = self.workspace.run_well(Runner::Enclave, &job, false)?;
            Ok(run.wall.as_secs_f64())
        };
        // A deployment can be stopped at any loop, as a run with a limit of time can.
        let limit = ["--timeout", "1h"].map(str::to_owned);
        let timed = Job { options: [&limit[..], &job.options].concat(), ..job.clone() };
        let mut limited = || {
            let run = self.workspace.run_well(Runner::Enclave, &timed, false)?;
            Ok(run.wall.as_secs_f64())
        };
        ours()?;
        local()?;
        limited()?;
        let samples = interleaved(effort, &mut [&mut ours, &mut local, &mut limited])?;
        let names = ["twine deploy", "twine run", "twine run --timeout"];
        let rivals = names.into_iter().zip(samples);
        Ok(Case::new("speedtest1 on a volume", "s", rivals, Some(SQLITE)))
    }

    /// Returns the resident memory of the host in MiB.
    fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.host.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    }

    fn many(&self, counts: &Counts) -> Result<Case> {
        let program = self.workspace.guest("hello")?;
        for at in 0..counts.at_once {
            self.sign(&format!("m{at}"), &program, &["--max-memory", "16MiB"], &[])?;
        }
        let start = Instant::now();
        let names: Vec<String> = (0..counts.at_once).map(|at| format!("m{at}")).collect();
        let mut clients = Vec::new();
        for name in &names {
            let mut command = self.deploy(name, &[]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            clients.push(about("twine deploy", command.spawn())?);
        }
        let mut failed = 0;
        for mut client in clients {
            failed += usize::from(!about("twine deploy", client.wait())?.success());
        }
        let at_once = start.elapsed().as_secs_f64();
        let before = self.resident();
        let start = Instant::now();
        for _ in 0..counts.in_turn {
            succeed(&mut self.deploy("hello", &[]))?;
        }
        let in_turn = start.elapsed().as_secs_f64();
        let rivals = [("failed", Sample::exact(failed as f64))];
        Ok(Case::new(
            format!("{} deployments at once, {} in turn", counts.at_once, counts.in_turn),
            "",
            rivals,
            Some(Bar::Exactly(0.0)),
        )
        .detail("s for those at once", at_once)
        .detail("s for those in turn", in_turn)
        .detail("MiB of the host before those in turn", before)
        .detail("MiB after them", self.resident()))
    }

    /// Measures what a deployment takes that waits for its input.
    fn idle(&self, counts: &Counts) -> Result<Case> {
        /// The linear memory of the program, in MiB.
        const OWN: f64 = 3.0 * 65536.0 / (1 << 20) as f64;
        let program = self.workspace.own_program("idle", SINK)?;
        let path = program.display().to_string();
        let names: Vec<String> = (0..=counts.idle).map(|at| format!("idle{at}")).collect();
        for name in &names {
            self.sign(name, &program, &["--max-memory", "16MiB"], &[])?;
        }
        let [first, rest @ ..] = &names[..] else { return Err(Error::Program("no names".into())) };
        succeed(&mut self.deploy(first, &["--detach", &path]))?;
        thread::sleep(Duration::from_secs(1));
        let before = self.resident();
        for name in rest {
            succeed(&mut self.deploy(name, &["--detach", &path]))?;
        }
        thread::sleep(Duration::from_secs(1));
        let each = (self.resident() - before) / counts.idle as f64;
        let rivals = [("resident", Sample::exact(each))];
        let bar = Bar::AtMostOr { ratio: 0.0, value: OWN + 1.0 };
        Ok(Case::new("an idle deployment", "MiB", rivals, Some(bar))
            .detail("its linear memory", OWN))
    }
}
