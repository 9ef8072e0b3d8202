//! Images that are built: what they hold, and that the same recipe gives the same bytes.

mod common;

use common::*;
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest, MediaType, OciLayout};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};
use twine_oci_image::{Built, Error, Form, Image, Layout, Recipe, build};

/// Writes an image into a new folder.
fn layout_of(built: &Built, name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Layout::open_or_create(folder.path()).unwrap().add(built, name).unwrap();
    folder
}

fn image_of(recipe: Recipe) -> (tempfile::TempDir, Image) {
    let folder = layout_of(&build(recipe, Form::Image).unwrap(), "app:1");
    let image = Layout::open(folder.path()).unwrap().find(None).unwrap();
    (folder, image)
}

/// A blob as a value of a type of the specification. Its digest and its size are checked.
fn blob<T: serde::de::DeserializeOwned>(
    folder: &Path,
    descriptor: &oci_spec::image::Descriptor,
) -> T {
    serde_json::from_slice(&bytes(folder, descriptor)).unwrap()
}

fn bytes(folder: &Path, descriptor: &oci_spec::image::Descriptor) -> Vec<u8> {
    let bytes = fs::read(folder.join("blobs/sha256").join(descriptor.digest().digest())).unwrap();
    assert_eq!(digest(&bytes), descriptor.digest().to_string());
    assert_eq!(bytes.len() as u64, descriptor.size());
    bytes
}

fn index(folder: &Path) -> ImageIndex {
    ImageIndex::from_file(folder.join("index.json")).unwrap()
}

fn manifest(folder: &Path) -> ImageManifest {
    blob(folder, &index(folder).manifests()[0])
}

fn config(folder: &Path) -> ImageConfiguration {
    blob(folder, manifest(folder).config())
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.into()).collect()
}

#[test]
fn the_same_recipe_gives_the_same_bytes() {
    let folders = [false, true].map(|other| {
        let folder = tempfile::tempdir().unwrap();
        let mut names = ["a", "b", "c", "d/e", "d/f"];
        if other {
            names.reverse();
        }
        fs::create_dir(folder.path().join("d")).unwrap();
        for name in names {
            fs::write(folder.path().join(name), name).unwrap();
        }
        symlink("d/e", folder.path().join("link")).unwrap();
        if other {
            let age = SystemTime::now() - Duration::from_secs(1 << 30);
            for name in names {
                let path = folder.path().join(name);
                fs::File::open(&path).unwrap().set_modified(age).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
                // Only root may give a file away.
                let _ = chown(&path, Some(7), Some(7));
            }
            let mode = fs::Permissions::from_mode(0o700);
            fs::set_permissions(folder.path().join("d"), mode).unwrap();
        }
        folder
    });
    let labels: BTreeMap<_, _> = (0..50).map(|n| (format!("label.{n}"), n.to_string())).collect();
    let built = folders.each_ref().map(|folder| {
        let recipe = Recipe {
            labels: labels.clone(),
            environment: strings(&["A=1", "B=2"]),
            files: vec![(folder.path().into(), "data".into())],
            ..recipe()
        };
        layout_of(&build(recipe, Form::Image).unwrap(), "app:1")
    });
    assert_eq!(tree(built[0].path()), tree(built[1].path()));
    let archives = built.each_ref().map(|layout| layout.path().join("app.tar"));
    for archive in &archives {
        let recipe = Recipe { labels: labels.clone(), ..recipe() };
        build(recipe, Form::Image).unwrap().write_archive(archive, "app:1").unwrap();
    }
    assert_eq!(fs::read(&archives[0]).unwrap(), fs::read(&archives[1]).unwrap());
}

