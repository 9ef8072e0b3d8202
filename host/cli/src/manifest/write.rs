//! Writes a manifest in TOML, with comments, for its owner to edit.

use super::mounts::KEY;
use super::sockets::tls_name;
use crate::owner_key::public_to_pem;
use std::fmt::{self, Display, Write as _};
use toml::Value;
use twine_evidence::access::Right;
use twine_evidence::bytes::Bytes;
use twine_evidence::manifest::{AllowedImage, Manifest, Restart};
use twine_evidence::owner::PublicKey;
use twine_evidence::platform::{Root, TcbStatus};
use twine_evidence::sockets::{Socket, Way};
use twine_evidence::terms::{Mount, MountKind};

/// A manifest as its owner reads it.
#[derive(Debug)]
pub(crate) struct Commented<'a> {
    /// The manifest. All its arguments and variables are UTF-8.
    pub manifest: &'a Manifest,
    /// The path of the owner's public key, or the key in PEM.
    pub owner: &'a str,
    /// The program's file.
    pub file: &'a str,
}

/// A text in quotes.
fn text(text: &str) -> Value {
    Value::from(text)
}

/// Bytes that are UTF-8, in quotes.
fn of_bytes(bytes: &Bytes) -> Value {
    Value::from(&*String::from_utf8_lossy(&bytes.0))
}

fn list<'a>(items: impl Iterator<Item = &'a Bytes>) -> Value {
    Value::Array(items.map(of_bytes).collect())
}

/// Writes a size with the largest unit that leaves a whole number.
fn size(bytes: u64) -> Value {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.iter().find(|(shift, _)| bytes != 0 && bytes.is_multiple_of(1 << shift));
    Value::from(match unit {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => format!("{bytes}B"),
    })
}

