//! Says in words what a manifest allows.

use super::mounts::KEY;
use super::sockets::tls_name;
use super::write::kind_name;
use crate::owner_key::algorithm_name;
use std::fmt;
use std::time::Duration;
use twine_evidence::access::Right;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::manifest::{AllowedImage, Manifest, Restart};
use twine_evidence::owner::PublicKey;
use twine_evidence::platform::{Platform, Root};
use twine_evidence::sockets::{Peers, Socket, Way};
use twine_evidence::terms::{Limits, Mount, Stream};

/// A manifest, to be shown in words.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// Its owner's key.
    pub owner: &'a PublicKey,
    /// Whether its owner has signed it.
    pub signed: bool,
}

/// Shows byte strings with spaces between them, each in quotes.
fn quoted<'a>(items: impl IntoIterator<Item = &'a Bytes>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| format!("\"{}\"", item.escaped())).collect();
    if items.is_empty() { "none".into() } else { items.join(" ") }
}

/// Says where a stream leads, or whence: `way` is `to` or `from`.
fn stream(stream: Stream, way: &str) -> String {
    match stream {
        Stream::None => "none".into(),
        Stream::Host => format!("{way} the host"),
        Stream::Owner => format!("{way} the owner, through an attested channel"),
    }
}

/// Names a public key.
fn key(key: &PublicKey) -> String {
    format!("{} key {}", algorithm_name(key), key.id())
}

