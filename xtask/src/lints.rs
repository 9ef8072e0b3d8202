//! The lints of trusted code: `Cargo.toml` lists them, and each trusted crate repeats the list.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    /// The folders of `enclave/` whose code is not trusted: only images of tests contain it.
    const UNTRUSTED: &[&str] = &["enclave/selftest"];

    /// Returns the names of a table's lints in the workspace's manifest.
    fn table<'a>(manifest: &'a str, name: &str) -> Vec<&'a str> {
        let header = format!("[workspace.metadata.trusted-lints.{name}]");
        let lines = manifest.lines().skip_while(|line| *line != header).skip(1);
        lines
            .take_while(|line| !line.starts_with('['))
            .filter_map(|line| line.strip_suffix(" = \"warn\""))
            .collect()
    }

    /// Returns the attribute in the root file of a trusted crate, in rustfmt's format.
    fn attribute(manifest: &str) -> String {
        let rust = table(manifest, "rust").into_iter().map(str::to_owned);
        let mut clippy = table(manifest, "clippy");
        clippy.sort_unstable();
        let clippy = clippy.into_iter().map(|name| format!("clippy::{name}"));
        let lints = rust.chain(clippy).collect::<Vec<_>>().join(",\n        ");
        format!("#![cfg_attr(\n    not(test),\n    warn(\n        {lints}\n    )\n)]\n")
    }

    /// Returns the root files of the trusted crates.
    fn trusted() -> Vec<PathBuf> {
        let root = crate::root();
        let mut crates: Vec<_> =
            ["channel", "evidence", "protocol", "verifier"].map(|name| root.join(name)).into();
        for entry in fs::read_dir(root.join("enclave")).unwrap() {
            crates.push(entry.unwrap().path());
        }
        crates.retain(|folder| !UNTRUSTED.iter().any(|untrusted| folder.ends_with(untrusted)));
        let file = |folder: PathBuf| {
            let files = ["src/lib.rs", "src/main.rs"].map(|file| folder.join(file));
            files.into_iter().filter(|file| file.exists())
        };
        crates.into_iter().flat_map(file).collect()
    }

    #[test]
    fn every_trusted_crate_has_the_list_of_lints() {
        let manifest = fs::read_to_string(crate::root().join("Cargo.toml")).unwrap();
        let attribute = attribute(&manifest);
        assert!(attribute.contains("        clippy::indexing_slicing,\n"), "{attribute}");
        for file in trusted() {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains(&attribute), "{} lacks\n{attribute}", file.display());
        }
    }
}
