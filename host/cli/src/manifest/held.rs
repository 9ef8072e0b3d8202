//! Holds a run to a signed manifest: what the manifest fixes comes from it, and what it leaves to
//! the host must be given. The enclave checks the same again, and trusts none of this.

use super::SignedFile;
use crate::failure::Failure;
use crate::key::Key;
use crate::mounts::{Given, MountOptions, Mounts, Prepared};
use crate::variables::Variables;
use std::path::Path;
use twine_evidence::bytes::Bytes;
use twine_evidence::manifest::Manifest;
use twine_evidence::signed::Signed;
use twine_evidence::sockets::{Socket, Way};
use twine_evidence::terms::{self, MountKind, Terms};
use twine_protocol::key::Sealing;
use twine_protocol::launch::{Diagnostics, Invoke, Limits, Source, Stream, Streams};

/// What a user can do if the manifest decides otherwise.
const NOT_HERE: &str = "leave it out, or have the manifest's owner change it and sign it again";

/// A signed manifest that a run is held to.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    signed: Signed,
    /// Where the standard streams lead.
    streams: Streams,
}

impl Held {
    /// Reads a signed manifest, and verifies its signature.
    ///
    /// # Errors
    /// The file can't be read, is not a manifest with its owner's signature, or has streams that lead
    /// to the owner.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let (bytes, signed) = SignedFile::read(path)?.into_parts();
        let streams = streams(signed.manifest()).map_err(|names| {
            Failure::usage(
                format!(
                    "{}: its streams lead to its owner ({names}), and `twine run` has no way there",
                    path.display()
                ),
                "send it to a host with `twine deploy`; or have its owner sign another one, with \
                 \"host\" for these streams",
            )
        })?;
        Ok(Held { bytes, signed, streams })
    }

    fn terms(&self) -> &Terms {
        &self.signed.manifest().terms
    }

    /// The manifest with its signature, as the enclave reads it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// The arguments of the program.
    pub(crate) fn arguments(&self) -> Vec<Vec<u8>> {
        self.terms().arguments.iter().map(|argument| argument.0.clone()).collect()
    }

    /// The function to call instead of `_start`.
    pub(crate) fn invoke(&self) -> Option<Invoke> {
        let export = self.terms().export.as_ref()?;
        Some(Invoke { function: export.function.clone(), arguments: export.arguments.clone() })
    }

    /// The limits of the program.
    pub(crate) fn limits(&self) -> Limits {
        let terms::Limits { memory, fuel, timeout, interrupts } = self.terms().limits;
        Limits { memory, fuel, timeout, interrupts }
    }

    /// Where the standard streams lead.
    pub(crate) fn streams(&self) -> Streams {
        self.streams
    }

    /// What the enclave tells of the run.
    pub(crate) fn diagnostics(&self) -> Diagnostics {
        let terms::Diagnostics { backtraces, statistics } = self.terms().diagnostics;
        Diagnostics { backtraces, statistics }
    }

    /// The names of the secrets.
    pub(crate) fn secrets(&self) -> Vec<Vec<u8>> {
        self.terms().secrets.iter().map(|name| name.0.clone()).collect()
    }

    /// The environment, with the values of the secrets in `given`.
    ///
    /// # Errors
    /// A secret has no value, or one was given that the manifest does not name.
    pub(crate) fn environment(&self, mut given: Variables) -> Result<Variables, Failure> {
        let open = self.terms().environment.iter();
        let mut environment: Vec<_> =
            open.map(|variable| (variable.name.0.clone(), variable.value.0.clone())).collect();
        for name in self.secrets() {
            let at = given.iter().position(|(other, _)| *other == name).ok_or_else(|| {
                let name = Bytes(name).escaped();
                Failure::usage(
                    format!("the manifest's secret {name} has no value"),
                    format!("give it one: --secret {name}=VALUE"),
                )
            })?;
            environment.push(given.remove(at));
        }
        match given.into_iter().next() {
            None => Ok(environment),
            Some((name, _)) => Err(Failure::usage(
                format!("--secret {}: the manifest has no such secret", Bytes(name).escaped()),
                NOT_HERE,
            )),
        }
    }

    /// Checks that there are as many listening sockets as the manifest says, and that it has no others.
    ///
    /// # Errors
    /// There are more, or fewer, or others.
    pub(crate) fn check_listeners(&self, given: usize) -> Result<(), Failure> {
        let sockets = &self.terms().sockets;
        let is_other = |socket: &&Socket| socket.has_tls() || socket.way == Way::Connect;
        if let Some(Socket { name, way, .. }) = sockets.iter().find(is_other) {
            let what = if *way == Way::Connect { "connects" } else { "has TLS" };
            return Err(Failure::usage(
                format!("the manifest's socket {name} {what}, which a local run does not offer"),
                "run it on a host: `twine host`, then `twine deploy`",
            ));
        }
        let wanted = sockets.len();
        if given == wanted {
            return Ok(());
        }
        let remedy = match given > wanted {
            true => format!("leave out {} of them", given - wanted),
            false => "give each listener an address: --listen 127.0.0.1:8080".to_owned(),
        };
        Err(Failure::usage(
            format!("--listen is given {given} times, and the manifest has {wanted} listeners"),
            remedy,
        ))
    }

    /// Checks that nothing is given that the manifest fixes: `options`, each with whether it is
    /// given, arguments of the program, and reports from inside the enclave.
    ///
    /// # Errors
    /// Something is.
    pub(crate) fn check_fixed(
        &self,
        options: &[(&str, bool)],
        arguments: usize,
        statistics: bool,
    ) -> Result<(), Failure> {
        if let Some((name, _)) = options.iter().find(|(_, is_given)| *is_given) {
            return Err(Failure::usage(
                format!("{name} is given, and the manifest decides it"),
                NOT_HERE,
            ));
        }
        if arguments > 0 {
            return Err(Failure::usage(
                "arguments are given after the program, and the manifest decides them",
                "leave them out, or have the manifest's owner change it and sign it again",
            ));
        }
        if statistics && !self.terms().diagnostics.statistics {
            return Err(Failure::usage("--stats: the manifest allows no statistics", NOT_HERE));
        }
        Ok(())
    }

    /// Opens the manifest's mounts in their order, each in the file or folder that `given` names
    /// for its path. Unless `quiet`, prints a note about each volume that is created.
    ///
    /// # Errors
    /// A mount has no file or folder, a file or folder has no mount, or one can't be opened.
    pub(crate) fn mounts(&self, given: &Mounts, quiet: bool) -> Result<Prepared, Failure> {
        let (volumes, folders) = (given.volumes()?, given.folders()?);
        self.check_given("--dir", &volumes, MountKind::Volume)?;
        self.check_given("--plain-dir", &folders, MountKind::Folder)?;
        // All are found before the first is opened, because opening makes a file.
        let found: Vec<_> = self
            .terms()
            .mounts
            .iter()
            .map(|mount| match mount.kind {
                MountKind::Volume => find(mount, "--dir FILE", &volumes).map(Some),
                MountKind::Folder => find(mount, "--plain-dir FOLDER", &folders).map(Some),
                MountKind::Memory => Ok(None),
            })
            .collect::<Result<_, _>>()?;
        let mut prepared = Prepared::default();
        for (mount, place) in self.terms().mounts.iter().zip(found) {
            let place = place.map(|place| (place.host, given.with_defaults(place.options.clone())));
            open(&mut prepared, mount, place, quiet)?;
        }
        Ok(prepared)
    }

    /// Checks that the manifest has a mount of this kind for each that is given, and that no option
    /// of it is given that the manifest fixes.
    fn check_given(
        &self,
        option: &str,
        given: &[Given<'_>],
        kind: MountKind,
    ) -> Result<(), Failure> {
        let what = if kind == MountKind::Volume { "volume" } else { "folder" };
        for Given { text, guest, options, .. } in given {
            let mounts = &self.terms().mounts;
            if !mounts.iter().any(|mount| mount.guest == *guest && mount.kind == kind) {
                return Err(Failure::usage(
                    format!("{option} {text}: the manifest has no {what} at {guest}"),
                    NOT_HERE,
                ));
            }
            if given.iter().filter(|other| other.guest == *guest).count() > 1 {
                return Err(Failure::usage(
                    format!("{option} {text}: {guest} is given twice"),
                    "give each mount of the manifest one place",
                ));
            }
            let fixed = [(options.read_only.is_some(), "ro or rw"), (options.key.is_some(), "key")];
            if let Some((_, name)) = fixed.iter().find(|(is_given, _)| *is_given) {
                return Err(Failure::usage(
                    format!("{option} {text}: {name} is given, and the manifest decides it"),
                    NOT_HERE,
                ));
            }
        }
        Ok(())
    }
}