/// Says who has a right.
fn who(manifest: &Manifest, right: Right) -> String {
    let keys = manifest.access.keys(right).iter();
    // A valid manifest has no others.
    let keys = keys.filter_map(|der| PublicKey::from_der(&der.0).ok());
    ["the owner".to_owned()]
        .into_iter()
        .chain(keys.map(|one| key(&one)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Says what the owner demands of the platform.
fn platform(platform: &Platform) -> Vec<(&'static str, String)> {
    let Platform { root, least_evaluation_number, ppid_hashes, .. } = platform;
    let root = match root {
        Root::Intel => "Intel's: hardware",
        Root::Simulation => "the simulation's, which protects nothing",
    };
    let statuses: Vec<_> = platform.accepted_statuses().iter().map(ToString::to_string).collect();
    let mut lines = vec![("root", root.to_owned()), ("TCB statuses", statuses.join(", "))];
    lines.extend(
        least_evaluation_number.map(|least| ("TCB evaluation", format!("{least} or newer"))),
    );
    lines.extend(ppid_hashes.iter().map(|hash| ("platform", format!("PPID with SHA-256 {hash}"))));
    if ppid_hashes.is_empty() {
        lines.push(("platform", "any genuine one".into()));
    }
    lines
}

fn limits(limits: &Limits) -> String {
    let Limits { memory, fuel, timeout, interrupts } = *limits;
    let mut parts = Vec::new();
    parts.extend(memory.map(|bytes| format!("{bytes} bytes of linear memory")));
    parts.extend(fuel.map(|fuel| format!("{fuel} units of fuel")));
    parts.extend(timeout.map(|time| format!("{:?}", Duration::from_nanos(time))));
    if interrupts {
        parts.push("the host may interrupt".into());
    }
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

fn mount(mount: &Mount) -> String {
    // A valid manifest has no main file.
    let Mount { guest, kind, key, read_only, size, main: _, former: _ } = mount;
    let mut parts = vec![format!("{}: {}", guest.escape_debug(), kind_name(*kind))];
    parts.extend(key.map(|_| KEY.to_owned()));
    parts.extend(size.map(|bytes| format!("{bytes} bytes")));
    if *read_only {
        parts.push("read-only".into());
    }
    parts.join(", ")
}

/// Says who may be at the other end of a socket with attested TLS.
fn peers(peers: &Peers) -> String {
    let Peers { owner, deployments, images, least_version, stale } = peers;
    let owner = owner.map_or("the same owner".into(), |owner| format!("the owner {owner}"));
    let mut parts = vec![format!("{} of {owner}", deployments.join(" or "))];
    if *least_version > 0 {
        parts.push(format!("version {least_version} or newer"));
    }
    match &images[..] {
        [] => parts.push("in the images below".into()),
        images => parts.extend(images.iter().map(image)),
    }
    if *stale {
        parts.push("also with old evidence".into());
    }
    parts.join(", ")
}

fn socket(socket: &Socket, descriptor: usize) -> String {
    let Socket { name, way: _, host, port, certificate, trust, attested } = socket;
    let mut parts = vec![format!("{name}: descriptor {descriptor}")];
    parts.push(match (host, port) {
        (Some(host), Some(port)) => format!("to {} port {port}", host.escape_debug()),
        (_, Some(port)) => format!("port {port}"),
        (_, None) => "a port of the host's choice".into(),
    });
    parts.push(format!("TLS {}", tls_name(socket)));
    parts.extend(certificate.as_ref().map(|certificate| {
        format!("of the secrets {} and {}", certificate.chain.escaped(), certificate.key.escaped())
    }));
    parts.extend(trust.as_ref().map(|trust| match &trust.name {
        Some(name) => format!("by the manifest's roots, for {}", name.escape_debug()),
        None => "by the manifest's roots".into(),
    }));
    parts.extend(attested.as_ref().map(peers));
    parts.join(", ")
}

/// The sockets, in the order of their descriptors.
fn sockets(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let terms = &manifest.terms;
    let of = |way| terms.sockets.iter().filter(move |socket| socket.way == way);
    let first = 3 + terms.mounts.len();
    let sockets = of(Way::Listen).chain(of(Way::Connect));
    let title = |one: &Socket| match one.way {
        Way::Listen => "listens",
        Way::Connect => "connects",
    };
    sockets.zip(first..).map(|(one, at)| (title(one), socket(one, at))).collect()
}

fn image(image: &AllowedImage) -> String {
    let AllowedImage { measurement, signer, product, min_svn } = *image;
    let mut parts = Vec::new();
    parts.extend(measurement.map(|digest| format!("MRENCLAVE {digest}")));
    parts.extend(signer.map(|digest| format!("MRSIGNER {digest}")));
    parts.extend(product.map(|number| format!("ISVPRODID {number}")));
    parts.extend(min_svn.map(|number| format!("ISVSVN {number} or newer")));
    parts.join(", ")
}

fn allowed(allowed: bool) -> &'static str {
    if allowed { "allowed" } else { "refused" }
}

impl Words<'_> {
    /// The lines, each with its title.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let Manifest { name, version, generation, terms, images, demands, .. } = self.manifest;
        let signature = if self.signed {
            "valid: the owner's, for all that follows"
        } else {
            "none: this is not signed yet"
        };
        let mut lines = vec![
            ("signature", signature.to_owned()),
            ("manifest", format!("SHA-256 {}", Digest::of(&self.manifest.encode()))),
            ("owner", key(self.owner)),
            ("deployment", format!("{name}, version {version}, generation {generation}")),
            ("program", format!("SHA-256 {}", terms.program)),
            ("arguments", quoted(&terms.arguments)),
        ];
        let calls = match &terms.export {
            None => "_start".to_owned(),
            Some(export) => {
                let function = export.function.escape_debug();
                format!("{function}, with the arguments {:?}", export.arguments)
            }
        };
        lines.push(("calls", calls));
        lines.extend(terms.environment.iter().map(|variable| {
            ("variable", format!("{}=\"{}\"", variable.name.escaped(), variable.value.escaped()))
        }));
        let streams = terms.streams;
        lines.extend([
            ("secrets", quoted(&terms.secrets)),
            ("standard input", stream(streams.stdin, "from")),
            ("standard output", stream(streams.stdout, "to")),
            ("standard error", stream(streams.stderr, "to")),
        ]);
        lines.extend(terms.mounts.iter().map(|one| ("mount", mount(one))));
        lines.extend(sockets(self.manifest));
        lines.extend([
            ("limits", limits(&terms.limits)),
            ("backtraces", told(terms.diagnostics.backtraces)),
            ("statistics", told(terms.diagnostics.statistics)),
        ]);
        lines.extend(images.iter().map(|one| ("image", image(one))));
        lines.push(("debug enclaves", allowed(demands.allow_debug).into()));
        lines.push(("writable code", allowed(demands.allow_writable_code).into()));
        let restart = match self.manifest.restart {
            Restart::Never => "by whoever may deploy it",
            Restart::Always => "by the host, with the secrets that the enclave has sealed",
        };
        lines.extend([
            ("may deploy", who(self.manifest, Right::Deploy)),
            ("may look", who(self.manifest, Right::Look)),
            ("may stop", who(self.manifest, Right::Stop)),
            ("may use files", who(self.manifest, Right::Files)),
            ("restart", restart.to_owned()),
        ]);
        lines.extend(platform(&self.manifest.platform));
        let from = self.manifest.handover.from.iter();
        lines.extend(from.map(|image| ("takes over from", format!("MRENCLAVE {image}"))));
        lines
    }
}

fn told(is_told: bool) -> String {
    if is_told { "to the host".into() } else { "none".into() }
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().into_iter().try_for_each(|(title, text)| writeln!(f, "{title:<16} {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, for_hosts, sockets};
    use super::*;

    #[test]
    fn everything_that_a_manifest_allows_is_said() {
        let mut manifest = example();
        manifest.terms.streams.stdout = Stream::Host;
        manifest.terms.limits.timeout = Some(1_500_000_000);
        manifest.demands.allow_debug = true;
        let owner = manifest.check().unwrap();
        let said = Words { manifest: &manifest, owner: &owner, signed: true }.to_string();
        for line in [
            "signature        valid: the owner's, for all that follows",
            "deployment       app, version 3, generation 1",
            "arguments        \"app\" \"--flag\"",
            "calls            _start",
            "variable         HOME=\"/data\"",
            "secrets          \"TOKEN\"",
            "standard input   none",
            "standard output  to the host",
            "mount            /data: volume, sealed:deployment",
            "mount            /tmp: memory, 1048576 bytes",
            "limits           1000 units of fuel, 1.5s",
            "backtraces       none",
            "debug enclaves   allowed",
            "writable code    refused",
            "may deploy       the owner",
            "restart          by whoever may deploy it",
            "root             Intel's: hardware",
            "TCB statuses     UpToDate, SWHardeningNeeded",
            "platform         any genuine one",
        ] {
            assert!(said.lines().any(|found| found == line), "{line}\n{said}");
        }
    }

    #[test]
    fn sockets_are_said_with_their_descriptors() {
        let mut manifest = example();
        manifest.terms.sockets = sockets();
        let owner = manifest.check().unwrap();
        let said = Words { manifest: &manifest, owner: &owner, signed: true }.to_string();
        for line in [
            "listens          plain: descriptor 5, a port of the host's choice, TLS none",
            "listens          web: descriptor 6, port 443, TLS certificate, of the secrets TOKEN and \
             TOKEN",
            "listens          inner: descriptor 7, port 7000, TLS attested, a or b of the same owner, \
             in the images below, also with old evidence",
            "connects         dns: descriptor 8, to ::1 port 5432, TLS none",
            "connects         db: descriptor 9, to 10.0.0.1 port 5432, TLS certificate, by the \
             manifest's roots, for db.example",
        ] {
            assert!(said.lines().any(|found| found == line), "{line}\n{said}");
        }
        assert!(said.contains("version 2 or newer, MRENCLAVE"), "{said}");
    }

    #[test]
    fn what_only_a_deployment_on_a_host_has_is_said() {
        let mut manifest = for_hosts();
        manifest.terms.streams.stdin = Stream::Owner;
        let owner = manifest.check().unwrap();
        let said = Words { manifest: &manifest, owner: &owner, signed: true }.to_string();
        let other = PublicKey::from_der(&manifest.access.deploy[0].0).unwrap();
        for line in [
            "standard input   from the owner, through an attested channel",
            &format!("may deploy       the owner, P-256 key {}", other.id()),
            "may stop         the owner",
            "restart          by the host, with the secrets that the enclave has sealed",
            "root             the simulation's, which protects nothing",
            "TCB statuses     UpToDate, OutOfDate",
            "TCB evaluation   17 or newer",
            &format!("platform         PPID with SHA-256 {}", Digest::of(b"platform")),
            &format!("takes over from  MRENCLAVE {}", Digest::of(b"older image")),
        ] {
            assert!(said.lines().any(|found| found == line), "{line}\n{said}");
        }
    }
}