/// Writes a time with the largest unit that leaves a whole number.
fn time(nanoseconds: u64) -> Value {
    let units = [(60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us")];
    let unit = units.iter().find(|(scale, _)| nanoseconds.is_multiple_of(*scale));
    Value::from(match unit {
        Some((scale, unit)) => format!("{}{unit}", nanoseconds / scale),
        None => format!("{nanoseconds}ns"),
    })
}

/// Writes lines of keys and values. One that is switched off stands as a comment, which shows how to
/// write it.
struct Lines(String);

impl Lines {
    fn comment(&mut self, text: &str) {
        for line in text.lines() {
            let _ = writeln!(self.0, "# {line}");
        }
    }

    fn section(&mut self, header: &str, comment: &str) {
        self.0.push('\n');
        self.comment(comment);
        if !header.is_empty() {
            let _ = writeln!(self.0, "{header}");
        }
    }

    fn set(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    /// Writes a value, or the example as a comment.
    fn set_or(&mut self, key: &str, value: Option<impl Display>, example: &str) {
        match value {
            Some(value) => self.set(key, value),
            None => self.comment(&format!("{key} = {example}")),
        }
    }
}

impl Display for Commented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines(String::new());
        self.identity(&mut lines);
        self.program(&mut lines);
        self.tables(&mut lines);
        self.images(&mut lines);
        self.hosts(&mut lines);
        f.write_str(&lines.0)
    }
}

impl Commented<'_> {
    fn identity(&self, lines: &mut Lines) {
        let Manifest { name, version, generation, .. } = self.manifest;
        lines.comment(
            "What may be launched. What is not in here is off. docs/manifest.md explains each key.\n\
             Next: `twine manifest check`, then `twine manifest sign --key owner.pem`.",
        );
        lines.section("", "The deployment. Its name and the generation name its sealing keys.");
        lines.set("name", text(name));
        lines.comment("Raise it with each change.");
        lines.set("version", version);
        lines.comment("Volumes of another generation do not open.");
        lines.set("generation", generation);
        lines.comment("The owner's public key: PEM, or a file with it, beside this one.");
        lines.set("owner", text(self.owner));
    }

    fn program(&self, lines: &mut Lines) {
        let terms = &self.manifest.terms;
        lines.section("", "The SHA-256 of the program. The file is a hint, and is not signed.");
        lines.set("program", text(&terms.program.to_string()));
        lines.set("program-file", text(self.file));
        lines.comment("The arguments, the program's name first.");
        lines.set("arguments", list(terms.arguments.iter()));
        lines.comment(
            "Names of variables whose values the host passes. The values are in no manifest and in\n\
             no evidence.",
        );
        lines.set("secrets", list(terms.secrets.iter()));
        lines.comment(
            "Whether a `twine host` that was started again may start it without its owner, with the\n\
             secrets that the enclave has sealed.",
        );
        let restart = match self.manifest.restart {
            Restart::Never => None,
            Restart::Always => Some(text("always")),
        };
        lines.set_or("restart", restart, "\"always\"");
        lines.section("[environment]", "Variables, with their values.");
        for variable in &terms.environment {
            let name = String::from_utf8_lossy(&variable.name.0).into_owned();
            let entry = [(name, of_bytes(&variable.value))];
            // The table writes a key with quotes where it needs them.
            lines.0.push_str(&toml::Table::from_iter(entry).to_string());
        }
    }

    fn tables(&self, lines: &mut Lines) {
        let terms = &self.manifest.terms;
        if let Some(export) = &terms.export {
            lines.section("[export]", "The function to call instead of `_start`.");
            lines.set("function", text(&export.function));
            let arguments = export.arguments.iter().map(|argument| text(argument));
            lines.set("arguments", Value::Array(arguments.collect()));
        }
        lines.section(
            "[streams]",
            "\"none\" leads nowhere. \"host\" leads to the host, which reads and writes it. \"owner\"\n\
             leads to whoever deploys it on a `twine host`, and the host sees nothing of it.",
        );
        for (key, stream) in terms.streams.named() {
            lines.set(key, text(&stream.to_string()));
        }
        lines.section("[limits]", "Limits that the enclave enforces on the program.");
        lines.set_or("memory", terms.limits.memory.map(size), "\"64MiB\"");
        lines.set_or("fuel", terms.limits.fuel, "1000000");
        lines.set_or("timeout", terms.limits.timeout.map(time), "\"5s\"");
        lines.set("interrupts", terms.limits.interrupts);
        lines.section("[diagnostics]", "What the host is told of the program.");
        lines.set("backtraces", terms.diagnostics.backtraces);
        lines.set("statistics", terms.diagnostics.statistics);
        for mount in &terms.mounts {
            write_mount(lines, mount);
        }
        for socket in &terms.sockets {
            write_socket(lines, socket);
        }
    }

    fn images(&self, lines: &mut Lines) {
        let demands = self.manifest.demands;
        lines.section("[demands]", "What an enclave may be.");
        lines.set("allow-debug", demands.allow_debug);
        lines.comment("Pages are writable and executable at once on machines without SGX2, and in");
        lines.comment("the image for them.");
        lines.set("allow-writable-code", demands.allow_writable_code);
        for image in &self.manifest.images {
            lines.section("[[images]]", "An image that may hold the deployment, by its MRENCLAVE.");
            for (key, value) in image_entries(image) {
                lines.set(key, value);
            }
        }
    }

    /// Writes what only a deployment on a `twine host` has.
    fn hosts(&self, lines: &mut Lines) {
        lines.section(
            "[access]",
            "Who may do what on a `twine host`, besides the owner: public keys, as for `owner`.\n\
             `deploy`: start it, give it secrets, use its streams to the owner. `look`: see its state\n\
             and log. `stop`: stop it. `files`: read and change the files of its volumes while it\n\
             does not run.",
        );
        let examples = ["ci.pub", "monitor.pub", "ci.pub", "backup.pub"];
        for (right, example) in Right::ALL.into_iter().zip(examples) {
            // A valid manifest has no other keys.
            let keys = self.manifest.access.keys(right).iter();
            let keys = keys.filter_map(|key| PublicKey::from_der(&key.0).ok());
            let keys = keys.map(|key| text(&public_to_pem(&key))).collect();
            lines.set_or(right.name(), list_if_any(keys), &format!("[\"{example}\"]"));
        }
        let platform = &self.manifest.platform;
        lines.section(
            "[platform]",
            "What `twine deploy` demands of the host's machine; docs/verifying.md explains each key.",
        );
        let root = (platform.root == Root::Simulation).then(|| text("simulation"));
        lines.set_or("root", root, "\"simulation\"");
        let words = |statuses: &[TcbStatus]| {
            statuses.iter().map(|status| text(&status.to_string())).collect()
        };
        let example = Value::Array(words(&TcbStatus::DEFAULT)).to_string();
        lines.set_or("statuses", list_if_any(words(&platform.statuses)), &example);
        lines.set_or("least-evaluation-number", platform.least_evaluation_number, "17");
        let hashes = platform.ppid_hashes.iter().map(|hash| text(&hash.to_string())).collect();
        lines.set_or("ppid-hashes", list_if_any(hashes), "[\"<SHA-256 of the PPID>\"]");
        // An empty table would say nothing.
        let from = &self.manifest.handover.from;
        let handover = "Older images whose enclaves hand the deployment's volumes over, by their \
                        MRENCLAVE:\ndocs/deploying.md.";
        match list_if_any(from.iter().map(|image| text(&image.to_string())).collect()) {
            Some(from) => {
                lines.section("[handover]", handover);
                lines.set("from", from);
            }
            None => {
                lines.section("", handover);
                lines.comment("[handover]\nfrom = [\"<MRENCLAVE>\"]");
            }
        }
    }
}

