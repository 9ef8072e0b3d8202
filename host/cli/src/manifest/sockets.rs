//! The sockets of a manifest: how TOML names them.

use super::document::{Recorded, Table, Value};
use super::read::{collect, flag_or, images, public_key};
use crate::input::{self, MAX_TEXT_BYTES};
use pem::{EncodeConfig, LineEnding, Pem};
use std::collections::HashSet;
use std::path::Path;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::manifest::is_name;
use twine_evidence::sockets::{Certificate, Peers, Socket, Trust, Way, is_host};

/// How TOML names the kinds of TLS.
pub(super) const NONE: &str = "none";
pub(super) const CERTIFICATE: &str = "certificate";
pub(super) const ATTESTED: &str = "attested";

/// The name of a socket's kind of TLS.
pub(super) fn tls_name(socket: &Socket) -> &'static str {
    if socket.attested.is_some() {
        ATTESTED
    } else if socket.has_tls() {
        CERTIFICATE
    } else {
        NONE
    }
}

/// What sockets refer to.
pub(super) struct Around<'a> {
    /// The folder of the manifest, to which paths are relative.
    pub(super) folder: &'a Path,
    /// The secrets of the manifest.
    pub(super) secrets: &'a [Bytes],
}

/// Reads the tables `[[listen]]` and `[[connect]]`.
pub(super) fn read(root: &mut Table<'_, '_>, around: &Around<'_>) -> Result<Vec<Socket>, Recorded> {
    let mut names = HashSet::new();
    let mut of = |key, way| {
        let Some(value) = root.take(key) else { return Ok(Vec::new()) };
        collect(value.array()?.into_iter().map(|value| socket(value, way, &mut names, around)))
    };
    let (listen, connect) = (of("listen", Way::Listen), of("connect", Way::Connect));
    Ok([listen?, connect?].concat())
}

fn socket(
    value: Value<'_, '_>,
    way: Way,
    names: &mut HashSet<String>,
    around: &Around<'_>,
) -> Result<Socket, Recorded> {
    let mut table = value.table()?;
    let name = table.need("name", "name it: name = \"web\"").and_then(|value| named(&value, names));
    let (host, port) = match way {
        Way::Listen => (Ok(None), table.take("port").map(|value| port(&value)).transpose()),
        Way::Connect => {
            let address = table
                .need("address", "write host and port: address = \"db.example.com:5432\"")
                .and_then(|value| address(&value));
            (address.clone().map(|(host, _)| Some(host)), address.map(|(_, port)| Some(port)))
        }
    };
    let needed = format!("write tls = \"{ATTESTED}\", \"{CERTIFICATE}\" or \"{NONE}\"");
    let tls = table.need("tls", &needed).and_then(|value| tls(&value));
    let mut socket = Socket { way, ..Socket::default() };
    let rest = match (tls, way) {
        (Ok(CERTIFICATE), Way::Listen) => certificate(&mut table, around)
            .map(|certificate| socket.certificate = Some(certificate)),
        (Ok(CERTIFICATE), Way::Connect) => {
            trust(&mut table, around).map(|trust| socket.trust = Some(trust))
        }
        (Ok(ATTESTED), _) => {
            peers(&mut table, way, around).map(|peers| socket.attested = Some(peers))
        }
        (tls, _) => tls.map(drop),
    };
    table.finish();
    rest?;
    Ok(Socket { name: name?, host: host?, port: port?, ..socket })
}

fn named(value: &Value<'_, '_>, names: &mut HashSet<String>) -> Result<String, Recorded> {
    let name = value.text()?;
    if !is_name(name) {
        return Err(value.problem(
            format!("{name:?} is no name of a socket"),
            "use letters, digits or characters of `._-`",
        ));
    }
    if !names.insert(name.to_owned()) {
        return Err(value.problem(
            format!("another socket has the name {name} too"),
            "give each socket its own name",
        ));
    }
    Ok(name.to_owned())
}

fn port(value: &Value<'_, '_>) -> Result<u16, Recorded> {
    match value.number()? {
        0 => Err(value.problem("0 is no port", "name one, or leave it out if the host may choose")),
        port => Ok(port),
    }
}

/// Splits a host and a port. An IPv6 address is in brackets.
pub(super) fn split(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    is_host(host).then_some((host, port))
}

fn address(value: &Value<'_, '_>) -> Result<(String, u16), Recorded> {
    let text = value.text()?;
    let found = split(text).map(|(host, port)| (host.to_owned(), port));
    found.ok_or_else(|| {
        value.problem(
            format!("{text:?} is no host with a port"),
            "write it as db.example.com:5432, 10.0.0.1:5432 or [::1]:5432",
        )
    })
}

fn tls(value: &Value<'_, '_>) -> Result<&'static str, Recorded> {
    let text = value.text()?;
    let known = [NONE, CERTIFICATE, ATTESTED].into_iter().find(|known| *known == text);
    known.ok_or_else(|| {
        value.problem(
            format!("{text:?} is no kind of TLS"),
            format!(
                "write \"{ATTESTED}\", \"{CERTIFICATE}\", or \"{NONE}\" if the host may read and \
                 change everything"
            ),
        )
    })
}

