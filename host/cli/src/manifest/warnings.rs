//! Warns of what a manifest leaves to the host, or tells it.

use std::fmt;
use twine_evidence::manifest::{AllowedImage, Manifest, Restart};
use twine_evidence::platform::{Root, TcbStatus};
use twine_evidence::sockets::{Socket, Way};
use twine_evidence::terms::{Mount, MountKind, Stream};

/// Something in a manifest that weakens it. The owner may want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The path of the value, such as `streams.stdin`.
    pub path: String,
    /// What follows from it, in one line.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.text)
    }
}

/// Returns the warnings for a manifest.
pub(crate) fn warnings(manifest: &Manifest) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut warn = |path: String, text: &str| found.push(Warning { path, text: text.into() });
    let terms = &manifest.terms;
    let streams = terms.streams;
    for (path, stream, text) in [
        ("streams.stdin", streams.stdin, "the host writes what the program reads"),
        ("streams.stdout", streams.stdout, "the host reads what the program writes"),
        ("streams.stderr", streams.stderr, "the host reads what the program writes"),
    ] {
        if stream == Stream::Host {
            warn(path.into(), text);
        }
    }
    if terms.export.is_some() {
        warn("export".into(), "the host reads the results of the function");
    }
    of_sockets(&terms.sockets, &mut warn);
    if terms.limits.timeout.is_some() {
        warn("limits.timeout".into(), "the host's clock measures it, so the host chooses when");
    }
    if terms.limits.interrupts {
        warn("limits.interrupts".into(), "the host may call the program's handler at any time");
    }
    if terms.diagnostics.backtraces {
        warn("diagnostics.backtraces".into(), "the host reads where the program trapped");
    }
    if terms.diagnostics.statistics {
        warn("diagnostics.statistics".into(), "the host reads counts of the program's volumes");
    }
    for (at, mount) in terms.mounts.iter().enumerate() {
        of_mount(at, mount, &mut warn);
    }
    nested(&terms.mounts, &mut warn);
    for (at, AllowedImage { measurement, .. }) in manifest.images.iter().enumerate() {
        if measurement.is_none() {
            warn(
                format!("images[{at}]"),
                "every image of this signer may hold the deployment, also later ones",
            );
        }
    }
    if manifest.demands.allow_debug {
        warn("demands.allow-debug".into(), "the host reads the memory of such an enclave");
    }
    if manifest.demands.allow_writable_code {
        warn(
            "demands.allow-writable-code".into(),
            "an error in the runtime can become code of an attacker's choice",
        );
    }
    if manifest.restart == Restart::Always {
        warn("restart".into(), "the host may start it at any time, with the secrets that it has");
    }
    if manifest.platform.root == Root::Simulation {
        warn(
            "platform.root".into(),
            "everybody can make the evidence of a simulated machine, and gets what is deployed",
        );
    }
    if manifest.platform.statuses.iter().any(|status| !TcbStatus::DEFAULT.contains(status)) {
        warn("platform.statuses".into(), "machines with known faults may hold the deployment");
    }
    found
}

fn of_sockets(sockets: &[Socket], warn: &mut impl FnMut(String, &str)) {
    for (way, key) in [(Way::Listen, "listen"), (Way::Connect, "connect")] {
        let sockets = sockets.iter().filter(|socket| socket.way == way);
        for (at, socket) in sockets.enumerate() {
            if !socket.has_tls() {
                warn(
                    format!("{key}[{at}].tls"),
                    "the host reads and changes what the connections carry, unless the program \
                     encrypts it",
                );
            }
            if socket.attested.as_ref().is_some_and(|peers| peers.stale) {
                warn(
                    format!("{key}[{at}].fresh"),
                    "whoever has the key of an old certificate passes, also after the enclave's end",
                );
            }
        }
    }
}

fn of_mount(at: usize, mount: &Mount, warn: &mut impl FnMut(String, &str)) {
    if mount.kind == MountKind::Folder {
        warn(format!("mounts[{at}].kind"), "the host reads and changes the files of a folder");
    }
    if mount.kind == MountKind::Volume && mount.read_only {
        warn(
            format!("mounts[{at}].read-only"),
            "this version makes no volume here: one without read-only must have made it",
        );
    }
}

