//! Translates a manifest from TOML, as owners write it, into the form that they sign.

use super::document::{Document, Place, Problem, Recorded, Table, Value};
use super::{hosts, mounts, sockets};
use crate::input::{self, MAX_TEXT_BYTES};
use crate::owner_key::public_from_pem;
use crate::size;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use twine_evidence::access::Access;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::manifest::{
    AllowedImage, Demands, Handover, MAX_NAME_BYTES, Manifest, Restart, VERSION, is_name,
};
use twine_evidence::owner::PublicKey;
use twine_evidence::platform::Platform;
use twine_evidence::terms::{Diagnostics, Export, Limits, Stream, Streams, Terms, Variable};

/// A manifest that was read from TOML.
#[derive(Debug)]
pub(crate) struct Written {
    /// The manifest, which is valid.
    pub manifest: Manifest,
    /// Its owner's key.
    pub owner: PublicKey,
    /// The program's file, relative to the manifest's folder. It is a hint, and is not signed.
    pub file: Option<String>,
    /// The places of its values, by their paths, such as `mounts[0].guest`.
    pub places: HashMap<String, Place>,
}

/// Reads a manifest in TOML. `folder` is the folder of its file, to which the path of the owner's
/// key is relative.
///
/// # Errors
/// All problems, in the order of their places.
pub(crate) fn read(text: &str, folder: &Path) -> Result<Written, Vec<Problem>> {
    let document = Document::new(text);
    let parsed = document.parse();
    let read = manifest(document.root(&parsed), folder);
    let problems = document.take_problems();
    match read {
        Ok((manifest, owner, file)) if problems.is_empty() => {
            Ok(Written { manifest, owner, file, places: document.into_places() })
        }
        _ => Err(problems),
    }
}

/// The streams of a manifest that names none.
const NO_STREAMS: Streams =
    Streams { stdin: Stream::None, stdout: Stream::None, stderr: Stream::None };

fn manifest(
    mut root: Table<'_, '_>,
    folder: &Path,
) -> Result<(Manifest, PublicKey, Option<String>), Recorded> {
    // All are read before the first problem ends it, so that all problems are found.
    let name = root.need("name", "name the deployment: name = \"app\"").and_then(name);
    let version =
        root.need("version", "number this manifest: version = 1").and_then(Value::into_number);
    let generation = root
        .need("generation", "number the deployment's sealing keys: generation = 1")
        .and_then(Value::into_number);
    let owner = root
        .need("owner", "name the owner's public key: owner = \"owner.pub\"")
        .and_then(|value| public_key(&value, folder));
    let file = root.take("program-file").map(|value| value.text().map(str::to_owned)).transpose();
    let terms = terms(&mut root, folder);
    let images = root
        .need("images", "name one: [[images]], with measurement = its MRENCLAVE")
        .and_then(|value| images(&value));
    let demands = root.take("demands").map_or(Ok(Demands::default()), demands);
    let access = root
        .take("access")
        .map_or(Ok(Access::default()), |value| hosts::access(value, folder, owner.as_ref().ok()));
    let restart = root.take("restart").map_or(Ok(Restart::Never), |value| hosts::restart(&value));
    let platform = root.take("platform").map_or(Ok(Platform::default()), hosts::platform);
    let handover = root.take("handover").map_or(Ok(Handover::default()), hosts::handover);
    root.finish();
    // The check would find again what is wrong already.
    if root.has_problems() {
        return Err(Recorded);
    }
    let owner = owner?;
    let manifest = Manifest {
        format: VERSION,
        name: name?,
        version: version?,
        generation: generation?,
        owner: Bytes(owner.der().to_vec()),
        terms: terms?,
        images: images?,
        demands: demands?,
        access: access?,
        restart: restart?,
        platform: platform?,
        handover: handover?,
    };
    if let Err(error) = manifest.check() {
        return Err(root.problem(error.to_string(), "correct it"));
    }
    Ok((manifest, owner, file?))
}

