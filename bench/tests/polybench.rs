//! PolyBench's kernels: the programs for WASI compute the same values as native programs from the
//! same source, so their times are for the same work.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program for this machine, compiled like the rivals, but with the smallest data set.
struct Native(PathBuf);

impl Native {
    fn build() -> Self {
        let program = std::env::temp_dir().join(format!("twine-polybench-{}", std::process::id()));
        let source = checkout().join("guests/polybench");
        let mut files: Vec<PathBuf> =
            source.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "c"));
        let mut cc = Command::new("cc");
        cc.args(["-O3", "-ffp-contract=off", "-DDATASET=0", "-o"]).arg(&program).args(files);
        assert!(cc.arg("-lm").status().unwrap().success());
        Native(program)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.0).args(arguments).output().unwrap()
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Parses kernels and their checksums from lines such as `gemm 0.000003545 fca78ec3ae5bf878`.
#[track_caller]
fn checksums(output: &Output) -> Vec<(String, String)> {
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let checksum = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [kernel, seconds, checksum] = fields[..] else { panic!("{printed}") };
        assert!(seconds.parse::<f64>().unwrap() > 0.0, "{line}");
        (kernel.to_owned(), checksum.to_owned())
    };
    printed.lines().map(checksum).collect()
}

#[test]
fn the_30_kernels_compute_in_wasm_what_they_compute_natively() {
    let native = Native::build();
    let listed = String::from_utf8(native.run(&[]).stderr).unwrap();
    let kernels: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let expected = checksums(&native.run(&kernels));
    let names: Vec<&str> = expected.iter().map(|(kernel, _)| &**kernel).collect();
    assert_eq!(names, kernels);
    let different: BTreeSet<&str> = expected.iter().map(|(_, checksum)| &**checksum).collect();
    assert_eq!(different.len(), 30, "30 kernels, and no two that compute the same");

    for program in ["polybench-mini.wasm", "polybench-mini-simd.wasm"] {
        let path = checkout().join("target/guests").join(program);
        assert!(path.exists(), "{} is missing: `cargo xtask test` builds it", path.display());
        for settings in [&[][..], &["--own-settings"]] {
            let mut wasm = Command::new(env!("CARGO_BIN_EXE_twine-bench"));
            wasm.arg("native-run").args(settings).arg(&path).args(&kernels);
            assert_eq!(checksums(&wasm.output().unwrap()), expected, "{program} {settings:?}");
        }
    }
}
