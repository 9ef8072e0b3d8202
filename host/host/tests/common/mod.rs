//! The image of the suite, and helpers for its tests.

pub mod count;
#[path = "../../../../enclave/selftest/src/wire.rs"]
pub mod wire;

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use twine_host::Image;
use twine_image::{Date, Manifest, SigningKey, build_file, sign, write_signature};

/// The suite as a runnable image.
#[derive(Debug)]
pub struct Suite {
    pub image: Image,
}

/// Prints a line that is visible even when tests pass.
pub fn say(line: impl Display) {
    // A closed stream is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Returns the image of the suite, made once for all tests of this process.
pub fn suite() -> &'static Suite {
    static SUITE: OnceLock<Suite> = OnceLock::new();
    SUITE.get_or_init(|| make().unwrap_or_else(|error| panic!("{error}")))
}

fn make() -> Result<Suite, Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let elf = root.join("target/sgx/x86_64-fortanix-unknown-sgx/release/twine-selftest");
    if !elf.exists() {
        return Err("the suite is not built for the enclave: run `cargo xtask test`".into());
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inside");
    std::fs::create_dir_all(&folder)?;
    // Processes that make it at the same time make the same bytes, and replace each file
    // atomically.
    let sgxs = folder.join("suite.sgxs");
    let manifest = Manifest::from_file(root.join("enclave/selftest/image.toml"))?;
    let built = build_file(&elf, &manifest, &sgxs)?;
    let key = SigningKey::development_key(folder.join("key.pem"))?;
    let sigstruct = sign(built.mrenclave, &manifest, Date::choose(None, &manifest)?, &key)?;
    write_signature(&sgxs, &sigstruct)?;
    Ok(Suite { image: Image::open(&sgxs)? })
}
