//! Twine's runtime in the configuration of containerd.

use crate::error::{Error, Result};
use crate::replace::replace;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml_edit::{Array, DocumentMut, Item, Table, value};

/// The plugin with the runtimes of Kubernetes, by the version of the configuration: that of
/// containerd 1.x, which containerd 2.x reads too, and those of containerd 2.0 and 2.3.
const PLUGINS: [(i64, &str); 3] = [
    (2, "io.containerd.grpc.v1.cri"),
    (3, "io.containerd.cri.v1.runtime"),
    (4, "io.containerd.cri.v1.runtime"),
];

/// The runtime that containerd uses for pods without a RuntimeClass, unless its configuration names
/// another.
const DEFAULT: &str = "runc";

/// The comment of a runtime that was added because containerd has it no longer by itself.
const ADDED: &str =
    "# Added by twine-oci: with any runtime here, containerd no longer adds this one.";

/// The shim that starts the runtime.
const SHIM: &str = "io.containerd.runc.v2";

/// A configuration file of containerd.
#[derive(Debug)]
pub struct Configuration {
    path: PathBuf,
    document: DocumentMut,
    plugin: &'static str,
}

impl Configuration {
    /// Reads a file. A file that does not exist is an empty configuration.
    ///
    /// # Errors
    /// When it can't be read, is not TOML, or is of a version that this crate does not know.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(|source| Error::File { path: path.into(), source })?,
        };
        let wrong = |cause: String| Error::Containerd { path: path.into(), cause };
        let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            wrong(error.to_string().lines().next().unwrap_or_default().into())
        })?;
        if document.get("version").is_none() && document.get("plugins").is_none() {
            document.insert("version", value(2));
        }
        let version = document.get("version").map_or(Some(1), Item::as_integer);
        let plugin = PLUGINS.into_iter().find(|(of, _)| Some(*of) == version);
        let Some((_, plugin)) = plugin else {
            return Err(wrong("its version is none of 2, 3 and 4".into()));
        };
        Ok(Configuration { path: path.into(), document, plugin })
    }

    /// The table of the runtimes, which is made where it is missing. The tables that it is in are
    /// not shown as long as they hold nothing else.
    fn runtimes(&mut self) -> Result<&mut Table> {
        let wrong = |path: &Path, name: &str| Error::Containerd {
            path: path.into(),
            cause: format!("{name} is not a table"),
        };
        let mut table = self.document.as_table_mut();
        for name in ["plugins", self.plugin, "containerd", "runtimes"] {
            let mut new = Table::new();
            new.set_implicit(true);
            let item = table.entry(name).or_insert(Item::Table(new));
            table = item.as_table_mut().ok_or_else(|| wrong(&self.path, name))?;
        }
        Ok(table)
    }

    /// Adds a runtime with this name, which starts `command`, or changes it. Its other options are
    /// those of the runtime `runc`, such as the driver for cgroups.
    ///
    /// # Errors
    /// When the configuration has something else in its place.
    pub fn add(&mut self, name: &str, command: &Path) -> Result<()> {
        let runtimes = self.runtimes()?;
        let of_runc = runtimes.get("runc").and_then(|runc| runc.get("options"));
        let mut options = match of_runc.cloned().map(Item::into_table) {
            Some(Ok(options)) => options,
            _ => Table::new(),
        };
        options.insert("BinaryName", value(command.display().to_string()));
        // containerd has a default runtime only as long as it has no other.
        if runtimes.iter().all(|(other, _)| other == name) {
            let mut default = Table::new();
            default.insert("runtime_type", value(SHIM));
            default.decor_mut().set_prefix(format!("\n{ADDED}\n"));
            runtimes.insert(DEFAULT, Item::Table(default));
        }
        let mut runtime = Table::new();
        runtime.insert("runtime_type", value(SHIM));
        // Annotations of a pod reach the runtime only if they are listed.
        runtime.insert("pod_annotations", value(Array::from_iter(["io.twine.*"])));
        runtime.insert("options", Item::Table(options));
        runtimes.insert(name, Item::Table(runtime));
        Ok(())
    }

    /// Removes the runtime with this name. Returns whether there was one.
    ///
    /// # Errors
    /// When the configuration has something else in its place.
    pub fn remove(&mut self, name: &str) -> Result<bool> {
        let runtimes = self.runtimes()?;
        let found = runtimes.remove(name).is_some();
        let default = runtimes.get(DEFAULT).and_then(Item::as_table);
        let prefix = default.and_then(|default| default.decor().prefix()?.as_str());
        if runtimes.len() == 1 && prefix.is_some_and(|prefix| prefix.contains(ADDED)) {
            runtimes.remove(DEFAULT);
        }
        Ok(found)
    }

    /// Writes the file, and its folder if it is missing.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self) -> Result<()> {
        let failed = |source| Error::File { path: self.path.clone(), source };
        // A link stays: its target is replaced.
        let path = match self.path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.path.clone(),
            path => path.map_err(failed)?,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        replace(&path, self.to_string().as_bytes()).map_err(failed)
    }
}

