//! PolyBench's kernels: the programs for WASI compute what the same source computes natively, so that
//! their times are of the same work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program for this machine, compiled as its rivals are, but with the smallest data set.
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

/// The checksum in a line as `gemm 0.000003545 fca78ec3ae5bf878`.
#[track_caller]
fn checksum(kernel: &str, output: &Output) -> String {
    assert!(output.status.success(), "{kernel}: {output:?}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let fields: Vec<&str> = printed.split_whitespace().collect();
    let [name, seconds, checksum] = fields[..] else { panic!("{printed}") };
    assert_eq!(name, kernel);
    assert!(seconds.parse::<f64>().unwrap() > 0.0, "{printed}");
    checksum.to_owned()
}

#[test]
fn the_30_kernels_compute_in_wasm_what_they_compute_natively() {
    let native = Native::build();
    let listed = String::from_utf8(native.run(&[]).stderr).unwrap();
    let kernels: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(kernels.len(), 30);
    let mut seen = BTreeMap::new();
    for kernel in kernels {
        let expected = checksum(kernel, &native.run(&[kernel]));
        for program in ["polybench-mini.wasm", "polybench-mini-simd.wasm"] {
            let program = checkout().join("target/guests").join(program);
            assert!(
                program.exists(),
                "{} is missing: `cargo xtask test` builds it",
                program.display()
            );
            for settings in [&[][..], &["--own-settings"]] {
                let mut wasm = Command::new(env!("CARGO_BIN_EXE_twine-bench"));
                wasm.arg("native-run").args(settings).arg(&program).arg(kernel);
                assert_eq!(checksum(kernel, &wasm.output().unwrap()), expected, "{kernel}");
            }
        }
        seen.insert(expected, kernel);
    }
    assert_eq!(seen.len(), 30, "no two kernels compute the same");
}
