//! Each kind of damage is found, and named.

mod common;

use common::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use twine_oci_image::Error;

/// An image of one layer, and the descriptors of its layer.
fn image() -> (Store, Value) {
    let mut store = Store::new();
    let archive = archive(&[file("app.wasm", "1"), file("a", "2")]);
    let layer = store.blob(TAR, &archive);
    let manifest =
        store.manifest(("wasi", "wasm"), std::slice::from_ref(&layer), &[digest(&archive)]);
    store.add("app:1", manifest);
    (store, layer)
}

fn unpack(store: &Store) -> Result<(), Error> {
    store.find(None)?.unpack().map(drop)
}

#[track_caller]
fn is_damaged(store: &Store, file: &Path) {
    let error = unpack(store).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
}

/// Writes the manifest of another image into the index.
fn set_manifest(store: &mut Store, manifest: Value) {
    store.manifests.clear();
    store.add("app:1", manifest);
}

#[test]
fn a_blob_with_other_bytes_is_damage() {
    let (store, layer) = image();
    let manifest = store.manifests[0].clone();
    let config: Value = serde_json::from_slice(
        &fs::read(store.file(manifest["digest"].as_str().unwrap())).unwrap(),
    )
    .unwrap();
    for blob in [&manifest, &config["config"], &layer] {
        let path = store.file(blob["digest"].as_str().unwrap());
        let bytes = fs::read(&path).unwrap();
        let mut other = bytes.clone();
        *other.last_mut().unwrap() ^= 1;
        let cut = &bytes[..bytes.len() - 1];
        let longer = [&bytes[..], b" "].concat();
        for wrong in [cut, &bytes[..0], &longer, &other] {
            fs::write(&path, wrong).unwrap();
            is_damaged(&store, &path);
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(unpack(&store), Err(Error::File { .. })));
        // What is there is no file.
        fs::create_dir(&path).unwrap();
        is_damaged(&store, &path);
        fs::remove_dir(&path).unwrap();
        let mode = rustix::fs::Mode::from(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        is_damaged(&store, &path);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        is_damaged(&store, &path);
        fs::remove_file(&path).unwrap();
        fs::write(&path, &bytes).unwrap();
        unpack(&store).unwrap();
    }
}

#[test]
fn a_descriptor_with_another_size_is_damage() {
    for size in [json!(0), json!(1), json!(u64::MAX), json!(1_u64 << 40)] {
        let (mut store, mut layer) = image();
        let path = store.file(layer["digest"].as_str().unwrap());
        layer["size"] = size.clone();
        let diff_ids = [layer["digest"].as_str().unwrap().to_owned()];
        let manifest = store.manifest(("wasi", "wasm"), &[layer], &diff_ids);
        set_manifest(&mut store, manifest.clone());
        is_damaged(&store, &path);
        let mut manifest = manifest;
        let path = store.file(manifest["digest"].as_str().unwrap());
        manifest["size"] = size;
        set_manifest(&mut store, manifest);
        is_damaged(&store, &path);
    }
    let (mut store, _) = image();
    let mut manifest = store.manifests[0].clone();
    for size in [json!(-1), json!(1.5), json!("1"), json!(null)] {
        manifest["size"] = size;
        set_manifest(&mut store, manifest.clone());
        assert!(matches!(unpack(&store), Err(Error::Damaged { .. })));
    }
}

#[test]
fn a_layer_with_another_diff_id_is_damage() {
    for (kind, by) in [(TAR, false), (GZIP, true)] {
        let mut store = Store::new();
        let archive = archive(&[file("a", "1")]);
        let stored = if by { gzip(&archive) } else { archive.clone() };
        let layer = store.blob(kind, &stored);
        let path = store.file(layer["digest"].as_str().unwrap());
        for diff_id in [&digest(b"other")[..], "", "x", &digest(&archive).to_uppercase()] {
            let manifest = store.manifest(
                ("wasi", "wasm"),
                std::slice::from_ref(&layer),
                &[diff_id.to_owned()],
            );
            set_manifest(&mut store, manifest);
            is_damaged(&store, &path);
        }
    }
}

#[test]
fn more_or_fewer_layers_than_diff_ids_are_damage() {
    let (mut store, layer) = image();
    let id = layer["digest"].as_str().unwrap().to_owned();
    for (layers, ids) in [(vec![], vec![id.clone()]), (vec![layer.clone()], vec![])] {
        let manifest = store.manifest(("wasi", "wasm"), &layers, &ids);
        set_manifest(&mut store, manifest);
        assert!(matches!(unpack(&store), Err(Error::Damaged { .. })));
    }
    let manifest = store.manifest(("wasi", "wasm"), &[layer.clone(), layer], &[id]);
    set_manifest(&mut store, manifest);
    assert!(matches!(unpack(&store), Err(Error::Damaged { .. })));
}

#[test]
fn digests_by_other_algorithms_are_named() {
    let by = ["sha512", "sha384", "blake3", "multihash+base58"];
    let lengths = [128, 96, 64, 46];
    let digests: Vec<_> =
        by.iter().zip(lengths).map(|(by, length)| format!("{by}:{}", "0".repeat(length))).collect();
    for (by, digest) in by.iter().zip(&digests) {
        let refused = |store: &Store| {
            let error = unpack(store).unwrap_err();
            assert!(matches!(error, Error::Unsupported { .. }), "{error}");
            assert!(error.to_string().contains(by), "{error}");
            assert!(error.remedy().contains("sha256"));
        };
        let (mut store, mut layer) = image();
        let mut manifest = store.manifests[0].clone();
        manifest["digest"] = json!(digest);
        set_manifest(&mut store, manifest);
        refused(&store);
        let id = layer["digest"].as_str().unwrap().to_owned();
        let manifest = store.manifest(
            ("wasi", "wasm"),
            std::slice::from_ref(&layer),
            std::slice::from_ref(digest),
        );
        set_manifest(&mut store, manifest);
        refused(&store);
        layer["digest"] = json!(digest);
        let manifest = store.manifest(("wasi", "wasm"), &[layer], &[id]);
        set_manifest(&mut store, manifest);
        refused(&store);
    }
}

#[test]
fn a_digest_that_is_a_path_is_damage() {
    let (mut store, _) = image();
    let manifest = store.manifests[0].clone();
    let zeros = "0".repeat(61);
    for digest in [
        "sha256:../../../../etc/passwd",
        "sha256:..",
        "sha256:",
        "sha256",
        "",
        ":",
        "../../etc:passwd",
        "sha256:/etc/passwd",
        &format!("sha256:../{zeros}"),
        &format!("sha256:{}", "A".repeat(64)),
        &format!("sha256:{}", "0".repeat(63)),
        &format!("sha256/..:{}", "0".repeat(64)),
    ] {
        let mut manifest = manifest.clone();
        manifest["digest"] = json!(digest);
        set_manifest(&mut store, manifest);
        let error = unpack(&store).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{digest}: {error}");
        assert!(error.to_string().contains("index.json"), "{error}");
    }
}

#[test]
fn json_that_is_none_or_too_large_is_damage() {
    let deep = "[".repeat(100_000);
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(9 << 20));
    let texts =
        ["", "{", "[]", "null", "\u{feff}{}", "{}", "{\"schemaVersion\":\"2\"}", &deep, &large];
    for text in texts {
        let (store, _) = image();
        for name in ["index.json", "oci-layout"] {
            let path = store.path().join(name);
            let right = fs::read(&path).unwrap();
            fs::write(&path, text).unwrap();
            is_damaged(&store, &path);
            fs::write(&path, right).unwrap();
        }
        let (mut store, _) = image();
        for kind in [MANIFEST, INDEX] {
            let blob = store.blob(kind, text.as_bytes());
            let path = store.file(blob["digest"].as_str().unwrap());
            set_manifest(&mut store, blob);
            is_damaged(&store, &path);
        }
        let config = store.blob(CONFIG, text.as_bytes());
        let path = store.file(config["digest"].as_str().unwrap());
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
        let manifest = store.json(MANIFEST, &manifest);
        set_manifest(&mut store, manifest);
        is_damaged(&store, &path);
    }
}

#[test]
fn a_layer_that_gzip_can_not_read_is_damage() {
    let archive = archive(&[file("a", &"1".repeat(10_000))]);
    let whole = gzip(&archive);
    let mut other = whole.clone();
    other[20] ^= 0xff;
    let garbage = [&whole[..], b"garbage"].concat();
    for stored in [&archive[..], &whole[..whole.len() - 1], &whole[..5], &other, b"", &garbage] {
        let mut store = Store::new();
        let layer = store.blob(GZIP, stored);
        let path = store.file(layer["digest"].as_str().unwrap());
        let manifest = store.manifest(("wasi", "wasm"), &[layer], &[digest(&archive)]);
        store.add("", manifest);
        is_damaged(&store, &path);
    }
}
