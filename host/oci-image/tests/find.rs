//! Which image of a layout is found.

mod common;

use common::*;
use serde_json::{Value, json};
use std::fs;
use twine_oci_image::Error;

/// The manifest of an image whose program gets an argument.
fn image(store: &Store, argument: &str) -> Value {
    let config = json!({
        "architecture": "wasm", "os": "wasi",
        "config": { "Entrypoint": ["/app.wasm", argument], "Cmd": ["unless given"] },
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let config = store.json(CONFIG, &config);
    store.json(MANIFEST, &json!({ "schemaVersion": 2, "config": config, "layers": [] }))
}

fn index(store: &Store, manifests: &[Value]) -> Value {
    store.json(INDEX, &json!({ "schemaVersion": 2, "manifests": manifests }))
}

fn on(mut manifest: Value, os: &str, architecture: &str) -> Value {
    manifest["platform"] = json!({ "os": os, "architecture": architecture });
    manifest
}

/// The argument of the image that is found.
fn found(store: &Store, name: Option<&str>) -> String {
    let mut command = store.find(name).unwrap().command(true).unwrap();
    assert_eq!(command.len(), 2);
    command.remove(1)
}

#[test]
fn the_only_image_needs_no_name() {
    for name in ["", "app:1"] {
        let mut store = Store::new();
        let manifest = image(&store, "1");
        store.add(name, manifest);
        assert_eq!(found(&store, None), "1");
    }
}

#[test]
fn one_of_several_is_found_by_its_name() {
    let mut store = Store::new();
    for name in ["app:1", "app:2"] {
        let manifest = image(&store, name);
        store.add(name, manifest);
    }
    assert_eq!(found(&store, Some("app:2")), "app:2");
    for name in [None, Some("app:3")] {
        let error = store.find(name).unwrap_err();
        assert_eq!(error.remedy(), "name one of them: app:1, app:2", "{error}");
    }
}

#[test]
fn a_layout_without_a_program_says_how_to_build_one() {
    let mut store = Store::new();
    let manifest = store.manifest(("linux", "amd64"), &[], &[]);
    store.add("app:1", manifest);
    for name in [None, Some("app:1")] {
        let error = store.find(name).unwrap_err();
        assert!(matches!(error, Error::NoImage { .. }), "{error}");
        assert!(error.remedy().contains("twine oci build"), "{error}");
    }
}

#[test]
fn images_that_no_name_tells_apart_need_names_of_their_own() {
    for names in [["", ""], ["app:1", "app:1"]] {
        let mut store = Store::new();
        for (name, argument) in names.into_iter().zip(["1", "2"]) {
            let manifest = image(&store, argument);
            store.add(name, manifest);
        }
        let name = Some(names[0]).filter(|name| !name.is_empty());
        let error = store.find(name).unwrap_err();
        assert!(matches!(error, Error::Several { .. }), "{error}");
        assert!(error.remedy().contains(NAME), "{}", error.remedy());
    }
}

#[test]
fn an_index_in_an_index_gives_its_name_to_its_images() {
    let mut store = Store::new();
    let mut inner = image(&store, "1");
    // Names are valid in the index of the layout alone.
    inner["annotations"] = json!({ NAME: "inner" });
    let nested = index(&store, &[inner]);
    let nested = index(&store, &[nested]);
    store.add("app:1", nested);
    let manifest = image(&store, "2");
    store.add("app:2", manifest);
    assert_eq!(found(&store, Some("app:1")), "1");
    assert_eq!(found(&store, Some("app:2")), "2");
    assert!(store.find(Some("inner")).is_err());
}

#[test]
fn indexes_lie_in_one_another_only_so_deep() {
    let mut store = Store::new();
    let mut nested = image(&store, "1");
    for depth in 0..6 {
        let name = format!("depth:{depth}");
        store.add(&name, nested.clone());
        match depth {
            0..=4 => assert_eq!(found(&store, Some(&name)), "1"),
            _ => assert!(matches!(store.find(Some(&name)), Err(Error::Damaged { .. }))),
        }
        nested = index(&store, &[nested]);
    }
}

#[test]
fn an_index_that_names_another_many_times_ends() {
    let mut store = Store::new();
    let mut nested = image(&store, "1");
    for _ in 0..4 {
        nested = index(&store, &vec![nested; 100]);
    }
    store.add("", nested);
    let error = store.find(None).unwrap_err();
    assert!(error.to_string().contains("manifests"), "{error}");
}

#[test]
fn other_platforms_beside_are_not_read() {
    let mut store = Store::new();
    let linux = on(store.manifest(("linux", "amd64"), &[], &[]), "linux", "amd64");
    let unknown = on(store.json(MANIFEST, &json!({ "x": 1 })), "unknown", "unknown");
    let mut missing = on(linux.clone(), "linux", "arm64");
    missing["digest"] = json!(digest(b"missing"));
    let wasm = on(image(&store, "1"), "wasi", "wasm");
    let all = index(&store, &[linux, unknown, missing, wasm]);
    store.add("app:1", all);
    assert_eq!(found(&store, None), "1");
    assert_eq!(found(&store, Some("app:1")), "1");
}

#[test]
fn the_system_may_have_a_version() {
    let mut store = Store::new();
    let manifest = on(store.manifest(("wasip1", "wasm"), &[], &[]), "wasip1", "wasm");
    store.add("", manifest);
    store.find(None).unwrap();
    let mut store = Store::new();
    let manifest = store.manifest(("wasi", "amd64"), &[], &[]);
    store.add("", manifest);
    assert!(matches!(store.find(None), Err(Error::NoImage { .. })));
}

#[test]
fn other_media_types_beside_are_not_read() {
    let mut store = Store::new();
    let mut signature = store.json("application/vnd.example", &json!(1));
    signature["digest"] = json!(digest(b"missing"));
    store.add("signature", signature);
    // An artifact whose config is of another type, and larger than a config may be.
    let large = vec![b' '; 9 << 20];
    let config = store.blob("application/vnd.example.config", &large);
    let artifact =
        store.json(MANIFEST, &json!({ "schemaVersion": 2, "config": config, "layers": [] }));
    store.add("artifact", artifact);
    let manifest = image(&store, "1");
    store.add("app:1", manifest);
    assert_eq!(found(&store, None), "1");
    let error = store.find(Some("artifact")).unwrap_err();
    assert_eq!(error.remedy(), "name one of them: app:1");
}

#[test]
fn an_image_with_another_name_may_be_damaged() {
    let mut store = Store::new();
    let manifest = image(&store, "1");
    store.add("app:1", manifest);
    let mut missing = image(&store, "2");
    missing["digest"] = json!(digest(b"missing"));
    store.add("missing", missing);
    let mut other = image(&store, "3");
    other["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
    store.add("sha512", other);
    assert_eq!(found(&store, Some("app:1")), "1");
    assert!(matches!(store.find(Some("missing")), Err(Error::File { .. })));
    assert!(matches!(store.find(Some("sha512")), Err(Error::Unsupported { .. })));
}

#[test]
fn given_arguments_replace_those_for_a_start_without() {
    let mut store = Store::new();
    let manifest = image(&store, "1");
    store.add("", manifest);
    let image = store.find(None).unwrap();
    assert_eq!(image.command(false).unwrap(), ["/app.wasm", "1", "unless given"]);
    assert_eq!(image.command(true).unwrap(), ["/app.wasm", "1"]);
    // Without an entrypoint, the command is the program.
    let config = |config: Value| {
        let mut store = Store::new();
        let config = json!({
            "architecture": "wasm", "os": "wasi", "config": config,
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        let config = store.json(CONFIG, &config);
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
        let manifest = store.json(MANIFEST, &manifest);
        store.add("", manifest);
        store.find(None).unwrap()
    };
    let command = config(json!({ "Cmd": ["/app.wasm", "2"] }));
    assert_eq!(command.command(true).unwrap(), ["/app.wasm", "2"]);
    for nothing in [json!({}), json!(null), json!({ "Entrypoint": [], "Cmd": null })] {
        assert!(matches!(config(nothing).command(true), Err(Error::Unsupported { .. })));
    }
}

#[test]
fn a_folder_that_is_no_layout_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let open = || twine_oci_image::Layout::open(folder.path()).unwrap_err();
    assert!(matches!(open(), Error::NotALayout { .. }));
    fs::write(folder.path().join("oci-layout"), "{}").unwrap();
    assert!(matches!(open(), Error::Damaged { .. }));
    fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    assert!(matches!(open(), Error::File { .. }));
}