fn terms(root: &mut Table<'_, '_>, folder: &Path) -> Result<Terms, Recorded> {
    let program = root
        .need("program", "give the program's SHA-256, which `twine measure PROGRAM` prints")
        .and_then(|value| measured(&value));
    let arguments = root.take("arguments").map_or(Ok(Vec::new()), |value| arguments(&value));
    let environment = root.take("environment").map_or(Ok(Vec::new()), environment);
    let others = environment.as_deref().unwrap_or_default();
    let secrets = root.take("secrets").map_or(Ok(Vec::new()), |value| secrets(&value, others));
    let export = root.take("export").map(export).transpose();
    let streams = root.take("streams").map_or(Ok(NO_STREAMS), streams);
    let mounts = root.take("mounts").map_or(Ok(Vec::new()), |value| mounts::read(&value));
    let secret_names = secrets.as_deref().unwrap_or_default();
    let sockets = sockets::read(root, &sockets::Around { folder, secrets: secret_names });
    let limits = root.take("limits").map_or(Ok(Limits::default()), limits);
    let diagnostics = root.take("diagnostics").map_or(Ok(Diagnostics::default()), diagnostics);
    Ok(Terms {
        program: program?,
        arguments: arguments?,
        environment: environment?,
        secrets: secrets?,
        export: export?,
        streams: streams?,
        mounts: mounts?,
        sockets: sockets?,
        limits: limits?,
        diagnostics: diagnostics?,
    })
}

fn name(value: Value<'_, '_>) -> Result<String, Recorded> {
    let name = value.text()?;
    if is_name(name) {
        return Ok(name.to_owned());
    }
    let remedy = format!("use 1 to {MAX_NAME_BYTES} letters, digits or characters of `._-`");
    Err(value.problem(format!("{name:?} is no name of a deployment"), remedy))
}

/// Reads a public key: PEM, or the path of a file with it, relative to `folder`.
pub(super) fn public_key(value: &Value<'_, '_>, folder: &Path) -> Result<PublicKey, Recorded> {
    let text = value.text()?;
    let pem = if text.contains("-----BEGIN") {
        text.trim().as_bytes().to_vec()
    } else {
        input::whole(&folder.join(text), MAX_TEXT_BYTES).map_err(|failure| {
            value.problem(
                failure.cause(),
                "name the file of a public key, which `twine key public` prints",
            )
        })?
    };
    public_from_pem(&pem).map_err(|error| value.problem(&error, error.remedy()))
}

/// Reads a SHA-256.
pub(super) fn digest(value: &Value<'_, '_>, remedy: &str) -> Result<Digest, Recorded> {
    Digest::from_hex(value.text()?).ok_or_else(|| value.problem("it is no SHA-256", remedy))
}

/// Reads a SHA-256 of those that `twine measure` prints.
fn measured(value: &Value<'_, '_>) -> Result<Digest, Recorded> {
    digest(value, "give 64 hexadecimal digits, as `twine measure` prints")
}

/// Records that a text has a NUL, which no argument and no variable can have.
fn without_nul(value: &Value<'_, '_>) -> Result<Bytes, Recorded> {
    let text = value.text()?;
    if text.contains('\0') {
        return Err(value.problem("it contains a NUL character", "leave the character out"));
    }
    Ok(Bytes::from(text))
}

fn arguments(value: &Value<'_, '_>) -> Result<Vec<Bytes>, Recorded> {
    collect(value.texts()?.iter().map(without_nul))
}

/// Collects results, after all of them were made, so that all problems are found.
pub(super) fn collect<T>(
    results: impl Iterator<Item = Result<T, Recorded>>,
) -> Result<Vec<T>, Recorded> {
    results.collect::<Vec<_>>().into_iter().collect()
}

/// Whether a variable may have this name.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn not_a_variable(value: &Value<'_, '_>, name: &str) -> Recorded {
    value.problem(
        format!("{name:?} is no name of a variable"),
        "use a name without `=`, such as HOME",
    )
}

fn environment(value: Value<'_, '_>) -> Result<Vec<Variable>, Recorded> {
    let variable = |(name, value): (&str, Value<'_, '_>)| {
        if !is_variable(name) {
            return Err(not_a_variable(&value, name));
        }
        Ok(Variable { name: name.into(), value: without_nul(&value)? })
    };
    collect(value.table()?.all().into_iter().map(variable))
}

fn secrets(value: &Value<'_, '_>, environment: &[Variable]) -> Result<Vec<Bytes>, Recorded> {
    let open: HashSet<_> = environment.iter().map(|variable| &variable.name).collect();
    let mut names = HashSet::new();
    let secret = |value: &Value<'_, '_>| {
        let text = value.text()?;
        let name = Bytes::from(text);
        if !is_variable(text) {
            return Err(not_a_variable(value, text));
        }
        if open.contains(&name) {
            return Err(value.problem(
                format!("{text} is in `environment`, too"),
                "leave it out there: the value of a secret is no part of the manifest",
            ));
        }
        if !names.insert(name.clone()) {
            return Err(value.problem(format!("{text} is named twice"), "name it once"));
        }
        Ok(name)
    };
    collect(value.texts()?.iter().map(secret))
}

