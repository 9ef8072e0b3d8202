//! The configuration of a container, changed so that its process is `twine run`.

use crate::annotations::{Annotations, Rootfs};
use crate::devices::device;
use crate::error::{Error, Result};
use crate::installation::{Installation, name};
use crate::program::is_program;
use crate::replace::replace;
use oci_spec::runtime::Spec;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder with Twine's files in a container.
const FOLDER: &str = "/.twine";

/// Environment variables of `twine run`, each with its folder in Twine's.
const OWN: [(&str, &str); 2] = [("TWINE_CACHE", "state/code"), ("XDG_STATE_HOME", "state")];

fn is_own(variable: &str) -> bool {
    OWN.iter().any(|(name, _)| *name == variable)
}

/// Memory of a container that is not the program's: of the command, the enclave and the code.
const OWN_MEMORY: u64 = 48 << 20;

/// Memory of a container for each volume: the default size of a volume's cache.
const VOLUME_MEMORY: u64 = 32 << 20;

/// The bytes that a program may take of a container with this limit. The kernel kills a container
/// that is over its limit; a program is refused memory before that.
fn of_program(limit: u64, volumes: usize) -> u64 {
    let own = OWN_MEMORY + VOLUME_MEMORY * volumes as u64;
    limit.saturating_sub(own).max(limit / 2)
}

/// Changes the configuration of the bundle if its container's process is a WebAssembly program.
/// Returns whether it is. The configuration of any other container is unchanged. If the
/// configuration can't be read, it stays too: runc reports that.
///
/// # Errors
/// For the container of a program: if an annotation is wrong, a file of Twine is missing, or the
/// configuration can't be written.
pub fn prepare(bundle: &Path, installation: impl FnOnce() -> Result<Installation>) -> Result<bool> {
    let path = bundle.join("config.json");
    let Ok(bytes) = fs::read(&path) else { return Ok(false) };
    let Ok(mut configuration) = serde_json::from_slice::<Value>(&bytes) else { return Ok(false) };
    let annotations = Annotations::parse(configuration["annotations"].as_object());
    let process = &configuration["process"];
    let (Some(program), Some(root)) =
        (process["args"][0].as_str(), configuration["root"]["path"].as_str())
    else {
        return Ok(false);
    };
    if is_prepared(&process["args"]) {
        return Ok(true);
    }
    let directory = process["cwd"].as_str().unwrap_or("/");
    // A wrong annotation is an error only for a program. The annotations can say that it is one.
    let known = annotations.as_ref().ok().cloned().unwrap_or_default();
    if !is_program(&known, program, directory, &bundle.join(root)) {
        return Ok(false);
    }
    let malformed = |error: serde_json::Error| Error::Configuration {
        path: path.clone(),
        cause: error.to_string(),
    };
    if let Some(cause) = malformed_part(&configuration) {
        return Err(Error::Configuration { path, cause });
    }
    let spec: Spec = serde_json::from_value(needed(&configuration)).map_err(malformed)?;
    let container = Container::of(&spec).ok_or_else(|| Error::Configuration {
        path: path.clone(),
        cause: "it has no process".into(),
    })?;
    container.change(&mut configuration, &annotations?, &installation()?)?;
    let text = serde_json::to_vec(&configuration).map_err(malformed)?;
    replace(&path, &text).map_err(|source| Error::File { path: path.clone(), source })?;
    Ok(true)
}

/// Checks the lists and sections to which this command adds something. Each may be missing.
fn malformed_part(configuration: &Value) -> Option<String> {
    let lists = ["/mounts", "/process/env", "/linux/devices", "/linux/resources/devices"];
    let sections = ["/linux", "/linux/resources"];
    let wrong = |pointer: &&str, is_right: fn(&Value) -> bool| {
        configuration.pointer(pointer).is_some_and(|part| !part.is_null() && !is_right(part))
    };
    if let Some(list) = lists.iter().find(|pointer| wrong(pointer, Value::is_array)) {
        return Some(format!("{list} is not a list"));
    }
    let section = sections.iter().find(|pointer| wrong(pointer, Value::is_object))?;
    Some(format!("{section} is not an object"))
}

/// Returns the part of a configuration that the command line of `twine run` depends on. The rest is
/// runc's: it may have capabilities or settings of a newer specification.
fn needed(configuration: &Value) -> Value {
    let process = &configuration["process"];
    let mut needed = json!({
        "ociVersion": configuration["ociVersion"],
        "process": {
            "args": process["args"],
            "cwd": process["cwd"],
            "user": { "uid": 0, "gid": 0 },
        },
    });
    for name in ["env", "user"] {
        if !process[name].is_null() {
            needed["process"][name] = process[name].clone();
        }
    }
    let memory = &configuration["linux"]["resources"]["memory"];
    if !memory.is_null() {
        needed["linux"] = json!({ "resources": { "memory": memory } });
    }
    needed
}

/// Whether this command has changed the configuration already. Somebody who runs a bundle by hand
/// may run it again.
fn is_prepared(arguments: &Value) -> bool {
    let words = [&arguments[1], &arguments[2]].map(|word| word.as_str().unwrap_or_default());
    words == ["--library-path", &format!("{FOLDER}/lib")]
}

/// The settings of a container that the command line of `twine run` depends on.
struct Container {
    /// The program, and its arguments.
    program: String,
    arguments: Vec<String>,
    directory: String,
    /// Names and values of the environment variables.
    environment: Vec<(String, String)>,
    uid: u32,
    gid: u32,
    /// Limit on the memory of the container, in bytes.
    memory: Option<u64>,
}

