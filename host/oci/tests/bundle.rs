//! What `prepare` makes of the bundle of a container.

use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use twine_oci::{Error, Installation, prepare};

/// The loader and its arguments, in front of those of `twine run`.
const LOADER: [&str; 7] = [
    "/.twine/lib/ld-linux-x86-64.so.2",
    "--library-path",
    "/.twine/lib",
    "--argv0",
    "/.twine/bin/twine",
    "/.twine/bin/twine",
    "run",
];

/// A bundle, and an installation of Twine.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bundle/rootfs", "bin", "lib/twine"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let twine = folder.path().join("bin/twine");
        symlink(env!("CARGO_BIN_EXE_twine-oci"), twine).unwrap();
        fs::write(folder.path().join("bundle/rootfs/tool"), b"\0asm\x01\0\0\0").unwrap();
        World { folder }
    }

    /// A world whose bundle has this configuration.
    fn with(configuration: &Value) -> Self {
        let world = World::new();
        fs::write(world.config(), configuration.to_string()).unwrap();
        world
    }

    fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    fn config(&self) -> PathBuf {
        self.bundle().join("config.json")
    }

    fn prepare_with(&self, devices: &[&str]) -> Result<bool, Error> {
        let (bin, state) = (self.folder.path().join("bin"), self.folder.path().join("state"));
        prepare(&self.bundle(), || Installation::at(&bin, &state, devices))
    }

    fn prepare(&self) -> Result<bool, Error> {
        self.prepare_with(&[])
    }

    /// The configuration that becomes of that in the bundle.
    #[track_caller]
    fn prepared(&self) -> Value {
        assert!(self.prepare().unwrap());
        self.only_config();
        serde_json::from_slice(&fs::read(self.config()).unwrap()).unwrap()
    }

    #[track_caller]
    fn only_config(&self) {
        let names = fs::read_dir(self.bundle()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["config.json", "rootfs"]);
    }

    /// Asserts that the configuration stays the file that it is.
    #[track_caller]
    fn stays(&self, prepare: impl FnOnce(&Self) -> Result<bool, Error>) -> Result<bool, Error> {
        let before = (fs::read(self.config()).unwrap(), identity(&self.config()));
        let result = prepare(self);
        assert_eq!((fs::read(self.config()).unwrap(), identity(&self.config())), before);
        self.only_config();
        result
    }
}

fn identity(path: &Path) -> [i64; 5] {
    let metadata = path.symlink_metadata().unwrap();
    let mode = metadata.mode().into();
    [metadata.ino() as i64, metadata.mtime(), metadata.mtime_nsec(), metadata.ctime_nsec(), mode]
}

/// The smallest configuration with this process.
fn minimal(arguments: &[&str]) -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": { "user": { "uid": 0, "gid": 0 }, "cwd": "/", "args": arguments },
        "root": { "path": "rootfs" },
    })
}

