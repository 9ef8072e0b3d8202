//! Copies SQLCipher's header to the place that `cargo xtask rivals` names: Cargo tells only a build
//! script where the crate's header is.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=SQLCIPHER_INCLUDE");
    let Some(include) = env::var_os("SQLCIPHER_INCLUDE").map(PathBuf::from) else { return };
    let from = env::var_os("DEP_SQLITE3_INCLUDE").expect("libsqlite3-sys announces its headers");
    fs::create_dir_all(&include).expect("creating the folder for the header succeeds");
    fs::copy(PathBuf::from(from).join("sqlite3.h"), include.join("sqlite3.h"))
        .expect("copying the header succeeds");
}
