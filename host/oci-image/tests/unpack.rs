//! The files of an image are those that a container would have.

mod common;

use common::*;
use serde_json::json;
use std::io::Read;
use twine_oci_image::Error;

fn found(layers: &[Vec<Entry>]) -> Vec<String> {
    tree(unpack(layers).unwrap().folder())
}

/// Puts an image of one layer into a folder: of this media type, with these bytes.
fn unpack_bytes(kind: &str, stored: &[u8], archive: &[u8]) -> Result<Vec<String>, Error> {
    let mut store = Store::new();
    let layer = store.blob(kind, stored);
    let manifest = store.manifest(("wasi", "wasm"), &[layer], &[digest(archive)]);
    store.add("", manifest);
    store.find(None)?.unpack().map(|files| tree(files.folder()))
}

#[test]
fn a_layer_may_be_compressed_by_gzip() {
    let archive = archive(&[file("a", "1"), folder("d/"), file("d/b", "2")]);
    let expected = ["a=1", "d/", "d/b=2"];
    assert_eq!(unpack_bytes(TAR, &archive, &archive).unwrap(), expected);
    assert_eq!(unpack_bytes(GZIP, &gzip(&archive), &archive).unwrap(), expected);
}

#[test]
fn a_layer_may_be_compressed_in_parts() {
    let archive = archive(&[file("a", "1"), file("b", "2")]);
    let stored = [gzip(&archive[..512]), gzip(&archive[512..])].concat();
    assert_eq!(unpack_bytes(GZIP, &stored, &archive).unwrap(), ["a=1", "b=2"]);
}

#[test]
fn an_archive_may_lack_its_end() {
    let whole = archive(&[file("a", "1"), file("b", "22")]);
    for length in [1536 + 2, 1536 + 512, 1536 + 600, 1536 + 1024] {
        let archive = &whole[..length];
        assert_eq!(unpack_bytes(TAR, archive, archive).unwrap(), ["a=1", "b=22"]);
    }
    for length in [100, 1536 - 512 + 100, 1536] {
        let archive = &whole[..length];
        assert!(matches!(unpack_bytes(TAR, archive, archive), Err(Error::Damaged { .. })));
    }
    assert!(unpack_bytes(TAR, b"", b"").unwrap().is_empty());
}

#[test]
fn a_compression_that_is_not_known_is_named_with_what_to_do() {
    let archive = archive(&[file("a", "1")]);
    let kind = format!("{TAR}+zstd");
    let error = unpack_bytes(&kind, &archive, &archive).unwrap_err();
    assert!(error.to_string().contains(&kind) && error.remedy().contains("gzip"), "{error}");
}

#[test]
fn a_whiteout_removes_what_lower_layers_have() {
    let below = vec![file("a", "1"), folder("d"), file("d/x", "2"), file("d/y", "3")];
    let gone = |path: &str| found(&[archive_of(&below), vec![file(path, "")]]);
    assert_eq!(gone(".wh.a"), ["d/", "d/x=2", "d/y=3"]);
    assert_eq!(gone("d/.wh.x"), ["a=1", "d/", "d/y=3"]);
    assert_eq!(gone(".wh.d"), ["a=1"]);
    assert_eq!(gone("./d/.wh.y"), ["a=1", "d/", "d/x=2"]);
    for nothing in [".wh.none", "none/.wh.a", "a/.wh.x", "d/.wh.x.y"] {
        assert_eq!(gone(nothing), ["a=1", "d/", "d/x=2", "d/y=3"], "{nothing}");
    }
}

/// The same entries again.
fn archive_of(entries: &[Entry]) -> Vec<Entry> {
    entries.iter().map(Entry::again).collect()
}

#[test]
fn a_whiteout_leaves_what_its_own_layer_has() {
    let below = vec![file("a", "old"), folder("d"), file("d/x", "old"), file("d/y", "old")];
    let own = || vec![file("a", "new"), file("d/sub/z", "new"), file("d/x", "new")];
    for whiteouts in [
        vec![file(".wh.a", ""), file(".wh.d", "")],
        vec![file(".wh.a", ""), file("d/.wh..wh..opq", "")],
        vec![file(".wh..wh..opq", "")],
    ] {
        let expected = ["a=new", "d/", "d/sub/", "d/sub/z=new", "d/x=new"];
        let first = whiteouts.iter().map(Entry::again).chain(own()).collect();
        assert_eq!(found(&[archive_of(&below), first]), expected);
        let last = own().into_iter().chain(whiteouts).collect();
        assert_eq!(found(&[archive_of(&below), last]), expected);
    }
}

