//! `twine volume --at`: work on a volume of a deployment on a host, which can read nothing of it.
//!
//! A path in a volume is written as the program sees it: the path of a mount of the manifest, and
//! what follows in it.

use super::connect::{ConnectOptions, Host};
use super::parcel::{Packer, Problems, Source, Unpacker};
use super::streams;
use crate::collateral;
use crate::failure::Failure;
use crate::manifest::SignedFile;
use crate::print::foreign;
use crate::volume::progress::ProgressLine;
use crate::volume::{split, two_paths};
use clap::Args;
use std::io::{self, IsTerminal, Read, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_channel::frame::Kind;
use twine_channel::message::{End, OnVolume, Request};
use twine_channel::volume::Work;
use twine_client::{Attached, Error, Streams};
use twine_evidence::bytes::Bytes;
use twine_evidence::manifest::Manifest;
use twine_evidence::terms::MountKind;
use twine_host::Progress;
use twine_protocol::wire::Unit;

/// The options of work on a volume on this machine: a host follows none of them.
const LOCAL: [&str; 4] = ["tee", "image", "no_code_cache", "no_guard_pages"];

/// Where a volume is.
#[derive(Debug, Args)]
pub(crate) struct Elsewhere {
    /// Work on a volume of a deployment on this host, as HOST:PORT, while its program does not run.
    /// Paths are then those that the program sees, such as /data/sub
    #[arg(long, value_name = "HOST:PORT", requires_all = ["manifest", "key"],
          conflicts_with_all = LOCAL)]
    at: Option<String>,

    /// Signed manifest of the deployment, which mounts the volume
    #[arg(long, value_name = "FILE", requires = "at")]
    manifest: Option<PathBuf>,

    #[command(flatten)]
    collateral: collateral::Options,
}

impl Elsewhere {
    /// Whether the volume is on a host elsewhere.
    pub(crate) fn is_given(&self) -> bool {
        self.at.is_some()
    }
}

/// Where a volume is, and for whom.
pub(crate) struct Options {
    pub(crate) elsewhere: Elsewhere,
    /// The file with the client's private key.
    pub(crate) key: PathBuf,
    pub(crate) quiet: bool,
}

/// Does work on a path in a volume.
pub(crate) fn on_path(
    options: Options,
    volume: &str,
    path: Option<String>,
    work: impl FnOnce(String) -> Work,
) -> Result<ExitCode, Failure> {
    let job = Job::new(options)?;
    let (mount, mut paths) = job.paths(volume, path.into_iter().collect())?;
    if paths.len() > 1 {
        return Err(two_paths());
    }
    job.plain(mount, work(paths.pop().unwrap_or_default()))
}

/// Does work on paths in a volume.
pub(crate) fn on_paths(
    options: Options,
    volume: &str,
    paths: Vec<String>,
    work: impl FnOnce(Vec<String>) -> Work,
) -> Result<ExitCode, Failure> {
    let job = Job::new(options)?;
    let (mount, paths) = job.paths(volume, paths)?;
    job.plain(mount, work(paths))
}

/// Does work on a whole volume.
pub(crate) fn on_whole(options: Options, volume: &str, work: Work) -> Result<ExitCode, Failure> {
    let job = Job::new(options)?;
    let Place { mount, path } = job.place(volume)?;
    if !path.trim_matches('/').is_empty() {
        return Err(Failure::usage(
            format!("{volume} is no mount of the manifest"),
            format!("name the volume by its path, {mount}"),
        ));
    }
    job.plain(mount, work)
}

/// An operand of a copy.
enum Operand {
    There(Place),
    Here(String),
    Stream,
}

/// Copies to a volume, out of it or within it.
pub(crate) fn copy(
    options: Options,
    operands: &[String],
    recursive: bool,
) -> Result<ExitCode, Failure> {
    let job = Job::new(options)?;
    let operand = |text: &String| match (split(text), text.as_str()) {
        ((_, Some(_)), _) => job.place(text).map(Operand::There),
        (_, "-") => Ok(Operand::Stream),
        _ => Ok(Operand::Here(text.clone())),
    };
    let operands: Vec<Operand> = operands.iter().map(operand).collect::<Result<_, _>>()?;
    let mount = one_mount(operands.iter().filter_map(|operand| match operand {
        Operand::There(place) => Some(place.mount.as_str()),
        _ => None,
    }))?;
    let mount = mount.ok_or_else(|| {
        Failure::usage(
            "no path in a volume was named",
            "write a path as the program sees it with two colons before it, such as ::/data/file",
        )
    })?;
    let mut sources = operands;
    match sources.pop() {
        Some(Operand::There(Place { path: target, .. })) => {
            job.into_volume(mount, sources, target, recursive)
        }
        Some(target) => job.out_of_volume(mount, sources, &target, recursive),
        None => Err(mixed()),
    }
}

