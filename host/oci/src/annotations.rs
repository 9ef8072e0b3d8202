//! The annotations of a container that configure Twine.

use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// The prefix of the names.
const PREFIX: &str = "io.twine.";

/// Annotations of CRI (containerd's and CRI-O's) that say what kind of container it is. A sandbox has
/// the annotations of its pod, and is no program.
const SANDBOX_TYPE: [&str; 2] =
    ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];

/// The settings in a container's annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Annotations {
    /// `io.twine.program`: whether the container's process is a WebAssembly program, whatever its
    /// name is.
    pub(crate) program: Option<bool>,
    /// Whether the container is the sandbox of a pod, which holds its namespaces.
    pub(crate) is_sandbox: bool,
    /// `io.twine.volume.NAME`: protected volumes, in the form of `--dir` of `twine run`.
    pub(crate) volumes: Vec<String>,
    /// `io.twine.key`: `--key` of `twine run`.
    pub(crate) key: Option<String>,
    /// `io.twine.manifest`: the signed manifest that the program is held to, as a path in the
    /// container.
    pub(crate) manifest: Option<String>,
    /// `io.twine.secrets`: names of environment variables whose values evidence leaves out,
    /// separated by spaces.
    pub(crate) secrets: Vec<String>,
    /// `io.twine.options`: other options of `twine run`, separated by spaces.
    pub(crate) options: Vec<String>,
    /// `io.twine.rootfs`: how the program sees the container's files.
    pub(crate) rootfs: Rootfs,
    /// `io.twine.code-cache`: whether the node caches no compiled code.
    pub(crate) without_code_cache: bool,
}

/// The access of a program to the files of its container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Rootfs {
    /// It may change what the container may change.
    #[default]
    ReadWrite,
    /// It may only read them.
    ReadOnly,
    /// It sees none of them.
    Hidden,
}

fn wrong(name: &str, value: &str, remedy: &str) -> Error {
    Error::Annotation {
        name: name.into(),
        cause: format!("{value:?} is not a value of it"),
        remedy: remedy.into(),
    }
}

fn is_true(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(wrong(name, value, "write \"true\" or \"false\"")),
    }
}

impl Annotations {
    /// Reads the annotations of a configuration. Annotations with other prefixes are ignored.
    pub(crate) fn parse(all: Option<&Map<String, Value>>) -> Result<Self> {
        let mut annotations = Annotations::default();
        for (name, value) in all.into_iter().flatten() {
            if SANDBOX_TYPE.contains(&name.as_str()) && value == "sandbox" {
                annotations.is_sandbox = true;
            }
            let Some(short) = name.strip_prefix(PREFIX) else { continue };
            let value = value.as_str().unwrap_or_default();
            match short {
                "program" => annotations.program = Some(is_true(name, value)?),
                "key" => annotations.key = Some(value.into()),
                "manifest" => annotations.manifest = Some(value.into()),
                "secrets" => {
                    annotations.secrets = value.split_whitespace().map(str::to_owned).collect();
                }
                "options" => {
                    annotations.options = value.split_whitespace().map(str::to_owned).collect();
                }
                "code-cache" => annotations.without_code_cache = !is_true(name, value)?,
                "rootfs" => {
                    annotations.rootfs = match value {
                        "rw" => Rootfs::ReadWrite,
                        "ro" => Rootfs::ReadOnly,
                        "none" => Rootfs::Hidden,
                        _ => return Err(wrong(name, value, "write \"rw\", \"ro\" or \"none\"")),
                    }
                }
                _ if short.starts_with("volume.") => annotations.volumes.push(value.into()),
                _ => {
                    return Err(Error::Annotation {
                        name: name.clone(),
                        cause: "this version of Twine does not know it".into(),
                        remedy: "write program, manifest, secrets, key, options, code-cache, \
                                 rootfs or volume.NAME after io.twine."
                            .into(),
                    });
                }
            }
        }
        annotations.check_manifest(all)?;
        annotations.check_paths()?;
        Ok(annotations)
    }