#[test]
fn a_whiteout_that_names_no_file_is_damage() {
    for path in ["d/.wh.", "d/.wh..", "d/.wh...", ".wh."] {
        let error = unpack(&[vec![file("d/x", "1")], vec![file(path, "")]]).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
}

#[test]
fn links_lead_to_files_of_the_image() {
    let files = unpack(&[vec![
        folder("d"),
        file("d/a", "1"),
        symlink("absolute", "/d/a"),
        symlink("relative", "d/a"),
        symlink("up", "../../d/a"),
        link("hard", "d/a"),
        link("hard2", "/hard"),
        link("hard3", "./d/a"),
        symlink("dangling", "nothing"),
        link("of-a-link", "dangling"),
    ]])
    .unwrap();
    for path in ["/d/a", "/absolute", "/relative", "/up", "/hard", "/hard2", "/hard3", "d/../up"] {
        let mut text = String::new();
        files.open(path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "1", "{path}");
    }
    assert!(files.open("/dangling").is_err() && files.open("/of-a-link").is_err());
}

#[test]
fn a_path_through_a_link_leads_into_the_image() {
    let run = || vec![folder("run"), folder("var"), symlink("var/run", "/run")];
    assert_eq!(
        found(&[run(), vec![file("var/run/a", "1"), file("run/b", "2")]]),
        ["run/", "run/a=1", "run/b=2", "var/", "var/run->/run"]
    );
    assert_eq!(
        found(&[run(), vec![file("run/b", "2")], vec![file("var/run/.wh.b", "")]]),
        ["run/", "var/", "var/run->/run"]
    );
    let opaque = vec![file("var/run/a", "1"), file("run/.wh..wh..opq", "")];
    assert_eq!(
        found(&[run(), vec![file("run/b", "2")], opaque]),
        ["run/", "run/a=1", "var/", "var/run->/run"]
    );
}

#[test]
fn a_later_layer_replaces_files_by_folders_and_back() {
    let first = || vec![file("a", "1"), folder("d"), file("d/x", "2"), symlink("l", "d")];
    assert_eq!(
        found(&[first(), vec![folder("a"), file("a/y", "3"), file("d", "4"), folder("l")]]),
        ["a/", "a/y=3", "d=4", "l/"]
    );
    assert_eq!(
        found(&[first(), vec![symlink("d", "a"), link("l", "a"), file("a", "5")]]),
        ["a=5", "d->a", "l=1"]
    );
    // A folder that is there stays as it is.
    assert_eq!(found(&[first(), vec![folder("d"), folder("./")]]).len(), 4);
}

#[test]
fn a_file_that_is_written_again_leaves_its_other_name_alone() {
    let layers = [vec![file("a", "1"), link("b", "a")], vec![file("a", "2")]];
    assert_eq!(found(&layers), ["a=2", "b=1"]);
}

#[test]
fn modes_of_the_image_do_not_keep_its_files_from_anybody() {
    let files = unpack(&[vec![
        folder("d").mode(0),
        file("d/a", "1").mode(0),
        folder("./").mode(0),
        file("setuid", "2").mode(0o6755),
    ]])
    .unwrap();
    use std::os::unix::fs::PermissionsExt;
    for (path, mode) in [("d", 0o700), ("d/a", 0o600), ("setuid", 0o600), ("", 0o700)] {
        let found = files.folder().join(path).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(found & mode, mode, "{path}");
        assert_eq!(found & 0o7000, 0, "{path}");
    }
}

#[test]
fn sparse_files_have_their_holes() {
    // The old format of GNU: one piece of 512 bytes at 1024, and a size of 2048.
    let mut header = tar::Header::new_gnu();
    header.set_path("sparse").unwrap();
    header.set_mode(0o644);
    header.set_size(512);
    header.set_entry_type(tar::EntryType::GNUSparse);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.sparse[0].set_offset(1024);
    gnu.sparse[0].set_length(512);
    gnu.sparse[1].set_offset(2048);
    gnu.sparse[1].set_length(0);
    gnu.set_real_size(2048);
    header.set_cksum();
    let archive = [header.as_bytes(), &[b'x'; 512][..], &[0; 1024]].concat();
    let expected = [vec![0; 1024], vec![b'x'; 512], vec![0; 512]].concat();
    let expected = format!("sparse={}", String::from_utf8(expected).unwrap());
    assert_eq!(unpack_bytes(TAR, &archive, &archive).unwrap(), [expected]);
}

#[test]
fn a_program_alone_is_told_from_one_with_files() {
    let alone = |entries| unpack(&[entries]).unwrap().has_other_files("/bin/app").unwrap();
    assert!(!alone(vec![folder("bin"), file("bin/app", "1")]));
    assert!(alone(vec![folder("bin"), file("bin/app", "1"), folder("data")]));
    assert!(alone(vec![file("bin/app", "1"), file("bin/other", "2")]));
    assert!(alone(vec![symlink("bin/app", "/app"), file("app", "1")]));
}

#[test]
fn an_artifact_has_one_file() {
    let mut store = Store::new();
    let kind = "application/vnd.wasm.config.v0+json";
    let config = store.json(kind, &json!({ "architecture": "wasm", "os": "wasip1" }));
    let layer = store.blob("application/wasm", PROGRAM);
    let manifest = |layers: &[serde_json::Value]| {
        store.json(MANIFEST, &json!({ "schemaVersion": 2, "config": config, "layers": layers }))
    };
    let mut component = layer.clone();
    component["mediaType"] = json!("application/vnd.other");
    let (one, two, other) = (
        manifest(std::slice::from_ref(&layer)),
        manifest(&[layer.clone(), layer.clone()]),
        manifest(&[component]),
    );
    for (name, manifest) in [("one", one), ("two", two), ("other", other)] {
        store.add(name, manifest);
    }
    let unpack = |name| store.find(Some(name)).unwrap().unpack();
    let files = unpack("one").unwrap();
    let name = store.find(Some("one")).unwrap().command(true).unwrap().remove(0);
    let mut bytes = Vec::new();
    files.open(&name).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, PROGRAM);
    assert!(!files.has_other_files(&name).unwrap());
    assert!(matches!(unpack("two"), Err(Error::Unsupported { .. })));
    assert!(unpack("other").unwrap_err().to_string().contains("application/vnd.other"));
    // An artifact of another program under the digest of this one.
    std::fs::write(store.file(&digest(PROGRAM)), b"\0asm\x01\0\0\x01").unwrap();
    assert!(matches!(unpack("one"), Err(Error::Damaged { .. })));
}