#[test]
fn a_layout_is_one_of_the_specification() {
    let recipe = Recipe {
        arguments: strings(&["--port", "80"]),
        environment: strings(&["A=1", "B=x=y", "A=2"]),
        directory: Some("/data".into()),
        user: Some("1000:1000".into()),
        labels: [("l".to_owned(), "v".to_owned())].into(),
        ..recipe()
    };
    let built = build(recipe, Form::Image).unwrap();
    let layout = layout_of(&built, "app:1");
    let folder = layout.path();
    let marker = OciLayout::from_file(folder.join("oci-layout")).unwrap();
    assert_eq!(marker.image_layout_version(), "1.0.0");
    let index = index(folder);
    assert_eq!(index.schema_version(), 2);
    assert_eq!(*index.media_type(), Some(MediaType::ImageIndex));
    let [descriptor] = &index.manifests()[..] else { panic!("{index:?}") };
    assert_eq!(*descriptor.media_type(), MediaType::ImageManifest);
    assert_eq!(descriptor.digest().to_string(), built.digest());
    let platform = descriptor.platform().as_ref().unwrap();
    assert_eq!((platform.os().to_string(), platform.architecture().to_string()), wasi_wasm());
    let manifest = manifest(folder);
    assert_eq!(manifest.schema_version(), 2);
    assert_eq!(*manifest.media_type(), Some(MediaType::ImageManifest));
    assert_eq!(*manifest.config().media_type(), MediaType::ImageConfig);
    let [layer] = &manifest.layers()[..] else { panic!("{manifest:?}") };
    assert_eq!(*layer.media_type(), MediaType::ImageLayer);
    let configuration = config(folder);
    let (os, architecture) = (configuration.os(), configuration.architecture());
    assert_eq!((os.to_string(), architecture.to_string()), wasi_wasm());
    assert_eq!(configuration.rootfs().typ(), "layers");
    assert_eq!(*configuration.rootfs().diff_ids(), [digest(&bytes(folder, layer))]);
    let config = configuration.config().clone().unwrap();
    assert_eq!(*config.entrypoint(), Some(strings(&["/app.wasm"])));
    assert_eq!(*config.cmd(), Some(strings(&["--port", "80"])));
    assert_eq!(*config.env(), Some(strings(&["B=x=y", "A=2"])));
    assert_eq!(config.working_dir().as_deref(), Some("/data"));
    assert_eq!(config.user().as_deref(), Some("1000:1000"));
    assert_eq!(config.labels().clone().unwrap()["l"], "v");
    let all: u64 = index.manifests()[0].size() + manifest.config().size() + layer.size();
    assert_eq!(built.size(), all);
    // Nothing else is in the folder.
    let blobs = fs::read_dir(folder.join("blobs/sha256")).unwrap().count();
    assert_eq!((blobs, fs::read_dir(folder).unwrap().count()), (3, 3));
    let mode = |path: &str| folder.join(path).metadata().unwrap().permissions().mode();
    assert_eq!(mode("index.json") & 0o111, 0);
    assert_eq!(mode("index.json"), mode("oci-layout"));
}

fn wasi_wasm() -> (String, String) {
    ("wasi".into(), "wasm".into())
}

#[test]
fn an_image_has_its_files() {
    let host = tempfile::tempdir().unwrap();
    fs::create_dir_all(host.path().join("d/empty")).unwrap();
    fs::write(host.path().join("d/tool"), "t").unwrap();
    let long = "n".repeat(200);
    fs::write(host.path().join("d").join(&long), "l").unwrap();
    let long_target = "t/".repeat(200);
    let targets = [".", "..", "/", "a//b/", "./x", "a/./b", "/x/../y", "../../..", &long_target];
    for (number, target) in targets.into_iter().enumerate() {
        symlink(target, host.path().join(format!("d/link{number}"))).unwrap();
    }
    let files = vec![
        (host.path().join("d"), "/data/./x".to_owned()),
        (host.path().join("d/tool"), "etc/tool".to_owned()),
    ];
    let (_folder, image) = image_of(Recipe { files, ..recipe() });
    let unpacked = image.unpack().unwrap();
    let found = tree(unpacked.folder());
    let expected = tree(&host.path().join("d"));
    let of_folder =
        found.iter().filter_map(|path| path.strip_prefix("data/x/")).collect::<Vec<_>>();
    let mut of_folder: Vec<_> = of_folder.into_iter().filter(|path| !path.is_empty()).collect();
    of_folder.sort();
    assert_eq!(of_folder, expected);
    for path in ["app.wasm=\0asm\u{1}\0\0\0", "data/", "etc/", "etc/tool=t"] {
        assert!(found.contains(&path.to_owned()), "{found:?}");
    }
    assert!(unpacked.has_other_files("/app.wasm").unwrap());
}