impl Container {
    fn of(spec: &Spec) -> Option<Self> {
        let process = spec.process().as_ref()?;
        let mut arguments = process.args().clone()?;
        if arguments.is_empty() {
            return None;
        }
        let program = arguments.remove(0);
        let environment = process.env().iter().flatten();
        let environment = environment.filter_map(|variable| variable.split_once('='));
        let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
        let memory = resources.and_then(|resources| resources.memory().as_ref());
        let memory = memory.and_then(|memory| memory.limit());
        Some(Container {
            program,
            arguments,
            directory: process.cwd().display().to_string(),
            environment: environment.map(|(name, value)| (name.into(), value.into())).collect(),
            uid: process.user().uid(),
            gid: process.user().gid(),
            memory: memory.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0),
        })
    }

    /// Returns the command line of the container's process.
    fn command(&self, annotations: &Annotations, loader: &str) -> Vec<String> {
        let twine = format!("{FOLDER}/bin/twine");
        let libraries = format!("{FOLDER}/lib");
        let mut command: Vec<String> =
            [loader, "--library-path", &libraries, "--argv0", &twine, &twine, "run"]
                .map(str::to_owned)
                .into();
        match &annotations.manifest {
            Some(manifest) => command.push(format!("--manifest={manifest}")),
            None => self.terms(annotations, &mut command),
        }
        // Their values are in the environment of the process.
        command.extend(annotations.secrets.iter().map(|name| format!("--secret={name}")));
        command.extend(annotations.volumes.iter().map(|volume| format!("--dir={volume}")));
        command.extend(annotations.key.iter().map(|key| format!("--key={key}")));
        // An option of the operator's replaces the limit of the container, and so does a manifest.
        let named = annotations.options.iter().any(|option| option.starts_with("--max-memory"));
        let memory = self.memory.filter(|_| !named && annotations.manifest.is_none());
        let memory = memory.map(|limit| of_program(limit, annotations.volumes.len()));
        command.extend(memory.map(|bytes| format!("--max-memory={bytes}")));
        if annotations.without_code_cache {
            command.push("--no-code-cache".into());
        }
        command.extend(annotations.options.iter().cloned());
        command.push("--".into());
        command.push(Path::new(&self.directory).join(&self.program).display().to_string());
        if annotations.manifest.is_none() {
            command.extend(self.arguments.iter().cloned());
        }
        command
    }

    /// Appends the options for what a manifest would decide: the environment, and the container's
    /// files.
    fn terms(&self, annotations: &Annotations, command: &mut Vec<String>) {
        let open = self.environment.iter().filter(|(name, _)| !annotations.secrets.contains(name));
        command.extend(open.map(|(name, value)| match is_own(name) {
            // In the environment, it has the value for `twine run`.
            true => format!("--env={name}={value}"),
            false => format!("--env={name}"),
        }));
        // WASI has no working directory. Go's programs, for one, take it from PWD.
        if self.directory != "/" && !self.environment.iter().any(|(name, _)| name == "PWD") {
            command.push(format!("--env=PWD={}", self.directory));
        }
        match annotations.rootfs {
            Rootfs::ReadWrite => command.push(format!("--plain-dir=/::/,without={FOLDER}")),
            Rootfs::ReadOnly => command.push(format!("--plain-dir=/::/,ro,without={FOLDER}")),
            Rootfs::Hidden => {}
        }
    }

    fn change(
        &self,
        configuration: &mut Value,
        annotations: &Annotations,
        installation: &Installation,
    ) -> Result<()> {
        let libraries = installation.libraries()?;
        let loader = libraries.first().map(|path| name(path)).unwrap_or_default();
        let process = &mut configuration["process"];
        process["args"] = json!(self.command(annotations, &format!("{FOLDER}/lib/{loader}")));
        let environment = &mut process["env"];
        if let Some(environment) = environment.as_array_mut() {
            environment.retain(|variable| {
                let (name, _) = variable.as_str().unwrap_or_default().split_once('=').unzip();
                !name.is_some_and(is_own)
            });
        }
        let own = OWN.map(|(name, folder)| format!("{name}={FOLDER}/{folder}"));
        extend(environment, own.map(Value::from));

        let state = installation.state(self.uid, self.gid)?;
        let mut mounts = vec![
            mount(&installation.twine, "bin/twine", "ro"),
            mount(&installation.images, "lib/twine", "ro"),
            mount(&state, "state", "rw"),
        ];
        let of_library = |path: &PathBuf| mount(path, &format!("lib/{}", name(path)), "ro");
        mounts.extend(libraries.iter().map(of_library));
        extend(&mut configuration["mounts"], mounts);

        for (node, rule) in installation.devices.iter().filter_map(|path| device(path)) {
            let linux = &mut configuration["linux"];
            let devices = linux["devices"].as_array();
            let has_it = devices.is_some_and(|all| all.iter().any(|d| d["path"] == node["path"]));
            if !has_it {
                extend(&mut linux["devices"], [node]);
            }
            extend(&mut linux["resources"]["devices"], [rule]);
        }
        Ok(())
    }
}

/// Appends to a list of the configuration, which is created if it is missing.
fn extend(list: &mut Value, more: impl IntoIterator<Item = Value>) {
    match list {
        Value::Array(list) => list.extend(more),
        missing => *missing = more.into_iter().collect(),
    }
}

fn mount(source: &Path, destination: &str, access: &str) -> Value {
    json!({
        "destination": format!("{FOLDER}/{destination}"),
        "type": "bind",
        "source": source,
        "options": ["bind", access, "nosuid", "nodev"],
    })
}
