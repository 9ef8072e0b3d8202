//! The manifests for Kubernetes fit the code: a pod of theirs is a program that `twine-oci` takes.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use toml_edit::DocumentMut;
use twine_oci::{Error, prepare};

/// The folder with the manifests.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes")
}

/// The files of the manifests: each with its path and its only document.
fn files() -> Vec<(PathBuf, Value)> {
    let mut files = Vec::new();
    let mut folders = vec![folder()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let text = fs::read_to_string(&path).unwrap();
                    let value = yaml_serde::from_str(&text);
                    files.push((
                        path.clone(),
                        value.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
                    ));
                }
            }
        }
    }
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    files
}

fn of_kind(kind: &str) -> Vec<Value> {
    files().into_iter().map(|(_, value)| value).filter(|value| value["kind"] == kind).collect()
}

/// The templates of pods, also the patches of templates.
fn templates() -> Vec<Value> {
    let all = files().into_iter().map(|(_, value)| value["spec"]["template"].clone());
    all.filter(|template| !template.is_null()).collect()
}

/// The annotations of a template.
fn annotations(template: &Value) -> Map<String, Value> {
    template["metadata"]["annotations"].as_object().cloned().unwrap_or_default()
}

/// Prepares a container that has these annotations, as one that no installation can start: all
/// annotations were accepted if the missing installation is what it fails for.
fn prepared(annotations: &Map<String, Value>) -> Result<bool, Error> {
    let bundle = tempfile::tempdir().unwrap();
    let configuration = json!({
        "ociVersion": "1.0.2",
        "process": { "args": ["/app.wasm"], "cwd": "/", "user": { "uid": 0, "gid": 0 } },
        "root": { "path": "rootfs" },
        "annotations": annotations,
    });
    fs::write(bundle.path().join("config.json"), configuration.to_string()).unwrap();
    prepare(bundle.path(), || Err(Error::Installation("there is none".into())))
}

#[test]
fn each_annotation_is_accepted() {
    let mut names = BTreeSet::new();
    for template in templates() {
        let annotations = annotations(&template);
        let ended = prepared(&annotations);
        assert!(matches!(ended, Err(Error::Installation(_))), "{annotations:?}: {ended:?}");
        names.extend(annotations.into_iter().map(|(name, _)| name));
    }
    assert!(names.iter().any(|name| name.starts_with("io.twine.")), "{names:?}");
}

#[test]
fn an_annotation_that_is_kept_for_later_is_refused() {
    let later = json!({ "io.twine.manifest": "x" }).as_object().cloned().unwrap();
    let error = prepared(&later).unwrap_err();
    assert!(matches!(&error, Error::Annotation { name, .. } if name == "io.twine.manifest"));
}

#[test]
fn the_class_has_the_runtime_that_install_adds() {
    let classes = of_kind("RuntimeClass");
    assert_eq!(classes.len(), 1);
    // An installation with the files that `install` looks for.
    let prefix = tempfile::tempdir().unwrap();
    let at = |path: &str| prefix.path().join(path);
    fs::create_dir(at("bin")).unwrap();
    fs::create_dir_all(at("lib/twine")).unwrap();
    fs::write(at("bin/twine"), "").unwrap();
    fs::copy(env!("CARGO_BIN_EXE_twine-oci"), at("bin/twine-oci")).unwrap();
    let mut install = Command::new(at("bin/twine-oci"));
    install.args(["install", "--dry-run", "--config"]).arg(at("config.toml"));
    let output = install.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let configuration: DocumentMut = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    let plugin = &configuration["plugins"]["io.containerd.grpc.v1.cri"];
    let runtimes = plugin["containerd"]["runtimes"].as_table_like().unwrap();
    let handler = classes[0]["handler"].as_str().unwrap();
    let runtime = runtimes.get(handler).expect(handler);
    let passed = runtime["pod_annotations"].as_array().unwrap();
    assert!(passed.iter().any(|pattern| pattern.as_str() == Some("io.twine.*")), "{passed}");
    for template in templates() {
        // A patch has no class.
        if let Some(class) = template["spec"]["runtimeClassName"].as_str() {
            assert_eq!(classes[0]["metadata"]["name"], class);
        }
    }
}

#[test]
fn a_volume_is_for_one_pod_and_lies_in_one_of_its_mounts() {
    let mut volumes = 0;
    for deployment in of_kind("Deployment") {
        let template = &deployment["spec"]["template"];
        for (name, value) in annotations(template) {
            if !name.starts_with("io.twine.volume.") {
                continue;
            }
            volumes += 1;
            assert_eq!(deployment["spec"]["replicas"], 1, "{name}");
            assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate", "{name}");
            let file = value.as_str().and_then(|value| value.split("::").next()).unwrap();
            let mounts = template["spec"]["containers"][0]["volumeMounts"].as_array().unwrap();
            let mut paths = mounts.iter().filter_map(|mount| mount["mountPath"].as_str());
            assert!(paths.any(|path| Path::new(file).starts_with(path)), "{name}: {mounts:?}");
        }
    }
    assert_ne!(volumes, 0);
}

#[test]
fn each_container_has_a_limit_on_memory_and_probes_that_need_no_command() {
    for template in templates() {
        for container in template["spec"]["containers"].as_array().unwrap() {
            // A patch has no image.
            let is_whole = container["image"].is_string();
            let limit = &container["resources"]["limits"]["memory"];
            assert!(limit.is_string() || !is_whole, "{container}");
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                assert!(container[probe]["exec"].is_null(), "{container}");
            }
        }
    }
}

#[test]
fn each_file_is_part_of_a_kustomization() {
    let all = files();
    let named = all.iter().filter(|(_, value)| value["kind"] == "Kustomization");
    let named: BTreeSet<PathBuf> = named
        .flat_map(|(path, value)| {
            let resources = value["resources"].as_array().into_iter().flatten().cloned();
            let patches = value["patches"].as_array().into_iter().flatten();
            let patches = patches.map(|patch| patch["path"].clone());
            let folder = path.parent().unwrap().to_owned();
            let names: Vec<Value> = resources.chain(patches).collect();
            names.into_iter().map(move |name| folder.join(name.as_str().unwrap()))
        })
        .map(|path| {
            path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect();
    for (path, value) in &all {
        let is_named = named.contains(&path.canonicalize().unwrap());
        assert!(is_named || value["kind"] == "Kustomization", "{}", path.display());
    }
}