/// Whether `inner` is below `outer`.
fn is_below(inner: &str, outer: &str) -> bool {
    let outer = outer.trim_end_matches('/');
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}

/// Warns of mounts within others that protect files otherwise.
fn nested(mounts: &[Mount], warn: &mut impl FnMut(String, &str)) {
    let protection = |mount: &Mount| (mount.kind, mount.key);
    for (at, inner) in mounts.iter().enumerate() {
        let outer = mounts.iter().find(|outer| {
            is_below(&inner.guest, &outer.guest) && protection(outer) != protection(inner)
        });
        if let Some(outer) = outer {
            let text = format!(
                "it lies within the mount {}, which is protected in another way: see that the \
                 program writes each file where it belongs",
                outer.guest
            );
            warn(format!("mounts[{at}].guest"), &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn a_manifest_that_leaves_nothing_to_the_host_has_no_warnings() {
        assert_eq!(warnings(&example()), []);
    }

    #[test]
    fn whatever_is_left_to_the_host_has_a_warning_with_its_path() {
        let paths = |change: fn(&mut Manifest)| {
            let mut manifest = example();
            change(&mut manifest);
            let paths = warnings(&manifest).into_iter().map(|warning| warning.path);
            paths.collect::<Vec<_>>()
        };
        type Case = (fn(&mut Manifest), &'static [&'static str]);
        let cases: [Case; 17] = [
            (|manifest| manifest.terms.streams.stdin = Stream::Owner, &[]),
            (|manifest| manifest.restart = Restart::Always, &["restart"]),
            (|manifest| manifest.platform.root = Root::Simulation, &["platform.root"]),
            (
                |manifest| manifest.platform.statuses = vec![TcbStatus::OutOfDate],
                &["platform.statuses"],
            ),
            (|manifest| manifest.platform.statuses = vec![TcbStatus::UpToDate], &[]),
            (|manifest| manifest.terms.streams.stdin = Stream::Host, &["streams.stdin"]),
            (|manifest| manifest.terms.streams.stdout = Stream::Host, &["streams.stdout"]),
            (|manifest| manifest.terms.streams.stderr = Stream::Host, &["streams.stderr"]),
            (|manifest| manifest.terms.sockets = sockets(), &["listen[0].tls", "connect[0].tls"]),
            (|manifest| manifest.terms.limits.timeout = Some(1), &["limits.timeout"]),
            (|manifest| manifest.terms.limits.interrupts = true, &["limits.interrupts"]),
            (|manifest| manifest.terms.diagnostics.backtraces = true, &["diagnostics.backtraces"]),
            (|manifest| manifest.demands.allow_debug = true, &["demands.allow-debug"]),
            (
                |manifest| manifest.demands.allow_writable_code = true,
                &["demands.allow-writable-code"],
            ),
            (|manifest| manifest.images[0].measurement = None, &["images[0]"]),
            (|manifest| manifest.terms.mounts[0].read_only = true, &["mounts[0].read-only"]),
            (
                |manifest| {
                    manifest.terms.mounts.push(Mount {
                        guest: "/data/shared".into(),
                        kind: MountKind::Folder,
                        key: None,
                        read_only: false,
                        size: None,
                        main: None,
                        former: None,
                    });
                },
                &["mounts[2].kind", "mounts[2].guest"],
            ),
        ];
        for (change, wanted) in cases {
            assert_eq!(paths(change), wanted);
        }
    }

    /// Sockets without TLS.
    fn sockets() -> Vec<Socket> {
        let connects = Socket { way: Way::Connect, ..Socket::default() };
        vec![connects, Socket::default()]
    }

    #[test]
    fn a_path_is_below_another_only_at_a_slash() {
        for (inner, outer, below) in [
            ("/data/a", "/data", true),
            ("/data", "/", true),
            ("/data2", "/data", false),
            ("/data", "/data", false),
            ("/", "/", false),
            ("/data/", "/data", false),
        ] {
            assert_eq!(is_below(inner, outer), below, "{inner} {outer}");
        }
    }
}