fn with(mut configuration: Value, pointer: &str, value: Value) -> Value {
    let (above, name) = pointer.rsplit_once('/').unwrap();
    configuration.pointer_mut(above).unwrap()[name] = value;
    configuration
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// The arguments of `twine run` in a configuration.
fn arguments(configuration: &Value) -> Vec<&str> {
    let all = strings(&configuration["process"]["args"]);
    assert_eq!(all[..LOADER.len()], LOADER);
    all[LOADER.len()..].to_vec()
}

#[test]
fn the_container_of_another_process_stays_as_it_is() {
    let shell = minimal(&["/bin/sh", "-c", "app.wasm"]);
    let sandbox =
        json!({ "io.kubernetes.cri.container-type": "sandbox", "io.twine.program": "true" });
    let not = json!({ "io.twine.program": "false", "io.twine.unknown": "x" });
    for configuration in [
        shell.clone(),
        with(shell.clone(), "/annotations", json!({ "io.twine.unknown": "x" })),
        with(minimal(&["/app.wasm"]), "/annotations", sandbox),
        with(shell.clone(), "/annotations", not),
        with(shell.clone(), "/process/args", json!([])),
        with(shell.clone(), "/process/args", json!([1])),
        with(minimal(&["/app.wasm"]), "/root", json!({})),
        with(minimal(&["/app.wasm"]), "/process", json!(null)),
        json!({}),
        json!([]),
        json!("text"),
    ] {
        let world = World::with(&configuration);
        assert!(!world.stays(World::prepare).unwrap(), "{configuration}");
    }
}

#[test]
fn a_configuration_that_is_none_stays_for_runc() {
    let deep = "[".repeat(100_000);
    let large = format!("[\"{}\"]", "x".repeat(32 << 20));
    for text in ["", "{", "\0", "{}{}", &deep, &large] {
        let world = World::new();
        fs::write(world.config(), text).unwrap();
        assert!(!world.stays(World::prepare).unwrap());
    }
    let world = World::new();
    assert!(!world.prepare().unwrap());
    fs::create_dir(world.config()).unwrap();
    assert!(!world.prepare().unwrap());
    assert!(!prepare(Path::new("/no/such/bundle"), || unreachable!()).unwrap());
}

#[test]
fn only_what_the_program_needs_changes() {
    // The order and the fields of containerd, and some that no specification has.
    let text = r#"{
        "zzz": {"b": 1, "a": [1.5, -1, 18446744073709551615]},
        "ociVersion": "1.1.0",
        "process": {
            "terminal": false,
            "user": {"uid": 7, "gid": 8, "umask": 18, "additionalGids": [9]},
            "args": ["/app.wasm", "one", "--two", "", "a b"],
            "env": ["PATH=/bin", "A=x=y", "EMPTY=", "NONE"],
            "cwd": "/srv",
            "capabilities": {"bounding": ["CAP_KILL"]},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 18446744073709551615, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "h",
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "annotations": {"io.twine.volume.data": "/d.vol::/data", "other": "x"},
        "linux": {
            "resources": {
                "memory": {"limit": 268435456},
                "devices": [{"allow": false, "access": "rwm"}]
            },
            "namespaces": [{"type": "pid"}, {"type": "mount"}],
            "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}],
            "maskedPaths": ["/proc/kcore"]
        }
    }"#;
    let world = World::new();
    fs::write(world.config(), text).unwrap();
    // Two devices that each machine has, in place of SGX's; and what is none.
    assert!(world.prepare_with(&["/dev/null", "/no/device", "/etc/passwd", "/dev/zero"]).unwrap());
    world.only_config();
    let changed = fs::read_to_string(world.config()).unwrap();
    let mut changed: Value = serde_json::from_str(&changed).unwrap();
    let former: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        arguments(&changed),
        [
            "--env=PATH",
            "--env=A",
            "--env=EMPTY",
            "--env=PWD=/srv",
            "--plain-dir=/::/,without=/.twine",
            "--dir=/d.vol::/data",
            &format!("--max-memory={}", (256 - 48 - 32) << 20),
            "--",
            "/app.wasm",
            "one",
            "--two",
            "",
            "a b",
        ]
    );
    let environment = strings(&changed["process"]["env"]);
    assert_eq!(environment[..4], strings(&former["process"]["env"]));
    let own = ["TWINE_CACHE=/.twine/state/code", "XDG_STATE_HOME=/.twine/state"];
    assert_eq!(environment[4..], own);

    let mounts = changed["mounts"].as_array().unwrap();
    assert_eq!(mounts[0], former["mounts"][0]);
    let path = |name: &str| world.folder.path().join(name);
    let mount = |source: &Path, to: &str, access: &str| {
        json!({
            "destination": format!("/.twine/{to}"), "type": "bind", "source": source,
            "options": ["bind", access, "nosuid", "nodev"],
        })
    };
    assert_eq!(mounts[1], mount(&path("bin/twine"), "bin/twine", "ro"));
    assert_eq!(mounts[2], mount(&path("lib/twine").canonicalize().unwrap(), "lib/twine", "ro"));
    assert_eq!(mounts[3], mount(&path("state/7"), "state", "rw"));
    let loader = Path::new("/lib64/ld-linux-x86-64.so.2");
    assert_eq!(mounts[4], mount(loader, "lib/ld-linux-x86-64.so.2", "ro"));
    for library in &mounts[5..] {
        let source = Path::new(library["source"].as_str().unwrap());
        let name = source.file_name().unwrap().to_str().unwrap();
        assert_eq!(*library, mount(source, &format!("lib/{name}"), "ro"));
    }
    assert!(mounts.iter().any(|mount| mount["destination"] == "/.twine/lib/libc.so.6"));
    let state = path("state/7").metadata().unwrap();
    assert_eq!(state.permissions().mode() & 0o7777, 0o700);
    if rustix::process::geteuid().is_root() {
        assert_eq!((state.uid(), state.gid()), (7, 8));
    }

    let linux = &changed["linux"];
    let names = |list: &Value| {
        let nodes = list.as_array().unwrap().iter();
        nodes.map(|node| node["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&linux["devices"]), ["/dev/x", "/dev/null", "/dev/zero"]);
    let rule =
        |minor| json!({ "allow": true, "type": "c", "major": 1, "minor": minor, "access": "rw" });
    let rules = &linux["resources"]["devices"];
    assert_eq!(*rules, json!([former["linux"]["resources"]["devices"][0], rule(3), rule(5)]));

    // All else is the same, and in the same order.
    for pointer in
        ["/process/args", "/process/env", "/mounts", "/linux/devices", "/linux/resources/devices"]
    {
        *changed.pointer_mut(pointer).unwrap() = former.pointer(pointer).unwrap().clone();
    }
    assert_eq!(changed.to_string(), former.to_string());
}

#[test]
fn fields_that_are_missing_are_made() {
    let world = World::with(&minimal(&["/app.wasm"]));
    assert!(world.prepare_with(&["/dev/null"]).unwrap());
    let changed: Value = serde_json::from_slice(&fs::read(world.config()).unwrap()).unwrap();
    assert_eq!(arguments(&changed), ["--plain-dir=/::/,without=/.twine", "--", "/app.wasm"]);
    assert_eq!(changed["process"]["env"].as_array().unwrap().len(), 2);
    assert!(changed["mounts"].as_array().unwrap().len() >= 5);
    assert_eq!(changed["linux"]["devices"][0]["path"], "/dev/null");
    assert_eq!(changed["linux"]["resources"]["devices"][0]["minor"], 3);
    for nothing in ["/process/env", "/mounts", "/linux"] {
        let world = World::with(&with(minimal(&["/app.wasm"]), nothing, json!(null)));
        assert!(world.prepare_with(&["/dev/null"]).unwrap(), "{nothing}");
    }
    // Without a device, there is no need of a section for it.
    let changed = World::with(&minimal(&["/app.wasm"])).prepared();
    assert!(changed.get("linux").is_none());
    // A device that the container has already stays as it is.
    let device = json!({ "path": "/dev/null", "type": "c", "major": 1, "minor": 3 });
    let configuration = with(minimal(&["/app.wasm"]), "/linux", json!({ "devices": [device] }));
    let world = World::with(&configuration);
    assert!(world.prepare_with(&["/dev/null"]).unwrap());
    let changed: Value = serde_json::from_slice(&fs::read(world.config()).unwrap()).unwrap();
    assert_eq!(changed["linux"]["devices"], json!([device]));
}

/// runc decides about settings that the command line does not depend on.
#[test]
fn settings_of_a_newer_specification_are_left_to_runc() {
    for (pointer, value) in [
        ("/process/capabilities", json!({ "bounding": ["CAP_OF_TOMORROW"] })),
        ("/process/rlimits", json!([{ "type": "RLIMIT_OF_TOMORROW", "hard": 1, "soft": 1 }])),
        ("/process/scheduler", json!({ "policy": "SCHED_OF_TOMORROW" })),
        ("/process/user", json!(null)),
        ("/linux", json!({ "namespaces": [{ "type": "tomorrow" }] })),
    ] {
        let configuration = with(minimal(&["/app.wasm"]), pointer, value.clone());
        let changed = World::with(&configuration).prepared();
        assert_eq!(changed.pointer(pointer), Some(&value), "{pointer}");
        assert_eq!(arguments(&changed).last(), Some(&"/app.wasm"));
    }
}

#[test]
fn a_program_is_named_by_its_path_from_the_root() {
    for (directory, program, path) in [
        ("/", "app.wasm", "/app.wasm"),
        ("/srv", "app.wasm", "/srv/app.wasm"),
        ("/srv", "./bin/app.wasm", "/srv/./bin/app.wasm"),
        ("/srv", "/app.wasm", "/app.wasm"),
        ("/", "tool", "/tool"),
        ("/srv", "../tool", "/srv/../tool"),
    ] {
        let world = World::with(&with(minimal(&[program]), "/process/cwd", json!(directory)));
        fs::create_dir(world.bundle().join("rootfs/srv")).unwrap();
        let changed = world.prepared();
        assert_eq!(arguments(&changed).last(), Some(&path));
    }
    let environment = json!(["PWD=/other", "A=1"]);
    let configuration = with(minimal(&["/app.wasm"]), "/process/env", environment);
    let changed = World::with(&with(configuration, "/process/cwd", json!("/srv"))).prepared();
    assert_eq!(arguments(&changed)[..2], ["--env=PWD", "--env=A"]);
}

#[test]
fn the_files_of_a_container_do_not_lead_to_those_of_the_machine() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("tool"), b"\0asm\x01\0\0\0").unwrap();
    let tool = outside.path().join("tool");
    let world = World::with(&minimal(&["/link"]));
    symlink(&tool, world.bundle().join("rootfs/link")).unwrap();
    assert!(!world.stays(World::prepare).unwrap());
}

#[test]
fn variables_of_twine_itself_are_not_those_of_the_program() {
    let environment = json!(["XDG_STATE_HOME=/mine", "A=1", "TWINE_CACHE=x=y", "TWINE_CACHE"]);
    let changed =
        World::with(&with(minimal(&["/app.wasm"]), "/process/env", environment)).prepared();
    assert_eq!(
        strings(&changed["process"]["env"]),
        ["A=1", "TWINE_CACHE", "TWINE_CACHE=/.twine/state/code", "XDG_STATE_HOME=/.twine/state"]
    );
    let expected = ["--env=XDG_STATE_HOME=/mine", "--env=A", "--env=TWINE_CACHE=x=y"];
    assert_eq!(arguments(&changed)[..3], expected);
}

#[test]
fn a_bundle_that_is_run_again_stays_as_it_is() {
    let program = json!({ "io.twine.program": "true" });
    let world = World::with(&with(minimal(&["/app.wasm"]), "/annotations", program));
    world.prepared();
    assert!(world.stays(World::prepare).unwrap());
}

#[test]
fn annotations_choose_what_the_program_gets() {
    let annotations = json!({
        "io.twine.program": "true", "io.twine.rootfs": "ro", "io.twine.key": "file:/key",
        "io.twine.options": "--quiet  --fuel 9", "io.twine.code-cache": "false",
        "io.twine.volume.a": "/a.vol::/a",
    });
    let changed = World::with(&with(minimal(&["sh"]), "/annotations", annotations)).prepared();
    let expected = [
        "--plain-dir=/::/,ro,without=/.twine",
        "--dir=/a.vol::/a",
        "--key=file:/key",
        "--no-code-cache",
        "--quiet",
        "--fuel",
        "9",
        "--",
        "/sh",
    ];
    assert_eq!(arguments(&changed), expected);
    let hidden = with(minimal(&["app.wasm"]), "/annotations", json!({ "io.twine.rootfs": "none" }));
    assert_eq!(arguments(&World::with(&hidden).prepared()), ["--", "/app.wasm"]);
}

#[test]
fn a_manifest_decides_arguments_environment_files_and_memory() {
    let annotations = json!({
        "io.twine.manifest": "/app.manifest", "io.twine.secrets": "TOKEN",
        "io.twine.volume.a": "/data/a.vol",
    });
    let configuration = with(minimal(&["app.wasm", "argument"]), "/annotations", annotations);
    let configuration = with(configuration, "/process/env", json!(["TOKEN=x", "A=b"]));
    let memory = json!({ "resources": { "memory": { "limit": 268_435_456 } } });
    let changed = World::with(&with(configuration, "/linux", memory)).prepared();
    let expected =
        ["--manifest=/app.manifest", "--secret=TOKEN", "--dir=/data/a.vol", "--", "/app.wasm"];
    assert_eq!(arguments(&changed), expected);
    assert!(strings(&changed["process"]["env"]).contains(&"TOKEN=x"));
}

#[test]
fn a_wrong_annotation_is_named_and_changes_nothing() {
    for (name, value) in [
        ("io.twine.rootfs", json!("x")),
        ("io.twine.unknown", json!("x")),
        ("io.twine.program", json!("yes")),
        ("io.twine.code-cache", json!("no")),
    ] {
        let configuration = with(minimal(&["/app.wasm"]), "/annotations", json!({ name: value }));
        let error = World::with(&configuration).stays(World::prepare).unwrap_err();
        assert!(matches!(error, Error::Annotation { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_configuration_that_runc_would_refuse_is_named() {
    for (pointer, value) in [
        ("/process/user", json!("root")),
        ("/process/env", json!({})),
        ("/process/env", json!([1])),
        ("/linux", json!("x")),
        ("/linux", json!({ "resources": 1 })),
        ("/mounts", json!({})),
        ("/process/args", json!(["/app.wasm", 1])),
    ] {
        let configuration = with(minimal(&["/app.wasm"]), pointer, value);
        let world = World::with(&configuration);
        let error = world.stays(|world| world.prepare_with(&["/dev/null"])).unwrap_err();
        assert!(matches!(error, Error::Configuration { .. }), "{pointer}: {error}");
    }
}

#[test]
fn an_installation_that_is_not_complete_changes_nothing() {
    for part in ["bin/twine", "lib/twine"] {
        let world = World::with(&minimal(&["/app.wasm"]));
        let path = world.folder.path().join(part);
        fs::rename(&path, world.folder.path().join("elsewhere")).unwrap();
        let error = world.stays(World::prepare).unwrap_err();
        assert!(matches!(error, Error::Installation(_)), "{error}");
        assert!(error.remedy().contains("install"));
    }
    // A file that is no program has no libraries.
    let world = World::with(&minimal(&["/app.wasm"]));
    let twine = world.folder.path().join("bin/twine");
    fs::remove_file(&twine).unwrap();
    fs::write(&twine, "text").unwrap();
    assert!(matches!(world.stays(World::prepare), Err(Error::Installation(_))));
    // The folder for the state can't be made.
    let world = World::with(&minimal(&["/app.wasm"]));
    fs::write(world.folder.path().join("state"), "").unwrap();
    assert!(matches!(world.stays(World::prepare), Err(Error::File { .. })));
}

#[test]
fn the_file_keeps_its_owner_and_its_permissions() {
    let root = rustix::process::geteuid().is_root();
    for mode in [0o600, 0o640, 0o644, 0o400, 0o666] {
        let world = World::with(&minimal(&["/app.wasm"]));
        fs::set_permissions(world.config(), Permissions::from_mode(mode)).unwrap();
        if root {
            chown(world.config(), Some(7), Some(8)).unwrap();
        }
        world.prepared();
        let metadata = world.config().metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode);
        if root {
            assert_eq!((metadata.uid(), metadata.gid()), (7, 8));
        }
    }
}

#[test]
fn a_link_is_replaced_and_its_target_stays() {
    let world = World::new();
    let shared = world.folder.path().join("shared.json");
    fs::write(&shared, minimal(&["/app.wasm"]).to_string()).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o640)).unwrap();
    symlink("../shared.json", world.config()).unwrap();
    let before = (fs::read(&shared).unwrap(), identity(&shared));
    let changed = world.prepared();
    assert_eq!(arguments(&changed).last(), Some(&"/app.wasm"));
    assert_eq!((fs::read(&shared).unwrap(), identity(&shared)), before);
    let metadata = world.config().symlink_metadata().unwrap();
    assert!(metadata.is_file() && metadata.permissions().mode() & 0o7777 == 0o640);
}

#[test]
fn a_file_of_a_command_that_was_killed_is_replaced() {
    let world = World::with(&minimal(&["/app.wasm"]));
    let secret = world.folder.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, world.bundle().join("config.json.twine")).unwrap();
    world.prepared();
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
    // What is there is no file.
    let world = World::with(&minimal(&["/app.wasm"]));
    let new = world.bundle().join("config.json.twine");
    fs::create_dir(&new).unwrap();
    let before = fs::read(world.config()).unwrap();
    assert!(matches!(world.prepare(), Err(Error::File { .. })));
    assert_eq!(fs::read(world.config()).unwrap(), before);
}