#[test]
fn a_recipe_that_is_wrong_is_refused_with_a_remedy() {
    let host = tempfile::tempdir().unwrap();
    let whiteout = host.path().join(".wh.app.wasm");
    fs::write(&whiteout, "").unwrap();
    let folder = host.path().to_path_buf();
    let program = |program: &[u8]| Recipe { program: program.into(), ..recipe() };
    let path = |path: &str| Recipe { path: path.into(), ..recipe() };
    let files = |files: &[(&Path, &str)]| {
        let files = files.iter().map(|(host, guest)| (host.to_path_buf(), (*guest).into()));
        Recipe { files: files.collect(), ..recipe() }
    };
    let device = Path::new("/dev/null");
    for wrong in [
        program(b""),
        program(b"\0asm"),
        program(b"\0asm\x0d\0\x01\0"),
        program(b"(module)"),
        path(""),
        path("/"),
        path("../app.wasm"),
        path(".wh.app"),
        files(&[(device, "x")]),
        files(&[(&folder, "../x")]),
        files(&[(&folder, "/")]),
        files(&[(&whiteout, "app.wasm")]),
        files(&[(&whiteout, "app.wasm/x")]),
        files(&[(&whiteout, "a"), (&whiteout, "a/b")]),
        files(&[(&whiteout, "a/b"), (&whiteout, "a")]),
    ] {
        let shown = format!("{wrong:?}");
        let error = build(wrong, Form::Image).unwrap_err();
        assert!(matches!(error, Error::Recipe { .. }), "{shown}: {error}");
        assert!(!error.remedy().is_empty());
    }
    let missing = files(&[(&folder.join("missing"), "x")]);
    assert!(matches!(build(missing, Form::Image), Err(Error::File { .. })));
}

#[test]
fn a_name_that_is_none_is_refused() {
    let built = build(recipe(), Form::Image).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut layout = Layout::open_or_create(folder.path()).unwrap();
    for name in ["", "App", "a b", "../x", "a:b:c", "a:"] {
        assert!(matches!(layout.add(&built, name), Err(Error::Recipe { .. })), "{name:?}");
        let archive = folder.path().join("x.tar");
        assert!(matches!(built.write_archive(&archive, name), Err(Error::Recipe { .. })));
        assert!(!archive.exists());
    }
}

#[test]
fn a_name_is_whole_for_containerd() {
    for (name, whole) in [
        ("app", "docker.io/library/app:latest"),
        ("app:1", "docker.io/library/app:1"),
        ("user/app:1", "docker.io/user/app:1"),
        ("example.org/app", "example.org/app:latest"),
        ("localhost:5000/a/b:2", "localhost:5000/a/b:2"),
    ] {
        let layout = layout_of(&build(recipe(), Form::Image).unwrap(), name);
        let index = index(layout.path());
        let annotations = index.manifests()[0].annotations().clone().unwrap();
        assert_eq!(annotations[NAME], name);
        assert_eq!(annotations["io.containerd.image.name"], whole);
        assert_eq!(annotations.len(), 2);
    }
}

