//! A program linked by rustc, if one has been built (`cargo xtask image`). The other tests use a
//! handmade program, so that their results are the same on every machine.

use std::path::{Path, PathBuf};

use openssl::hash::Hasher;
use sgxs::sigstruct::EnclaveHash;
use twine_image::{Manifest, Mrenclave};

fn edp_program() -> Option<Vec<u8>> {
    let built = "../../target/sgx/x86_64-fortanix-unknown-sgx/release/sgx-sim-hello";
    let path = std::env::var_os("TWINE_TEST_PROGRAM")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(built), PathBuf::from);
    let program = std::fs::read(&path).ok();
    if program.is_none() {
        eprintln!("skipped: {} has not been built", path.display());
    }
    program
}

#[test]
fn a_program_that_rustc_linked_becomes_an_image() {
    let Some(program) = edp_program() else { return };
    let manifest = Manifest::default();
    let mut sgxs = Vec::new();
    let built = twine_image::build(&program, &manifest, &mut sgxs).unwrap();
    let others = EnclaveHash::from_stream::<_, Hasher>(&mut &sgxs[..]).unwrap();
    assert_eq!(built.mrenclave, Mrenclave(others.hash()));
    let inspection = twine_image::inspect(&sgxs[..], None).unwrap();
    assert_eq!(inspection.threads.len(), 4);
    assert!(inspection.regions.iter().all(|r| r.permissions != "rwx"));
}

#[test]
fn a_truncated_program_of_rustcs_never_panics() {
    let Some(program) = edp_program() else { return };
    for length in (0..program.len()).step_by(997) {
        assert!(
            twine_image::build(&program[..length], &Manifest::default(), &mut std::io::sink())
                .is_err()
        );
    }
}