/// Reads the name of a secret.
fn secret(value: &Value<'_, '_>, around: &Around<'_>) -> Result<Bytes, Recorded> {
    let text = value.text()?;
    let name = Bytes::from(text);
    if !around.secrets.contains(&name) {
        return Err(value.problem(
            format!("{text:?} is none of `secrets`"),
            "name a secret here, and in `secrets` too: its value comes with `--secret NAME=@FILE`",
        ));
    }
    Ok(name)
}

fn certificate(table: &mut Table<'_, '_>, around: &Around<'_>) -> Result<Certificate, Recorded> {
    let chain = table
        .need("certificate", "name the secret with the certificates: certificate = \"WEB_CERT\"")
        .and_then(|value| secret(&value, around));
    let key = table
        .need("key", "name the secret with the private key: key = \"WEB_KEY\"")
        .and_then(|value| secret(&value, around));
    Ok(Certificate { chain: chain?, key: key? })
}

fn trust(table: &mut Table<'_, '_>, around: &Around<'_>) -> Result<Trust, Recorded> {
    let roots = table
        .need("roots", "name the authority's certificate: roots = \"ca.pem\"")
        .and_then(|value| roots(&value, around.folder));
    let name = table.take("server-name").map(|value| host(&value)).transpose();
    Ok(Trust { roots: roots?, name: name? })
}

fn host(value: &Value<'_, '_>) -> Result<String, Recorded> {
    let text = value.text()?;
    match is_host(text) {
        true => Ok(text.to_owned()),
        false => Err(value.problem(
            format!("{text:?} is no name of a host"),
            "write the name that the certificate is for, such as db.example.com",
        )),
    }
}

/// Reads certificates: PEM, or the path of a file with it. What is not a certificate is left out.
fn roots(value: &Value<'_, '_>, folder: &Path) -> Result<String, Recorded> {
    const REMEDY: &str = "name a file with the authority's certificates in PEM";
    let text = value.text()?;
    let pem = if text.contains("-----BEGIN") {
        text.as_bytes().to_vec()
    } else {
        input::whole(&folder.join(text), MAX_TEXT_BYTES)
            .map_err(|failure| value.problem(failure.cause(), REMEDY))?
    };
    let found = pem::parse_many(&pem);
    let mut found =
        found.map_err(|error| value.problem(format!("it is no PEM: {error}"), REMEDY))?;
    found.retain(|block: &Pem| block.tag() == "CERTIFICATE");
    if found.is_empty() {
        return Err(value.problem("it has no certificate", REMEDY));
    }
    Ok(pem::encode_many_config(&found, EncodeConfig::new().set_line_ending(LineEnding::LF)))
}

fn peers(table: &mut Table<'_, '_>, way: Way, around: &Around<'_>) -> Result<Peers, Recorded> {
    let owner = table.take("owner").map(|value| owner(&value, around.folder)).transpose();
    let deployments = table
        .need("deployments", "name those at the other end: deployments = [\"db\"]")
        .and_then(|value| deployments(&value));
    let allowed = table.take("images").map_or(Ok(Vec::new()), |value| images(&value));
    let least_version = table.take("least-version").map_or(Ok(0), Value::into_number);
    let fresh = match way {
        Way::Listen => flag_or(table, "fresh", true),
        Way::Connect => Ok(true),
    };
    Ok(Peers {
        owner: owner?,
        deployments: deployments?,
        images: allowed?,
        least_version: least_version?,
        stale: !fresh?,
    })
}

/// Reads the key of another owner: its SHA-256, or the key itself.
fn owner(value: &Value<'_, '_>, folder: &Path) -> Result<Digest, Recorded> {
    match Digest::from_hex(value.text()?) {
        Some(digest) => Ok(digest),
        None => public_key(value, folder).map(|key| key.id()),
    }
}

fn deployments(value: &Value<'_, '_>) -> Result<Vec<String>, Recorded> {
    let names = value.texts()?;
    if names.is_empty() {
        return Err(value.problem("it names no deployment", "name at least one"));
    }
    let name = |value: &Value<'_, '_>| {
        let name = value.text()?;
        match is_name(name) {
            true => Ok(name.to_owned()),
            false => Err(value.problem(
                format!("{name:?} is no name of a deployment"),
                "write the `name` of its manifest",
            )),
        }
    };
    collect(names.iter().map(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_split() {
        for (text, wanted) in [
            ("db:1", Some(("db", 1))),
            ("10.0.0.1:65535", Some(("10.0.0.1", 65535))),
            ("[::1]:443", Some(("::1", 443))),
            ("::1:443", None),
            ("db", None),
            ("db:0", None),
            (":1", None),
            ("a b:1", None),
            ("[::1:443", None),
        ] {
            assert_eq!(split(text), wanted, "{text}");
        }
    }
}