#[test]
fn an_image_begins_with_its_base() {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("lib"), "old").unwrap();
    fs::write(host.path().join("other"), "old").unwrap();
    let below = Recipe {
        arguments: strings(&["below"]),
        environment: strings(&["A=below", "AB=below", "PATH=/bin"]),
        directory: Some("/work".into()),
        user: Some("7".into()),
        labels: [("a", "below"), ("b", "below")].map(|(a, b)| (a.into(), b.into())).into(),
        files: vec![(host.path().into(), "lib".into())],
        path: "below.wasm".into(),
        ..recipe()
    };
    let (base_folder, base) = image_of(below);
    let new = host.path().join("new");
    fs::write(&new, "new").unwrap();
    let above = |base: &Image| Recipe {
        environment: strings(&["A=above"]),
        labels: [("b".to_owned(), "above".to_owned())].into(),
        files: vec![(new.clone(), "lib/lib".into())],
        base: Some(base.clone()),
        ..recipe()
    };
    let (folder, image) = image_of(above(&base));
    assert_eq!(image.command(false).unwrap(), ["/app.wasm"]);
    assert_eq!(image.environment(), ["AB=below", "PATH=/bin", "A=above"]);
    assert_eq!(image.directory(), "/work");
    let config = config(folder.path()).config().clone().unwrap();
    assert_eq!(config.user().as_deref(), Some("7"));
    let labels: BTreeMap<_, _> = config.labels().clone().unwrap().into_iter().collect();
    assert_eq!(labels.into_values().collect::<Vec<_>>(), ["below", "above"]);
    let (old, new) = (manifest(base_folder.path()), manifest(folder.path()));
    assert_eq!(old.layers()[..], new.layers()[..1]);
    assert_eq!(new.layers().len(), 2);
    let files = image.unpack().unwrap();
    let program = String::from_utf8(PROGRAM.into()).unwrap();
    let expected = [
        &format!("app.wasm={program}"),
        &format!("below.wasm={program}"),
        "lib/",
        "lib/lib=new",
        "lib/other=old",
    ];
    assert_eq!(tree(files.folder()), expected);
    // In the same folder, the layers of the base are there already.
    let built = build(above(&base), Form::Image).unwrap();
    let mut layout = Layout::open(base_folder.path()).unwrap();
    layout.add(&built, "above:1").unwrap();
    let again = layout.find(Some("above:1")).unwrap();
    assert_eq!(tree(again.unpack().unwrap().folder()), expected);
    // Damage does not get into another image.
    fs::write(base_folder.path().join("blobs/sha256").join(old.layers()[0].digest().digest()), "x")
        .unwrap();
    assert!(matches!(build(above(&base), Form::Image), Err(Error::Damaged { .. })));
}

#[test]
fn settings_of_the_base_that_have_no_option_stay() {
    let mut store = Store::new();
    let mut config: Value = json!({
        "Entrypoint": ["/old.wasm"], "Cmd": ["old"], "StopSignal": "SIGINT",
        "ExposedPorts": { "80/tcp": {} }, "Volumes": { "/data": {} },
    });
    let descriptor = store.json(
        CONFIG,
        &json!({
            "architecture": "wasm", "os": "wasi", "config": config,
            "rootfs": { "type": "layers", "diff_ids": [] },
        }),
    );
    let manifest =
        store.json(MANIFEST, &json!({ "schemaVersion": 2, "config": descriptor, "layers": [] }));
    store.add("", manifest);
    let base = Some(store.find(None).unwrap());
    let (folder, _) = image_of(Recipe { base, ..recipe() });
    let found = self::config(folder.path()).config().clone().unwrap();
    config["Entrypoint"] = json!(["/app.wasm"]);
    config.as_object_mut().unwrap().remove("Cmd");
    assert_eq!(serde_json::to_value(found).unwrap(), config);
}

#[test]
fn an_artifact_holds_a_program_alone() {
    let built = build(recipe(), Form::Artifact).unwrap();
    let layout = layout_of(&built, "app:1");
    let folder = layout.path();
    let manifest = manifest(folder);
    assert_eq!(manifest.config().media_type().as_ref(), "application/vnd.wasm.config.v0+json");
    let [layer] = &manifest.layers()[..] else { panic!("{manifest:?}") };
    assert_eq!(layer.media_type().as_ref(), "application/wasm");
    assert_eq!(bytes(folder, layer), PROGRAM);
    let config: Value = blob(folder, manifest.config());
    let expected = json!({
        "created": "1970-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip1",
        "layerDigests": [digest(PROGRAM)],
    });
    assert_eq!(config, expected);
    let image = Layout::open(folder).unwrap().find(Some("app:1")).unwrap();
    assert!(image.environment().is_empty());
    assert_eq!(image.directory(), "/");
    let base = Recipe { base: Some(image.clone()), ..recipe() };
    let error = build(base.clone(), Form::Image).unwrap_err();
    assert!(error.to_string().contains("base"), "{error}");
    for wrong in [
        base,
        Recipe { arguments: strings(&["a"]), ..recipe() },
        Recipe { environment: strings(&["A=1"]), ..recipe() },
        Recipe { directory: Some("/".into()), ..recipe() },
        Recipe { user: Some("1".into()), ..recipe() },
        Recipe { labels: [("a".into(), "b".into())].into(), ..recipe() },
        Recipe { files: vec![("/".into(), "/".into())], ..recipe() },
    ] {
        assert!(matches!(build(wrong, Form::Artifact), Err(Error::Recipe { .. })));
    }
}