impl std::fmt::Display for Configuration {
    /// The contents of the file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.document.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &str = "/usr/local/bin/twine-oci";

    fn read(text: &str) -> Result<Configuration> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        Configuration::read(&path)
    }

    /// The value at a path of the configuration.
    fn at(configuration: &Configuration, path: &[&str]) -> Option<Item> {
        let document: DocumentMut = configuration.to_string().parse().unwrap();
        let mut item = document.as_item().clone();
        for name in path {
            item = item.get(name)?.clone();
        }
        Some(item)
    }

    #[test]
    fn a_file_that_does_not_exist_becomes_one_with_the_runtime_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etc/config.toml");
        let mut configuration = Configuration::read(&path).unwrap();
        configuration.add("twine", Path::new(COMMAND)).unwrap();
        configuration.write().unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "version = 2\n\n\
             # Added by twine-oci: with any runtime here, containerd no longer adds this one.\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n\
             runtime_type = \"io.containerd.runc.v2\"\n\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.twine]\n\
             runtime_type = \"io.containerd.runc.v2\"\n\
             pod_annotations = [\"io.twine.*\"]\n\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.twine.options]\n\
             BinaryName = \"/usr/local/bin/twine-oci\"\n"
        );
        let mut configuration = Configuration::read(&path).unwrap();
        assert!(configuration.remove("twine").unwrap());
        assert_eq!(configuration.to_string(), "version = 2\n");
    }

    #[test]
    fn all_else_stays_and_uninstalling_gives_the_file_back() {
        let text = "# of the operator\nversion = 2\n\n[plugins]\n  \
                    [plugins.\"io.containerd.grpc.v1.cri\"]\n    \
                    sandbox_image = \"pause:3\" # own\n    \
                    [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n      \
                    runtime_type = \"io.containerd.runc.v2\"\n      \
                    [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n        \
                    SystemdCgroup = true\n\n[debug]\nlevel = \"info\"\n";
        let mut configuration = read(text).unwrap();
        configuration.add("twine", Path::new(COMMAND)).unwrap();
        let runtimes = ["plugins", "io.containerd.grpc.v1.cri", "containerd", "runtimes"];
        let options = at(&configuration, &[&runtimes[..], &["twine", "options"]].concat()).unwrap();
        assert_eq!(options["SystemdCgroup"].as_bool(), Some(true));
        assert_eq!(options["BinaryName"].as_str(), Some(COMMAND));
        // Installing twice is installing once.
        let once = configuration.to_string();
        configuration.add("twine", Path::new(COMMAND)).unwrap();
        assert_eq!(configuration.to_string(), once);
        assert!(configuration.remove("twine").unwrap());
        assert_eq!(configuration.to_string(), text);
        assert!(!configuration.remove("twine").unwrap());
    }

    #[test]
    fn the_configuration_of_containerd_2_has_another_plugin() {
        for text in ["version = 3\n", "version = 4\n"] {
            let mut configuration = read(text).unwrap();
            configuration.add("twine", Path::new(COMMAND)).unwrap();
            let path =
                ["plugins", "io.containerd.cri.v1.runtime", "containerd", "runtimes", "twine"];
            assert!(at(&configuration, &path).is_some(), "{text}");
        }
    }

    #[test]
    fn a_configuration_that_is_not_understood_is_refused_and_stays() {
        for (text, cause) in [
            ("version = 1\n", "version"),
            ("version = 9\n", "version"),
            ("[plugins.cri]\n", "version"),
            ("version = \n", "TOML"),
            ("version = 2\nplugins = 1\n", "table"),
        ] {
            let added =
                read(text).and_then(|mut configuration| configuration.add("t", Path::new("/t")));
            let error = added.unwrap_err().to_string();
            assert!(error.contains(cause), "{text:?}: {error}");
        }
    }
}
