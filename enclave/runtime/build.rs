//! Sets linker options of the enclave's program.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "sgx") {
        // The target exports every public symbol for the tool that makes images, which needs a
        // dozen that the target lists anyway. The linker keeps exported functions even if nothing
        // calls them, and their names would be measured memory: a third of the image.
        println!("cargo:rustc-link-arg-bins=--no-export-dynamic");
        // Merges functions with equal code, such as instances of a generic function.
        println!("cargo:rustc-link-arg-bins=--icf=all");
    }
}
