//! Images that are not valid are refused, with cause and remedy.

mod common;

use common::{Ended, Folder, built, run, twine};
use std::path::{Path, PathBuf};

/// Returns a copy of the image with its manifest, and of its signature.
fn copy(folder: &Folder) -> (PathBuf, PathBuf) {
    let [image, signature, _] = ["sgxs", "sig", "toml"].map(|extension| {
        let copy = folder.path().join("copy").with_extension(extension);
        std::fs::copy(built(&format!("release/twine.{extension}")), &copy).unwrap();
        copy
    });
    (image, signature)
}

fn run_in(image: &Path) -> Ended {
    let folder = Folder::new();
    let program = folder.file("program.wat", r#"(module (func (export "_start")))"#);
    run(twine().args(["run", "--quiet", "--image"]).arg(image).arg(program))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_copy_runs_as_the_original_does() {
    let folder = Folder::new();
    run_in(&copy(&folder).0).printed("");
}

#[test]
fn an_image_without_a_signature_is_refused() {
    let folder = Folder::new();
    let (image, signature) = copy(&folder);
    std::fs::remove_file(signature).unwrap();
    run_in(&image).failed_with(1, "not signed");
}

/// Checks that it was refused because it is not the signed image, or no image at all.
#[track_caller]
fn is_not_what_was_signed(ended: &Ended) {
    let other = ended.err.contains("is not the image that was signed");
    ended.failed_with(1, if other { "signed" } else { "is damaged, or not an image" });
}

#[test]
fn an_image_changed_by_one_byte_is_refused() {
    let folder = Folder::new();
    let (image, _) = copy(&folder);
    let length = std::fs::metadata(&image).unwrap().len() as usize;
    // The changes are in a tag, in a reserved field, and in contents at some places.
    for at in [64, 127, length / 8, length / 4, length / 2, length * 3 / 4, length - 1] {
        flip(&image, at);
        is_not_what_was_signed(&run_in(&image));
        flip(&image, at);
    }
    run_in(&image).printed("");
}

#[test]
fn a_truncated_image_is_refused() {
    let folder = Folder::new();
    let (image, _) = copy(&folder);
    let bytes = std::fs::read(&image).unwrap();
    for length in [0, 63, 64, 1000, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&image, &bytes[..length]).unwrap();
        is_not_what_was_signed(&run_in(&image));
    }
}

#[test]
fn a_signature_changed_by_one_byte_is_refused() {
    let folder = Folder::new();
    let (image, signature) = copy(&folder);
    // The changes are in the header, modulus, signature, attributes, enclave hash and Q1 (SDM:
    // SIGSTRUCT).
    for at in [0, 200, 600, 930, 970, 1100] {
        flip(&signature, at);
        let ended = run_in(&image);
        assert_eq!(ended.code, Some(1), "byte {at}: {ended:?}");
        assert_eq!(ended.err.lines().count(), 2, "byte {at}: {ended:?}");
        flip(&signature, at);
    }
}

#[test]
fn the_signature_of_another_image_is_refused() {
    let folder = Folder::new();
    let (image, signature) = copy(&folder);
    let other = common::image(&folder, "other.sgxs", &["--heap-size", "32MiB"]);
    std::fs::copy(other.with_extension("sig"), signature).unwrap();
    run_in(&image).failed_with(1, "is not the image that was signed");
}

#[test]
fn a_file_that_is_no_image_is_refused() {
    let folder = Folder::new();
    let (_, signature) = copy(&folder);
    let image = folder.file("copy.sgxs", "this is no image, though it has a signature");
    assert!(signature.exists());
    run_in(&image).failed_with(1, "or not an image");
    run_in(Path::new("/nonexistent.sgxs")).failed_with(1, "can't be read");
}

#[test]
fn an_enclave_that_runs_out_of_heap_says_so() {
    let folder = Folder::new();
    let sizes = ["--heap-size", "64KiB", "--heap-growth-size", "64KiB"];
    let manifest = common::manifest();
    let options = [&sizes[..], &["--manifest", &manifest]].concat();
    let image = common::image(&folder, "small.sgxs", &options);
    let ended = run_in(&image);
    ended.failed_with(1, "ran out of memory");
    for way in ["--compiler baseline", "--heap-size"] {
        assert!(ended.err.contains(way), "{ended:?}");
    }
    // Of the two images that come with the command, the other one has more memory.
    let image = common::image(&folder, "twine.sgxs", &options);
    let ended = run_in(&image);
    assert!(ended.err.contains("twine-large.sgxs"), "{ended:?}");
}

fn build(folder: &Folder, arguments: &[&str]) -> Ended {
    let elf = built("sgx/x86_64-fortanix-unknown-sgx/release/twine-runtime");
    run(twine().current_dir(folder.path()).args(["image", "build"]).args(arguments).arg(elf))
}

fn sign(folder: &Folder, arguments: &[&str]) -> Ended {
    run(twine().current_dir(folder.path()).args(["image", "sign"]).args(arguments))
}

/// An image is signed with the identity and sizes that it was built with, including command-line
/// sizes.
#[test]
fn the_manifest_of_an_image_is_written_beside_it() {
    let folder = Folder::new();
    let manifest = common::manifest();
    let arguments = ["--manifest", &manifest, "--threads", "6", "-o", "app.sgxs"];
    assert_eq!(build(&folder, &arguments).code, Some(0));
    let kept = std::fs::read_to_string(folder.path().join("app.toml")).unwrap();
    assert!(kept.contains("threads = 6\n") && kept.contains("exinfo = true\n"), "{kept}");
    let signed = sign(&folder, &["--json", "app.sgxs"]);
    let signed: serde_json::Value = serde_json::from_str(&signed.out).unwrap();
    assert_eq!(signed["image"], "app.sgxs");
    assert_eq!(signed["mrsigner"].as_str().map(str::len), Some(64));
    // A second build with other sizes replaces the stored manifest.
    let arguments = ["--manifest", &manifest, "-o", "app.sgxs"];
    assert_eq!(build(&folder, &arguments).code, Some(0));
    let kept = std::fs::read_to_string(folder.path().join("app.toml")).unwrap();
    assert!(kept.contains("threads = 4\n"), "{kept}");
}

#[test]
fn no_command_overwrites_its_input() {
    let folder = Folder::new();
    let manifest = std::fs::read_to_string(common::manifest()).unwrap();
    let path = folder.file("app.toml", &manifest);
    let untouched = || assert_eq!(std::fs::read_to_string(&path).unwrap(), manifest);
    // The manifest is already at the path where it would be stored.
    let arguments = ["--manifest", "app.toml", "-o", "app.sgxs"];
    assert_eq!(build(&folder, &arguments).code, Some(0));
    untouched();
    assert_eq!(sign(&folder, &["app.sgxs"]).code, Some(0));
    // The manifest differs from the one that the image was built with, or belongs to the user.
    let ended = build(&folder, &["--manifest", "app.toml", "--threads", "6", "-o", "app.sgxs"]);
    ended.failed_with(1, "app.toml is beside the new image, and differs");
    assert!(ended.err.contains("--output"), "{ended:?}");
    build(&folder, &["-o", "app.sgxs"])
        .failed_with(1, "app.toml is beside the new image, and differs");
    build(&folder, &["--manifest", "app.toml", "-o", "app.toml"])
        .failed_with(1, "app.toml would be overwritten");
    sign(&folder, &["--request", "app.sgxs", "app.sgxs"])
        .failed_with(1, "app.sgxs would be overwritten");
    untouched();
}

#[test]
fn an_image_is_not_signed_with_another_manifest() {
    let folder = Folder::new();
    let (image, signature) = copy(&folder);
    std::fs::remove_file(&signature).unwrap();
    std::fs::remove_file(image.with_extension("toml")).unwrap();
    let ended = sign(&folder, &["copy.sgxs"]);
    ended.failed_with(1, "`ssa-frames` is 1, and the image has 2");
    assert!(ended.err.contains("--manifest"), "{ended:?}");
    folder.file("other.toml", "ssa-frames = 2\nentry = \"twine_entry\"\nthreads = 3\n");
    sign(&folder, &["--manifest", "other.toml", "copy.sgxs"])
        .failed_with(1, "`threads` is 3, and the image has 4");
    assert!(!signature.exists());
    let manifest = common::manifest();
    assert_eq!(sign(&folder, &["--manifest", &manifest, "copy.sgxs"]).code, Some(0));
    run_in(&image).printed("");
}

#[test]
fn signing_in_two_steps_gives_the_signature_of_one_step() {
    let folder = Folder::new();
    let (image, signature) = copy(&folder);
    let path = |name: &str| folder.path().join(name);
    let openssl = |arguments: &[&str]| {
        let ended =
            run(std::process::Command::new("openssl").current_dir(folder.path()).args(arguments));
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };
    openssl(&["genrsa", "-3", "-out", "key.pem", "3072"]);
    openssl(&["rsa", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
    let sign = |arguments: &[&str]| {
        let ended = run(twine()
            .current_dir(folder.path())
            .args(["image", "sign", "--date", "2026-01-31", "copy.sgxs"])
            .args(arguments));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        std::fs::read(&signature).unwrap()
    };
    let once = sign(&["--key", "key.pem"]);
    std::fs::remove_file(&signature).unwrap();
    let request = run(twine().current_dir(folder.path()).args([
        "image",
        "sign",
        "--date",
        "2026-01-31",
        "--request",
        "request",
        "copy.sgxs",
    ]));
    assert_eq!(request.code, Some(0), "{request:?}");
    assert!(!signature.exists());
    openssl(&["dgst", "-sha256", "-sign", "key.pem", "-out", "signed", "request"]);
    let twice =
        sign(&["--signature", "signed", "--from-request", "request", "--public-key", "public.pem"]);
    assert_eq!(once, twice);
    assert!(path("request").exists());
    // A manifest beside the image would contain prod-id 1. Without one, the default identity is
    // signed, and the image still runs.
    run_in(&image).printed("");
}

#[test]
fn measuring_names_the_program_and_the_image() {
    let folder = Folder::new();
    let program = folder.file("program.wasm", b"\0asm\x01\0\0\0");
    let ended = run(twine().args(["measure", "--json"]).arg(program));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // This is the SHA-256 of the eight bytes.
    assert!(
        ended.out.contains("93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476"),
        "{ended:?}"
    );
    let image = run(twine().args(["image", "measure"]).arg(built("release/twine.sgxs")));
    assert!(ended.out.contains(image.out.trim()), "{ended:?}");
}