fn export(value: Value<'_, '_>) -> Result<Export, Recorded> {
    let mut table = value.table()?;
    let function = table
        .need("function", "name the exported function: function = \"add\"")
        .and_then(|value| value.text());
    let arguments = table.take("arguments").map_or(Ok(Vec::new()), |value| value.texts());
    table.finish();
    let text = |value: &Value<'_, '_>| value.text().map(str::to_owned);
    Ok(Export { function: function?.to_owned(), arguments: collect(arguments?.iter().map(text))? })
}

fn streams(value: Value<'_, '_>) -> Result<Streams, Recorded> {
    let mut table = value.table()?;
    let mut stream = |key| match table.take(key) {
        None => Ok(Stream::None),
        Some(value) => match value.text()? {
            "none" => Ok(Stream::None),
            "host" => Ok(Stream::Host),
            "owner" => Ok(Stream::Owner),
            other => Err(value.problem(
                format!("{other:?} is no place for a stream"),
                "write \"none\", \"owner\", or \"host\" if the host may read and write it",
            )),
        },
    };
    let (stdin, stdout, stderr) = (stream("stdin"), stream("stdout"), stream("stderr"));
    table.finish();
    Ok(Streams { stdin: stdin?, stdout: stdout?, stderr: stderr? })
}

fn limits(value: Value<'_, '_>) -> Result<Limits, Recorded> {
    let mut table = value.table()?;
    let memory = table.take("memory").map(|value| value.with_unit(size::bytes, "64MiB"));
    let fuel = table.take("fuel").map(Value::into_number);
    let timeout = table.take("timeout").map(|value| value.with_unit(size::nanoseconds, "5s"));
    let interrupts = flag(&mut table, "interrupts");
    table.finish();
    Ok(Limits {
        memory: memory.transpose()?,
        fuel: fuel.transpose()?,
        timeout: timeout.transpose()?,
        interrupts: interrupts?,
    })
}

/// Reads a switch, which is off if the table does not have it.
pub(super) fn flag(table: &mut Table<'_, '_>, key: &'static str) -> Result<bool, Recorded> {
    flag_or(table, key, false)
}

/// Reads a switch, which is at `default` if the table does not have it.
pub(super) fn flag_or(
    table: &mut Table<'_, '_>,
    key: &'static str,
    default: bool,
) -> Result<bool, Recorded> {
    table.take(key).map_or(Ok(default), |value| value.boolean())
}

fn diagnostics(value: Value<'_, '_>) -> Result<Diagnostics, Recorded> {
    let mut table = value.table()?;
    let (backtraces, statistics) = (flag(&mut table, "backtraces"), flag(&mut table, "statistics"));
    table.finish();
    Ok(Diagnostics { backtraces: backtraces?, statistics: statistics? })
}

fn demands(value: Value<'_, '_>) -> Result<Demands, Recorded> {
    let mut table = value.table()?;
    let debug = flag(&mut table, "allow-debug");
    let writable = flag(&mut table, "allow-writable-code");
    table.finish();
    Ok(Demands { allow_debug: debug?, allow_writable_code: writable? })
}

pub(super) fn images(value: &Value<'_, '_>) -> Result<Vec<AllowedImage>, Recorded> {
    let images = value.array()?;
    if images.is_empty() {
        return Err(value.problem("no image is allowed", "name one by its measurement"));
    }
    collect(images.into_iter().map(image))
}

fn image(value: Value<'_, '_>) -> Result<AllowedImage, Recorded> {
    let mut table = value.table()?;
    let measurement = table.take("measurement").map(|value| measured(&value));
    let signer = table.take("signer").map(|value| measured(&value));
    let product = table.take("product").map(Value::into_number);
    let min_svn = table.take("min-svn").map(Value::into_number);
    let names_none = (measurement.is_none() && signer.is_none()).then(|| {
        table.problem(
            "an allowed image needs a measurement (MRENCLAVE) or a signer (MRSIGNER)",
            "give what `twine measure PROGRAM` prints",
        )
    });
    table.finish();
    names_none.map_or(Ok(()), Err)?;
    Ok(AllowedImage {
        measurement: measurement.transpose()?,
        signer: signer.transpose()?,
        product: product.transpose()?,
        min_svn: min_svn.transpose()?,
    })
}