fn mixed() -> Failure {
    Failure::usage(
        "the sources are neither all in the volume nor all here",
        "copy what is here and what is in the volume one after the other; the standard input is \
         copied alone",
    )
}

/// Returns the mount of all places. `None` if there is no place.
fn one_mount<'a>(mut mounts: impl Iterator<Item = &'a str>) -> Result<Option<String>, Failure> {
    let Some(first) = mounts.next() else { return Ok(None) };
    match mounts.find(|mount| *mount != first) {
        None => Ok(Some(first.to_owned())),
        Some(other) => Err(Failure::usage(
            format!("{first} and {other} are two volumes: one command works on one"),
            "name paths of one of them",
        )),
    }
}

/// A path in a volume.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// The path at which the volume is mounted.
    mount: String,
    /// The path from the volume's root.
    path: String,
}

/// Finds the volume that a program sees at a path.
fn place(manifest: &Manifest, text: &str) -> Result<Place, Failure> {
    let (volume, rest) = split(text);
    let path = match rest {
        Some(rest) if volume.is_empty() => rest.to_owned(),
        Some(rest) => format!("{volume}/{rest}"),
        None => volume.to_owned(),
    };
    let inside = |guest: &str| {
        let rest = path.strip_prefix(guest.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
    };
    let mounts = manifest.terms.mounts.iter();
    let found = mounts.filter_map(|mount| Some((mount, inside(&mount.guest)?)));
    let Some((mount, rest)) = found.max_by_key(|(mount, _)| mount.guest.len()) else {
        return Err(no_volume(manifest, &path));
    };
    if mount.kind != MountKind::Volume {
        return Err(no_volume(manifest, &path));
    }
    Ok(Place { mount: mount.guest.clone(), path: rest })
}

fn no_volume(manifest: &Manifest, path: &str) -> Failure {
    let volumes = manifest.terms.mounts.iter().filter(|mount| mount.kind == MountKind::Volume);
    let volumes: Vec<&str> = volumes.map(|mount| mount.guest.as_str()).collect();
    let remedy = match volumes[..] {
        [] => "the manifest mounts no volume".into(),
        _ => format!("name a path in a volume of the manifest: {}", volumes.join(", ")),
    };
    Failure::usage(format!("the manifest mounts no volume at {path:?}"), remedy)
}

/// Work on a volume of a deployment.
struct Job {
    held: SignedFile,
    host: Host,
}

impl Job {
    fn new(options: Options) -> Result<Self, Failure> {
        let Options { elsewhere: Elsewhere { at, manifest, collateral }, key, quiet } = options;
        // The command line has both.
        let held = SignedFile::read(&manifest.unwrap_or_default())?;
        let options = ConnectOptions { key, collateral, quiet };
        let host = Host::new(&at.unwrap_or_default(), &held, options)?;
        Ok(Job { held, host })
    }

    fn place(&self, text: &str) -> Result<Place, Failure> {
        place(self.held.manifest(), text)
    }

    /// Returns the mount and the paths in its volume. The first operand can be the mount alone, if
    /// others follow.
    fn paths(&self, volume: &str, paths: Vec<String>) -> Result<(String, Vec<String>), Failure> {
        let first = self.place(volume)?;
        let mount = first.mount.clone();
        let is_whole = split(volume).1.is_none() && first.path.trim_matches('/').is_empty();
        let mut places = if is_whole && !paths.is_empty() { Vec::new() } else { vec![first] };
        for path in paths {
            places.push(match path.starts_with('/') {
                true => self.place(&path)?,
                false => Place { mount: mount.clone(), path },
            });
        }
        one_mount(std::iter::once(&*mount).chain(places.iter().map(|place| &*place.mount)))?;
        Ok((mount, places.into_iter().map(|place| place.path).collect()))
    }

    fn into_volume(
        self,
        mount: String,
        sources: Vec<Operand>,
        target: String,
        recursive: bool,
    ) -> Result<ExitCode, Failure> {
        let (mut there, mut here, mut streams) = (Vec::new(), Vec::new(), 0);
        for source in sources {
            match source {
                Operand::There(place) => there.push(place.path),
                Operand::Here(text) => here.push(Source::find(&text, recursive)?),
                Operand::Stream => streams += 1,
            }
        }
        match (there.is_empty(), here.is_empty(), streams) {
            (false, true, 0) => self.plain(mount, Work::Copy { sources: there, target, recursive }),
            (true, true, 1) => self.plain(mount, Work::Write { target }),
            (true, false, 0) => {
                let several = here.len() > 1;
                let problems = Problems::default();
                let packer = Packer::new(here, problems.clone());
                let work = Work::Receive { target, several };
                self.run(mount, work, Ends::Packed(packer), &problems)
            }
            _ => Err(mixed()),
        }
    }

    fn out_of_volume(
        self,
        mount: String,
        sources: Vec<Operand>,
        target: &Operand,
        recursive: bool,
    ) -> Result<ExitCode, Failure> {
        let path = |source| match source {
            Operand::There(place) => Ok(place.path),
            _ => Err(mixed()),
        };
        let sources: Vec<String> = sources.into_iter().map(path).collect::<Result<_, _>>()?;
        let Operand::Here(target) = target else {
            if sources.len() > 1 {
                return Err(Failure::usage("standard output takes one file", "name one file"));
            }
            return self.plain(mount, Work::Print { paths: sources });
        };
        let problems = Problems::default();
        let unpacker = Unpacker::new(target, sources.len() > 1, problems.clone())?;
        let work = Work::Send { sources, recursive };
        self.run(mount, work, Ends::Unpacked(Box::new(unpacker)), &problems)
    }

    /// Does work whose streams are those of this process.
    fn plain(self, mount: String, work: Work) -> Result<ExitCode, Failure> {
        self.run(mount, work, Ends::Plain, &Problems::default())
    }

    fn run(
        self,
        mount: String,
        work: Work,
        ends: Ends,
        problems: &Problems,
    ) -> Result<ExitCode, Failure> {
        let Job { held, host } = self;
        let [input, output, errors] = streams::terminals();
        let terminals = match &ends {
            Ends::Plain => [input, output, errors],
            _ => [false, false, errors],
        };
        let passed = Passed::new(!host.is_quiet() && stderr().is_terminal());
        let reads = work.reads();
        let (input, mut unpacker) = match ends {
            Ends::Plain if reads => (Some(Box::new(io::stdin()) as Box<dyn Read + Send>), None),
            Ends::Plain => (None, None),
            Ends::Packed(packer) => {
                let counted = Counted { read: packer, passed: passed.clone() };
                (Some(Box::new(counted) as Box<dyn Read + Send>), None)
            }
            Ends::Unpacked(unpacker) => (None, Some(unpacker)),
        };
        let mut proven = host.connect(false)?;
        let request =
            Request::Volume(OnVolume { manifest: Bytes(held.bytes()), mount, work, terminals });
        let answer = proven.ask(&request, super::answer_limit())?;
        let mut streams = Streams::new(input).map_err(streams::no_threads)?;
        let attached = Attached::new(proven, &answer, &mut streams)?;
        let mut broken = None;
        let ended = attached.run(|kind, bytes| match (kind, &mut unpacker) {
            (Kind::Output, Some(unpacker)) => {
                passed.add(bytes.len());
                unpacker.take(bytes).map_err(|failure| {
                    broken = Some(failure);
                    io::Error::from(io::ErrorKind::InvalidData)
                })
            }
            _ => streams::write(kind, bytes),
        });
        drop(passed);
        let whole = unpacker.is_none_or(|unpacker| unpacker.has_ended());
        if let Some(failure) = broken {
            return Err(failure);
        }
        finish(&held.manifest().name, ended, whole, problems)
    }
}

/// What the streams of work lead to.
enum Ends {
    /// Those of this process.
    Plain,
    /// Files of this machine go to the input.
    Packed(Packer),
    /// The output goes to files of this machine.
    Unpacked(Box<Unpacker>),
}

/// Tells how work ended, and what could not be done here.
fn finish(
    name: &str,
    ended: Result<End, Error>,
    whole: bool,
    problems: &Problems,
) -> Result<ExitCode, Failure> {
    let problems = problems.take();
    let told = problems.into_iter().fold(None, |_, failure| Some(failure.show()));
    let code = match ended {
        Ok(End::Exited { code: 0, .. }) if !whole => {
            return Err(Failure::new(
                "the copy ended before its end",
                "use a client and a host of the same release",
            ));
        }
        Ok(end) => super::exit_code(name, &end)?,
        Err(Error::Stream(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(ExitCode::from(super::UNREAD_EXIT_CODE));
        }
        Err(error) if error.is_lost() => {
            return Err(Failure::new(
                foreign(&error.to_string()),
                "try again: the volume is whole, and has what was done before or a part of this",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(told.unwrap_or(code))
}

/// How many bytes were copied, shown on the terminal.
#[derive(Clone)]
struct Passed(Arc<(AtomicU64, Option<ProgressLine>)>);

impl Passed {
    fn new(shows: bool) -> Self {
        Passed(Arc::new((AtomicU64::new(0), shows.then(ProgressLine::default))))
    }

    fn add(&self, count: usize) {
        let (total, line) = &*self.0;
        let done = total.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        if let Some(line) = line {
            line.progress(done, None, Unit::Bytes);
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    read: R,
    passed: Passed,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.read.read(bytes)?;
        self.passed.add(count);
        Ok(count)
    }
}