/// Writes a list that is left out if it is empty.
fn list_if_any(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then_some(Value::Array(items))
}

/// How a manifest writes a kind of mount.
pub(super) fn kind_name(kind: MountKind) -> &'static str {
    match kind {
        MountKind::Volume => "volume",
        MountKind::Folder => "folder",
        MountKind::Memory => "memory",
    }
}

fn write_mount(lines: &mut Lines, mount: &Mount) {
    let comment = match mount.kind {
        MountKind::Volume => "A protected volume. The host chooses the file that holds it.",
        MountKind::Folder => "A folder of the host, which reads and changes its files.",
        MountKind::Memory => "Files in the enclave's memory, for the time of the run.",
    };
    lines.section("[[mounts]]", comment);
    lines.set("guest", text(&mount.guest));
    lines.set("kind", text(kind_name(mount.kind)));
    if mount.key.is_some() {
        lines.set("key", text(KEY));
    }
    if let Some(bytes) = mount.size {
        lines.set("size", size(bytes));
    }
    lines.set("read-only", mount.read_only);
}

/// The keys of an image, with their values.
fn image_entries(image: &AllowedImage) -> Vec<(&'static str, Value)> {
    let AllowedImage { measurement, signer, product, min_svn } = *image;
    let digest = |digest: twine_evidence::bytes::Digest| text(&digest.to_string());
    let number = |number: u16| Value::from(i64::from(number));
    [
        ("measurement", measurement.map(digest)),
        ("signer", signer.map(digest)),
        ("product", product.map(number)),
        ("min-svn", min_svn.map(number)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect()
}

fn write_socket(lines: &mut Lines, socket: &Socket) {
    let Socket { name, way, host, port, certificate, trust, attested } = socket;
    match way {
        Way::Listen => lines.section(
            "[[listen]]",
            "A socket that listens. The host chooses the address. tls: \"attested\" for other\n\
             deployments, \"certificate\" with one from secrets, or \"none\".",
        ),
        Way::Connect => lines.section("[[connect]]", "A socket that connects, at its first use."),
    }
    lines.set("name", text(name));
    match (host, port) {
        (Some(host), Some(port)) if host.contains(':') => {
            lines.set("address", text(&format!("[{host}]:{port}")));
        }
        (Some(host), Some(port)) => lines.set("address", text(&format!("{host}:{port}"))),
        (_, port) => lines.set_or("port", *port, "8443"),
    }
    lines.set("tls", text(tls_name(socket)));
    if let Some(certificate) = certificate {
        lines.set("certificate", of_bytes(&certificate.chain));
        lines.set("key", of_bytes(&certificate.key));
    }
    if let Some(trust) = trust {
        lines.set("roots", text(&trust.roots));
        lines.set_or("server-name", trust.name.as_deref().map(text), "\"db.example.com\"");
    }
    if let Some(peers) = attested {
        let names = peers.deployments.iter().map(|name| text(name)).collect();
        lines.set("deployments", Value::Array(names));
        let owner = peers.owner.map(|owner| text(&owner.to_string()));
        lines.set_or("owner", owner, "\"other.pub\"");
        lines.set("least-version", peers.least_version);
        let image = |image: &AllowedImage| {
            let entries = image_entries(image).into_iter();
            Value::Table(entries.map(|(key, value)| (key.to_owned(), value)).collect())
        };
        let images = list_if_any(peers.images.iter().map(image).collect());
        lines.set_or("images", images, "[{ measurement = \"<MRENCLAVE>\" }]");
        if *way == Way::Listen {
            lines.set("fresh", !peers.stale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::read;
    use super::super::tests::{OWNER, example, for_hosts, sockets};
    use super::*;
    use std::path::Path;
    use twine_evidence::terms::{Export, Stream, Variable};

    #[track_caller]
    fn survives(manifest: &Manifest) {
        let commented = Commented { manifest, owner: OWNER, file: "app.wasm" }.to_string();
        let read = read(&commented, Path::new(".")).unwrap_or_else(|problems| {
            panic!("{problems:?}\n{commented}");
        });
        assert_eq!(read.manifest, *manifest, "{commented}");
        assert_eq!(read.file.as_deref(), Some("app.wasm"));
    }

    #[test]
    fn a_manifest_that_was_written_is_read_as_the_same() {
        survives(&example());
    }

    #[test]
    fn a_manifest_with_everything_is_read_as_the_same() {
        let mut manifest = example();
        manifest.terms.arguments = vec!["a\"b\\c".into(), "".into(), "x\ny".into(), "ß'''".into()];
        manifest.terms.environment = vec![
            Variable { name: "A".into(), value: "".into() },
            Variable { name: "with space.and dot".into(), value: "1\t2\u{7f}".into() },
        ];
        manifest.terms.export =
            Some(Export { function: "add".into(), arguments: vec!["1".into(), "-2".into()] });
        manifest.terms.streams.stdout = Stream::Host;
        manifest.terms.limits = twine_evidence::terms::Limits {
            memory: Some((64 << 20) + 1),
            fuel: Some(7),
            timeout: Some(1_500_000_000),
            interrupts: true,
        };
        manifest.terms.mounts[1].size = Some(3 << 10);
        manifest.images[0].signer = manifest.images[0].measurement;
        manifest.images[0].product = Some(1);
        manifest.images[0].min_svn = Some(2);
        manifest.terms.sockets = sockets();
        survives(&manifest);
    }

    #[test]
    fn a_manifest_for_hosts_is_read_as_the_same() {
        let mut manifest = for_hosts();
        manifest.terms.streams.stdin = Stream::Owner;
        survives(&manifest);
        manifest.access.look = manifest.access.deploy.clone();
        manifest.restart = Restart::Never;
        survives(&manifest);
    }

    #[test]
    fn sizes_and_times_are_written_exactly() {
        for (bytes, wanted) in
            [(0, "0B"), (1, "1B"), (1536, "1536B"), (2048, "2KiB"), (64 << 20, "64MiB")]
        {
            assert_eq!(size(bytes).as_str(), Some(wanted));
        }
        for (nanoseconds, wanted) in
            [(1, "1ns"), (1500, "1500ns"), (2000, "2us"), (90_000_000_000, "90s")]
        {
            assert_eq!(time(nanoseconds).as_str(), Some(wanted));
        }
    }
}
