//! A newer image takes over what an older one holds for its owners.

mod common;

use common::hosting::{Deployer, Host};
use common::{Ended, Folder, image, manifest, run, run_with_input, twine};
use std::fs;

/// Appends its standard input to the file "notes" of its first mount, syncs it, and prints the whole
/// file.
const NOTES: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread"
      (func $pread (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_sync" (func $sync (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "notes")
    (data (i32.const 0) "\00\04\00\00\00\10\00\00")
    (func $done (param i32) (if (local.get 0) (then (unreachable))))
    (func (export "_start")
      (call $done (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 5)
        (i32.const 1) (i64.const 67) (i64.const 0) (i32.const 1) (i32.const 16)))
      (call $done (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
      (call $done (call $write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
      (call $done (call $sync (i32.load (i32.const 16))))
      (i32.store (i32.const 4) (i32.const 4096))
      (call $done (call $pread (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i64.const 0)
        (i32.const 4)))
      (call $done (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// Prints the file "notes" of its first mount.
const READER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "notes")
    (data (i32.const 0) "\00\04\00\00\00\10\00\00")
    (func $done (param i32) (if (local.get 0) (then (unreachable))))
    (func (export "_start")
      (call $done (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 5)
        (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
      (call $done (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 4)))
      (call $done (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// Two images of the same program, which differ in the size of the heap.
struct Images {
    #[expect(dead_code, reason = "the folder goes with the images")]
    folder: Folder,
    old: Image,
    new: Image,
}

struct Image {
    path: String,
    measurement: String,
}

impl Images {
    fn new() -> Images {
        let folder = Folder::new();
        let build = |name: &str, heap: &str| {
            let manifest = manifest();
            let sizes = ["--threads", "72", "--thread-stack-size", "4MiB"];
            let options = ["--manifest", &manifest, "--heap-growth-size", heap];
            let path = image(&folder, name, &[&options[..], &sizes].concat());
            let measured = run(twine().args(["image", "inspect", "--json"]).arg(&path)).out;
            let (_, rest) = measured.split_once("\"mrenclave\": \"").expect("it has a measurement");
            let measurement = rest.split('"').next().unwrap().to_owned();
            assert_eq!(measurement.len(), 64, "{measured}");
            Image { path: path.display().to_string(), measurement }
        };
        let (old, new) = (build("old.sgxs", "4GiB"), build("new.sgxs", "5GiB"));
        assert_ne!(old.measurement, new.measurement);
        Images { folder, old, new }
    }

    /// The options of a host with the newer image, and the older one to take over from.
    fn both(&self) -> [&str; 4] {
        ["--image", &self.new.path, "--from", &self.old.path]
    }
}

/// Writes version `version` of the manifest "notes" for a program, for the newest image of `images`, to
/// take over from the others.
fn sign(owner: &Deployer, text: &str, version: u32, images: &[&Image], more: &[&str]) {
    let newest = images.last().unwrap();
    let options = ["--image", &newest.path, "--dir", "::/data"];
    owner.program("notes", text, &[&options[..], more].concat());
    owner.0.edit("notes", "version = 1", &format!("version = {version}"));
    if let [old, _] = images {
        let from = format!("[handover]\nfrom = [\"{}\"]", old.measurement);
        owner.0.edit("notes", "# [handover]\n# from = [\"<MRENCLAVE>\"]", &from);
    }
    owner.0.sign("notes");
}

/// Deploys the manifest with a line for the program.
fn deploy(owner: &Deployer, host: &Host, line: &str) -> Ended {
    owner.deploy(host, "notes", &[], line.as_bytes())
}

#[test]
fn a_newer_version_of_the_manifest_moves_a_volume_to_a_newer_image() {
    let images = Images::new();
    let owner = Deployer::new();
    let host = Host::start(&["--image", &images.old.path]);
    sign(&owner, NOTES, 1, &[&images.old], &[]);
    deploy(&owner, &host, "one\n").printed("one\n");
    let first = fs::read(owner.0.folder().path().join("notes.manifest")).unwrap();

    // The newer image alone can't open it, and says what is missing.
    let host = host.restart_with(&["--image", &images.new.path]);
    sign(&owner, NOTES, 2, &[&images.new], &[]);
    let refused = deploy(&owner, &host, "lost\n");
    refused
        .failed_with(1, &format!("sealed to another image, MRENCLAVE {}", images.old.measurement));
    assert!(refused.err.contains("[handover] from = ["), "{refused:?}");
    sign(&owner, NOTES, 2, &[&images.old, &images.new], &[]);
    let refused = deploy(&owner, &host, "lost\n");
    refused.failed_with(1, "sealed to another image");
    assert!(refused.err.contains("--from FILE"), "{refused:?}");

    let host = host.restart_with(&images.both());
    deploy(&owner, &host, "two\n").printed("one\ntwo\n");
    // From now on the older image is not needed any more,
    let host = host.restart_with(&["--image", &images.new.path]);
    deploy(&owner, &host, "three\n").printed("one\ntwo\nthree\n");
    // and does not open it any more, under no version.
    let host = host.restart_with(&["--image", &images.old.path]);
    fs::write(owner.0.folder().path().join("notes.manifest"), &first).unwrap();
    deploy(&owner, &host, "lost\n").failed_with(1, "version 2 of the manifest has opened it");
    sign(&owner, NOTES, 3, &[&images.old], &[]);
    let sealed = format!("sealed to another image, MRENCLAVE {}", images.new.measurement);
    deploy(&owner, &host, "lost\n").failed_with(1, &sealed);
    drop(host);
}

#[test]
fn a_version_that_was_followed_by_a_newer_one_is_refused_also_after_a_restart() {
    let images = Images::new();
    let owner = Deployer::new();
    let options = ["--image", &images.old.path];
    let host = Host::start(&options);
    sign(&owner, NOTES, 1, &[&images.old], &[]);
    deploy(&owner, &host, "one\n").printed("one\n");
    let path = owner.0.folder().path().join("notes.manifest");
    let first = fs::read(&path).unwrap();
    // A program that only reads withdraws what could write.
    sign(&owner, READER, 7, &[&images.old], &["--read-only"]);
    deploy(&owner, &host, "").printed("one\n");
    deploy(&owner, &host, "").printed("one\n");
    fs::write(&path, &first).unwrap();
    let withdrawn = |host: &Host| {
        owner.0.folder().file("notes.wat", NOTES);
        let refused = deploy(&owner, host, "lost\n");
        refused.failed_with(1, "version 7 of the manifest has opened it, and this is version 1");
        assert!(refused.err.contains("deploy version 7 of the manifest, or a newer one"));
    };
    withdrawn(&host);
    let host = host.restart_with(&options);
    withdrawn(&host);
    // Version and data go back together, and not one without the other.
    let volumes = host.state.path().join("volumes");
    let volume = fs::read_dir(&volumes).unwrap().next().unwrap().unwrap().path();
    let newest = fs::read(&volume).unwrap();
    sign(&owner, NOTES, 8, &[&images.old], &[]);
    deploy(&owner, &host, "two\n").printed("one\ntwo\n");
    fs::write(&path, &first).unwrap();
    let mut mixed = fs::read(&volume).unwrap();
    mixed[..8192].copy_from_slice(&newest[..8192]);
    fs::write(&volume, &mixed).unwrap();
    assert_eq!(deploy(&owner, &host, "lost\n").code, Some(1));
    fs::write(&volume, &newest).unwrap();
    sign(&owner, NOTES, 7, &[&images.old], &[]);
    deploy(&owner, &host, "three\n").printed("one\nthree\n");
}

/// Lets the host start the deployment again, from the older image or the newer one.
fn keep(owner: &Deployer, images: &Images, allowed: bool) {
    owner.0.edit("notes", "# restart = \"always\"", "restart = \"always\"");
    if allowed {
        let newer = format!("[[images]]\nmeasurement = \"{}\"\n\n[access]", images.new.measurement);
        owner.0.edit("notes", "[access]", &newer);
        let from = format!("[handover]\nfrom = [\"{}\"]", images.old.measurement);
        owner.0.edit("notes", "# [handover]\n# from = [\"<MRENCLAVE>\"]", &from);
    }
    owner.0.sign("notes");
}

#[test]
fn a_deployment_that_may_start_again_moves_by_itself_if_its_manifest_allows_both_images() {
    let images = Images::new();
    let owner = Deployer::new();
    let host = Host::start(&["--image", &images.old.path]);
    sign(&owner, NOTES, 1, &[&images.old], &["--secret", "TOKEN"]);
    keep(&owner, &images, true);
    owner.deploy(&host, "notes", &["--detach", "--secret", "TOKEN=x"], b"").printed("");
    owner.wait(&host, "notes", "running");

    let host = host.restart_with(&images.both());
    owner.wait(&host, "notes", "running");
    assert!(host.log().contains("/notes: resumed\n"), "{}", host.log());
    let attach = ["attach", "--quiet", "notes.manifest", "--at", &host.address];
    let attached = run_with_input(&mut owner.command(&attach), b"moved\n");
    attached.printed("moved\n");
    owner.wait(&host, "notes", "exited (0)");
}

#[test]
fn a_deployment_that_moved_does_so_once() {
    let images = Images::new();
    let owner = Deployer::new();
    let host = Host::start(&["--image", &images.old.path]);
    sign(&owner, NOTES, 1, &[&images.old], &[]);
    keep(&owner, &images, true);
    owner.deploy(&host, "notes", &["--detach"], b"").printed("");
    owner.wait(&host, "notes", "running");
    // Killed while it runs there, it is started again without the older image.
    let host = host.restart_with(&images.both());
    owner.wait(&host, "notes", "running");
    let host = host.restart_with(&["--image", &images.new.path]);
    owner.wait(&host, "notes", "running");
    let attach = ["attach", "--quiet", "notes.manifest", "--at", &host.address];
    run_with_input(&mut owner.command(&attach), b"moved\n").printed("moved\n");
}

#[test]
fn a_deployment_whose_manifest_names_one_image_waits_for_its_owner() {
    let images = Images::new();
    let owner = Deployer::new();
    let host = Host::start(&["--image", &images.old.path]);
    sign(&owner, NOTES, 1, &[&images.old], &[]);
    keep(&owner, &images, false);
    owner.deploy(&host, "notes", &["--detach"], b"").printed("");
    owner.wait(&host, "notes", "running");

    let host = host.restart_with(&["--image", &images.new.path]);
    sign(&owner, NOTES, 2, &[&images.old, &images.new], &[]);
    let waits = "waits for its owner to deploy it here: that image is not given: --from";
    assert!(owner.manage(&host, "ps", "notes", &[]).code == Some(0));
    assert!(host.log().contains(waits), "{}", host.log());
    let host = host.restart_with(&images.both());
    let shown = owner.manage(&host, "ps", "notes", &[]);
    assert_eq!(shown.out.lines().count(), 1, "{shown:?}");
    let log = host.log();
    assert!(log.contains("hands nothing over: the manifest does not allow this image"), "{log}");
    assert!(log.contains("that image does not hand it over"), "{log}");
    deploy(&owner, &host, "by its owner\n").printed("by its owner\n");
}

#[test]
fn after_an_update_of_the_microcode_deployments_resume_and_their_records_are_renewed() {
    let at_version = |version: &str, state: Folder| {
        let mut command = twine();
        command.env("SGX_SIM_SECURITY_VERSION", version);
        Host::of(command, state, &[])
    };
    let owner = Deployer::new();
    owner.program("notes", NOTES, &["--dir", "::/data", "--secret", "TOKEN"]);
    owner.0.edit("notes", "# restart = \"always\"", "restart = \"always\"");
    owner.0.sign("notes");
    let host = at_version("1", Folder::new());
    owner.deploy(&host, "notes", &["--detach", "--secret", "TOKEN=x"], b"").printed("");
    owner.wait(&host, "notes", "running");
    let host = at_version("2", host.kill());
    owner.wait(&host, "notes", "running");
    assert!(host.log().contains("/notes: resumed\n"), "{}", host.log());
    // What is kept is of the newer microcode now.
    let host = at_version("1", host.kill());
    assert_eq!(owner.manage(&host, "ps", "notes", &[]).out.lines().count(), 1);
    let log = host.log();
    assert!(log.contains("can't be read: it was sealed on a CPU with newer firmware"), "{log}");
    let host = at_version("2", host.kill());
    owner.wait(&host, "notes", "running");
    let attach = ["attach", "--quiet", "notes.manifest", "--at", &host.address];
    run_with_input(&mut owner.command(&attach), b"still here\n").printed("still here\n");
}

#[test]
fn a_database_elsewhere_moves_with_its_owner() {
    let images = Images::new();
    let owner = Deployer::new();
    let sqlite = |host: &Host, options: &[&str], sql: &str| {
        let mut command = twine();
        command.current_dir(owner.0.folder().path()).args(["sqlite", "--at", &host.address]);
        command.args(["--simulation", "--owner-key", "owner.pem", "--quiet"]).args(options);
        run(command.args(["notes", sql]))
    };
    let host = Host::start(&["--image", &images.old.path]);
    let old = ["--host-image", &images.old.path];
    sqlite(&host, &old, "CREATE TABLE t(x); INSERT INTO t VALUES('kept');").printed("");
    let host = host.restart_with(&images.both());
    let new = ["--host-image", &images.new.path];
    let refused = sqlite(&host, &new, "SELECT x FROM t");
    refused.failed_with(1, "sealed to another image");
    let from = ["--from", &images.old.measurement];
    sqlite(&host, &[new, from].concat(), "SELECT x FROM t").printed("kept\n");
    sqlite(&host, &new, "SELECT x FROM t").printed("kept\n");
    let wrong = sqlite(&host, &["--from", "00"], "");
    assert!(wrong.code == Some(2) && wrong.err.contains("64 hexadecimal digits"), "{wrong:?}");
}

#[test]
fn a_run_under_a_manifest_takes_its_volume_over_too() {
    let images = Images::new();
    let owner = common::owner::Owner::new("p256");
    owner.folder().file("notes.wat", NOTES);
    let sign = |version: u32, image: &Image, from: Option<&Image>| {
        let streams = ["--stream", "stdin", "--stream", "stdout"];
        let options = [&streams[..], &["--dir", "::/data", "--image", &image.path]].concat();
        owner.init("notes", "notes.wat", &options, &[]);
        owner.edit("notes", "version = 1", &format!("version = {version}"));
        if let Some(old) = from {
            let from = format!("[handover]\nfrom = [\"{}\"]", old.measurement);
            owner.edit("notes", "# [handover]\n# from = [\"<MRENCLAVE>\"]", &from);
        }
        owner.sign("notes");
    };
    let notes = |image: &Image, options: &[&str], line: &str| {
        let mut command = twine();
        command.current_dir(owner.folder().path()).args(["run", "--quiet", "--manifest"]);
        command.args(["notes.manifest", "--image", &image.path, "--dir", "v.vol::/data"]);
        run_with_input(command.args(options).arg("notes.wat"), line.as_bytes())
    };
    sign(1, &images.old, None);
    notes(&images.old, &[], "one\n").printed("one\n");
    sign(2, &images.new, Some(&images.old));
    notes(&images.new, &[], "lost\n").failed_with(1, "sealed to another image");
    notes(&images.new, &["--from", &images.old.path], "two\n").printed("one\ntwo\n");
    notes(&images.new, &[], "three\n").printed("one\ntwo\nthree\n");
    let alone = run(twine().args(["run", "--from", &images.old.path, "notes.wat"]));
    assert_eq!(alone.code, Some(2), "{alone:?}");
}
