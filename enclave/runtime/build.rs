//! How the enclave's program is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "sgx") {
        // The target exports every public symbol for the tool that makes images, which needs
        // a dozen that the target lists anyway. Exported functions are kept though nothing
        // calls them, and their names would be measured memory: a third of the image.
        println!("cargo:rustc-link-arg-bins=--no-export-dynamic");
        // Copies of a function that differ in the types they are made for alone.
        println!("cargo:rustc-link-arg-bins=--icf=all");
    }
}
