//! The layers of the project: which of its packages may use which.

#[cfg(test)]
mod tests {
    use crate::process::{command, output};
    use std::collections::BTreeMap;
    use std::fs;

    /// What each trusted package may use of the project. `enclave/sgx` knows no policy, so neither
    /// the engine nor volumes nor WASI are in its row.
    const TRUSTED: &[(&str, &[&str])] = &[
        ("twine-protocol", &[]),
        ("twine-evidence", &[]),
        ("twine-channel", &["twine-evidence"]),
        ("twine-verifier", &["twine-evidence"]),
        ("twine-boundary", &["twine-protocol"]),
        ("twine-sgx", &["twine-boundary", "twine-protocol"]),
        ("twine-vfs", &[]),
        ("twine-hostfs", &["twine-boundary", "twine-protocol", "twine-vfs"]),
        ("twine-volume", &["twine-vfs"]),
        ("twine-volume-tool", &["twine-channel", "twine-protocol", "twine-vfs", "twine-volume"]),
        ("twine-wasi", &["twine-vfs"]),
        ("twine-guest", &["twine-wasi"]),
        ("twine-engine", &["twine-guest", "twine-vfs", "twine-wasi"]),
        ("twine-handover", &["twine-evidence"]),
        ("twine-hosting", &["twine-channel", "twine-evidence"]),
        (
            "twine-runtime",
            &[
                "twine-boundary",
                "twine-channel",
                "twine-engine",
                "twine-evidence",
                "twine-guest",
                "twine-handover",
                "twine-hostfs",
                "twine-hosting",
                "twine-protocol",
                "twine-sgx",
                "twine-verifier",
                "twine-vfs",
                "twine-volume",
                "twine-volume-tool",
                "twine-wasi",
            ],
        ),
        ("twine-unwind", &[]),
    ];

    /// What packages outside may use, where a layer depends on it: software SGX knows nothing of
    /// Twine.
    const OUTSIDE: &[(&str, &[&str])] = &[
        ("sgx-sim", &[]),
        ("sgx-sim-quoting", &["sgx-sim"]),
        ("twine-image", &[]),
        ("twine-quoting", &["sgx-sim", "sgx-sim-quoting"]),
        ("twine-client", &["twine-channel", "twine-evidence"]),
        ("twine-oci-image", &[]),
        ("twine-host", &["sgx-sim", "twine-image", "twine-protocol"]),
    ];

    /// The trusted packages that both sides use.
    const SHARED: &[&str] =
        &["twine-channel", "twine-evidence", "twine-protocol", "twine-verifier"];

    /// The only packages outside `enclave/` that may use what is in it: for tests and measurements.
    const USERS_OF_THE_INSIDE: &[&str] = &["twine-bench", "twine-selftest"];

    /// Returns the packages of the workspace with what each uses of the project, apart from tests
    /// and builds.
    fn uses() -> BTreeMap<String, Vec<String>> {
        let arguments = [
            "tree",
            "--workspace",
            "--edges",
            "normal",
            "--prefix",
            "depth",
            "--depth",
            "1",
            "--target",
            "all",
            "--no-dedupe",
        ];
        let tree = output(command("cargo", &crate::root()).args(arguments)).unwrap();
        let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut of = String::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let (depth, rest) = line.split_at(1);
            let name = rest.split(' ').next().unwrap_or_default().to_owned();
            match depth {
                "0" => of = name,
                _ if name.starts_with("twine-") || name.starts_with("sgx-sim") => {
                    uses.entry(of.clone()).or_default().push(name);
                }
                _ => {}
            }
            uses.entry(of.clone()).or_default();
        }
        uses
    }

    #[test]
    fn each_package_uses_no_other_layers_than_its_rule_names() {
        let uses = uses();
        for (package, allowed) in TRUSTED.iter().chain(OUTSIDE) {
            let used = &uses[*package];
            let wrong: Vec<_> =
                used.iter().filter(|used| !allowed.contains(&used.as_str())).collect();
            assert!(wrong.is_empty(), "{package} uses {wrong:?}");
        }
    }

    #[test]
    fn each_package_of_the_enclave_has_a_rule() {
        let mut folders: Vec<String> = fs::read_dir(crate::root().join("enclave"))
            .unwrap()
            .map(|entry| format!("twine-{}", entry.unwrap().file_name().to_string_lossy()))
            .filter(|package| package != "twine-selftest")
            .collect();
        folders.sort_unstable();
        let mut ruled: Vec<&str> = TRUSTED
            .iter()
            .map(|(package, _)| *package)
            .filter(|package| !SHARED.contains(package))
            .collect();
        ruled.sort_unstable();
        assert_eq!(folders, ruled);
    }

    #[test]
    fn nothing_outside_uses_the_code_of_the_enclave() {
        let inside = |name: &str| {
            TRUSTED.iter().any(|(package, _)| *package == name) && !SHARED.contains(&name)
        };
        for (package, used) in uses() {
            if inside(&package) || USERS_OF_THE_INSIDE.contains(&package.as_str()) {
                continue;
            }
            let wrong: Vec<_> = used.iter().filter(|used| inside(used)).collect();
            assert!(wrong.is_empty(), "{package} uses {wrong:?}");
        }
    }
}
