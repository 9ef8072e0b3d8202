//! Puts SQLCipher's header where `cargo xtask rivals` asks for it: only a build script is told
//! where the crate has it.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=SQLCIPHER_INCLUDE");
    let Some(include) = env::var_os("SQLCIPHER_INCLUDE").map(PathBuf::from) else { return };
    let from = env::var_os("DEP_SQLITE3_INCLUDE").expect("libsqlite3-sys tells its headers");
    fs::create_dir_all(&include).expect("the folder for the header can be made");
    fs::copy(PathBuf::from(from).join("sqlite3.h"), include.join("sqlite3.h"))
        .expect("the header can be copied");
}