/// Returns where the standard streams of a local run lead.
///
/// # Errors
/// Some lead to the owner: their names.
fn streams(manifest: &Manifest) -> Result<Streams, String> {
    let streams = manifest.terms.streams;
    let stream = |stream| match stream {
        terms::Stream::None => Some(Stream::None),
        terms::Stream::Host => Some(Stream::Host),
        terms::Stream::Owner => None,
    };
    let found = (stream(streams.stdin), stream(streams.stdout), stream(streams.stderr));
    match found {
        (Some(stdin), Some(stdout), Some(stderr)) => Ok(Streams { stdin, stdout, stderr }),
        _ => Err(streams.to_owner().collect::<Vec<_>>().join(", ")),
    }
}

/// Returns what was given for a mount. `option` is how to give it.
fn find<'a>(
    mount: &terms::Mount,
    option: &str,
    given: &'a [Given<'a>],
) -> Result<&'a Given<'a>, Failure> {
    given.iter().find(|given| given.guest == mount.guest).ok_or_else(|| {
        Failure::usage(
            format!("the manifest's mount {} has no place on this machine", mount.guest),
            format!("give it one: {option}::{}", mount.guest),
        )
    })
}

fn open(
    prepared: &mut Prepared,
    mount: &terms::Mount,
    place: Option<(&Path, MountOptions)>,
    quiet: bool,
) -> Result<(), Failure> {
    // A valid manifest has no main file.
    let terms::Mount { guest, kind, key: _, read_only, size, main: _, former: _ } = mount;
    match (kind, place) {
        (MountKind::Volume, Some((host, mut options))) => {
            // A valid manifest has no other keys.
            if *read_only && host.try_exists().is_ok_and(|exists| !exists) {
                return Err(Failure::new(
                    format!(
                        "{} does not exist, and the manifest mounts {guest} read-only",
                        host.display()
                    ),
                    "name the volume's file; a version of the manifest without read-only makes it",
                ));
            }
            options.key = Some(Key::Sealed(Sealing::DEPLOYMENT));
            options.read_only = Some(*read_only);
            prepared.mount_volume(host, guest, None, options, quiet)
        }
        (MountKind::Folder, Some((host, options))) => {
            prepared.folder(host, guest, *read_only, &options.without)
        }
        _ => prepared.mount(guest, Source::Memory(size.unwrap_or_default()), *read_only),
    }
}