    /// Checks that nothing is chosen that the manifest decides.
    fn check_manifest(&self, all: Option<&Map<String, Value>>) -> Result<()> {
        let Some(manifest) = &self.manifest else { return Ok(()) };
        if !manifest.starts_with('/') {
            let remedy = "write the path of the signed manifest in the container, from / on";
            return Err(wrong("io.twine.manifest", manifest, remedy));
        }
        let decided = ["key", "rootfs"].map(|short| format!("{PREFIX}{short}"));
        match decided.into_iter().find(|name| all.is_some_and(|all| all.contains_key(name))) {
            Some(name) => Err(Error::Annotation {
                name,
                cause: "the manifest of io.twine.manifest decides it".into(),
                remedy: "leave it out".into(),
            }),
            None => Ok(()),
        }
    }

    /// Checks that no volume is at the path of the container's files.
    fn check_paths(&self) -> Result<()> {
        let at_root = |volume: &&String| {
            let guest = volume.rsplit_once("::").map_or("/", |(_, guest)| guest);
            guest.split(',').next() == Some("/")
        };
        match self.volumes.iter().find(at_root) {
            Some(volume) if self.manifest.is_none() && self.rootfs != Rootfs::Hidden => {
                Err(Error::Annotation {
                    name: format!("{PREFIX}volume"),
                    cause: format!(
                        "{volume:?} is at /, where the program sees the container's files"
                    ),
                    remedy: "write FILE::GUEST, or set io.twine.rootfs to \"none\"".into(),
                })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: &Value) -> Result<Annotations> {
        Annotations::parse(value.as_object())
    }

    #[test]
    fn annotations_of_others_are_left_alone() {
        let others = json!({ "io.kubernetes.cri.sandbox-id": "x", "io.twinery": "y" });
        assert_eq!(parse(&others).unwrap(), Annotations::default());
    }

    #[test]
    fn an_annotation_that_is_not_known_is_refused_by_name() {
        for (name, value) in
            [("io.twine.keys", "sealed"), ("io.twine.rootfs", "x"), ("io.twine.program", "yes")]
        {
            let error = parse(&json!({ name: value })).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_volume_takes_the_place_of_the_files_only_if_these_are_hidden() {
        for volume in ["/data/app.vol", "/data/app.vol::/", "/data/app.vol::/,ro"] {
            let error = parse(&json!({ "io.twine.volume.data": volume })).unwrap_err();
            assert!(error.remedy().contains("io.twine.rootfs"), "{error}");
            let hidden = json!({ "io.twine.volume.data": volume, "io.twine.rootfs": "none" });
            assert_eq!(parse(&hidden).unwrap().volumes, [volume]);
        }
    }

    #[test]
    fn volumes_options_and_key_are_those_of_the_command() {
        let given = json!({
            "io.twine.volume.data": "/data/app.vol::/data,ro",
            "io.twine.key": "file:/run/secrets/key",
            "io.twine.options": "--compiler  auto --quiet",
            "io.twine.rootfs": "none",
            "io.twine.code-cache": "false",
        });
        let annotations = parse(&given).unwrap();
        assert_eq!(annotations.volumes, ["/data/app.vol::/data,ro"]);
        assert_eq!(annotations.key.as_deref(), Some("file:/run/secrets/key"));
        assert_eq!(annotations.options, ["--compiler", "auto", "--quiet"]);
        assert_eq!(annotations.rootfs, Rootfs::Hidden);
        assert!(annotations.without_code_cache);
    }

    #[test]
    fn a_manifest_decides_keys_and_files() {
        let given = json!({
            "io.twine.manifest": "/app.manifest",
            "io.twine.secrets": "TOKEN  PASSWORD",
            "io.twine.volume.data": "/data/app.vol",
        });
        let annotations = parse(&given).unwrap();
        assert_eq!(annotations.manifest.as_deref(), Some("/app.manifest"));
        assert_eq!(annotations.secrets, ["TOKEN", "PASSWORD"]);
        for (name, value) in [("io.twine.key", "sealed"), ("io.twine.rootfs", "rw")] {
            let error = parse(&json!({ "io.twine.manifest": "/m", name: value })).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let error = parse(&json!({ "io.twine.manifest": "app.manifest" })).unwrap_err();
        assert!(error.remedy().contains("path"), "{error}");
    }
}
