//! The terms of a launch, from the launch request: the one place where they are made. What starts
//! the program, opens its mounts and reports its end takes the same request.

use crate::launch::listeners;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::sockets::{Socket, Way};
use twine_evidence::terms::{
    Diagnostics, Export, KeyPolicy, Limits, Mount, MountKind, Stream, Streams, Terms, Variable,
};
use twine_protocol::key::{Scope, Sealing, VolumeKey};
use twine_protocol::launch::{self, Launch, Source};

/// The environment of a program, split by what evidence tells of it.
pub(crate) struct Environment {
    /// The variables that evidence tells.
    open: Vec<(Vec<u8>, Vec<u8>)>,
    /// Those of which it tells the name only.
    secret: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A secret of the launch request that has no value, or is named twice.
#[derive(Debug)]
pub(crate) struct NoValue(pub Vec<u8>);

impl Environment {
    /// Splits the environment of a launch request.
    ///
    /// # Errors
    /// A secret has no value in the environment, or the same name as another one.
    pub(crate) fn of(launch: &Launch) -> Result<Self, NoValue> {
        let mut open = launch.environment.clone();
        let mut secret = Vec::new();
        for name in &launch.secrets {
            let at = open.iter().position(|(other, _)| other == name);
            secret.push(open.remove(at.ok_or_else(|| NoValue(name.clone()))?));
        }
        // A second value under the name of a secret is one, too.
        match open.iter().find(|(name, _)| launch.secrets.contains(name)) {
            Some((name, _)) => Err(NoValue(name.clone())),
            None => Ok(Environment { open, secret }),
        }
    }

    /// The environment that the program sees: secrets last.
    pub(crate) fn variables(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        [&self.open[..], &self.secret].concat()
    }
}

/// Returns the terms of a launch of the program with this hash. `held` are the terms of its manifest:
/// the sockets of a launch request have no names and no wishes, so they get those of the manifest, if
/// they are as many and all that it says is that they listen.
pub(crate) fn terms(
    launch: &Launch,
    environment: &Environment,
    program: [u8; 32],
    held: Option<&Terms>,
) -> Terms {
    let count = usize::try_from(listeners(launch)).unwrap_or(usize::MAX);
    let is_plain = |socket: &Socket| socket.way == Way::Listen && !socket.has_tls();
    let sockets = held.map(|held| &held.sockets);
    let sockets = sockets.filter(|sockets| sockets.len() == count && sockets.iter().all(is_plain));
    let launch::Limits { memory, fuel, timeout, interrupts } = launch.limits;
    let launch::Diagnostics { backtraces, statistics } = launch.diagnostics;
    let launch::Streams { stdin, stdout, stderr } = launch.streams;
    let variable = |(name, value): &(Vec<u8>, Vec<u8>)| Variable {
        name: Bytes(name.clone()),
        value: Bytes(value.clone()),
    };
    Terms {
        program: Digest(program),
        arguments: launch.arguments.iter().cloned().map(Bytes).collect(),
        environment: environment.open.iter().map(variable).collect(),
        secrets: launch.secrets.iter().cloned().map(Bytes).collect(),
        export: launch.invoke.as_ref().map(|invoke| Export {
            function: invoke.function.clone(),
            arguments: invoke.arguments.clone(),
        }),
        streams: Streams { stdin: stream(stdin), stdout: stream(stdout), stderr: stream(stderr) },
        mounts: launch.mounts.iter().map(mount).collect(),
        sockets: sockets.cloned().unwrap_or_else(|| vec![Socket::default(); count]),
        limits: Limits { memory, fuel, timeout, interrupts },
        diagnostics: Diagnostics { backtraces, statistics },
    }
}

fn stream(stream: launch::Stream) -> Stream {
    match stream {
        launch::Stream::Host => Stream::Host,
        launch::Stream::None => Stream::None,
    }
}

fn mount(mount: &launch::Mount) -> Mount {
    let (kind, key, size, main) = match &mount.source {
        Source::Volume(volume) => {
            (MountKind::Volume, Some(policy(&volume.key)), None, volume.main.as_ref())
        }
        Source::Folder(_) => (MountKind::Folder, None, None, None),
        Source::Memory(size) => (MountKind::Memory, None, Some(*size), None),
    };
    Mount {
        guest: mount.guest.clone(),
        kind,
        key,
        read_only: mount.read_only,
        size,
        main: main.map(|main| main.name.clone()),
        former: main.filter(|main| main.former != main.name).map(|main| main.former.clone()),
    }
}

fn policy(key: &VolumeKey) -> KeyPolicy {
    match key {
        VolumeKey::Sealed(Sealing { this_image, scope }) => match (scope, this_image) {
            (Scope::Deployment, _) => KeyPolicy::Deployment,
            (Scope::Program, true) => KeyPolicy::ProgramInImage,
            (Scope::Program, false) => KeyPolicy::Program,
            (Scope::AnyProgram, true) => KeyPolicy::AnyProgramInImage,
            (Scope::AnyProgram, false) => KeyPolicy::AnyProgram,
        },
        VolumeKey::File(_) => KeyPolicy::KeyFile,
        VolumeKey::Passphrase(_) => KeyPolicy::Passphrase,
    }
}