#[test]
fn a_folder_holds_several_images() {
    let folder = tempfile::tempdir().unwrap();
    let mut layout = Layout::open_or_create(&folder.path().join("new/images")).unwrap();
    let with = |argument: &str, form| {
        let arguments = if argument.is_empty() { vec![] } else { strings(&[argument]) };
        build(Recipe { arguments, ..recipe() }, form).unwrap()
    };
    layout.add(&with("1", Form::Image), "app:1").unwrap();
    layout.add(&with("2", Form::Image), "app:2").unwrap();
    layout.add(&with("", Form::Artifact), "artifact:1").unwrap();
    let command = |layout: &Layout, name| layout.find(Some(name)).unwrap().command(false).unwrap();
    for (name, argument) in [("app:1", "1"), ("app:2", "2")] {
        assert_eq!(command(&layout, name), ["/app.wasm", argument]);
    }
    // A name moves to another image.
    layout.add(&with("3", Form::Image), "app:1").unwrap();
    let layout = Layout::open(&folder.path().join("new/images")).unwrap();
    assert_eq!(command(&layout, "app:1"), ["/app.wasm", "3"]);
    assert_eq!(command(&layout, "app:2"), ["/app.wasm", "2"]);
    assert_eq!(layout.find(Some("artifact:1")).unwrap().command(false).unwrap().len(), 1);
    assert_eq!(index(&folder.path().join("new/images")).manifests().len(), 3);
}

#[test]
fn images_that_are_added_at_the_same_time_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("images");
    thread::scope(|scope| {
        for number in 0..16 {
            let folder = &folder;
            scope.spawn(move || {
                let arguments = vec![(number / 2).to_string()];
                let built = build(Recipe { arguments, ..recipe() }, Form::Image).unwrap();
                let mut layout = Layout::open_or_create(folder).unwrap();
                layout.add(&built, &format!("app:{number}")).unwrap();
            });
        }
    });
    let layout = Layout::open(&folder).unwrap();
    for number in 0..16 {
        let image = layout.find(Some(&format!("app:{number}"))).unwrap();
        assert_eq!(image.command(false).unwrap()[1], (number / 2).to_string());
        image.unpack().unwrap();
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), 3);
}

#[test]
fn an_archive_has_the_blobs_of_the_folder() {
    let (base_folder, base) = image_of(recipe());
    let built = build(Recipe { base: Some(base), ..recipe() }, Form::Image).unwrap();
    let layout = layout_of(&built, "app:1");
    let place = tempfile::tempdir().unwrap();
    // A file of the user is beside it.
    fs::write(place.path().join("app.new"), "mine").unwrap();
    let path = place.path().join("app.tar");
    built.write_archive(&path, "app:1").unwrap();
    built.write_archive(&path, "app:1").unwrap();
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
    assert_eq!(fs::read(place.path().join("app.new")).unwrap(), b"mine");
    let unpacked = tempfile::tempdir().unwrap();
    tar::Archive::new(fs::File::open(&path).unwrap()).unpack(unpacked.path()).unwrap();
    assert_eq!(tree(unpacked.path()), tree(layout.path()));
    // A blob that can't be read leaves no half of an archive.
    drop(base_folder);
    assert!(built.write_archive(&place.path().join("other.tar"), "app:1").is_err());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
}

#[test]
fn a_folder_of_others_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "").unwrap();
    let error = Layout::open_or_create(folder.path()).unwrap_err();
    assert!(matches!(error, Error::NotALayout { .. }), "{error}");
    assert_eq!(tree(folder.path()), ["mine="]);
    assert!(matches!(Layout::open_or_create(&folder.path().join("mine")), Err(Error::File { .. })));
    fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(Layout::open(folder.path()), Err(Error::NotALayout { .. })));
}
