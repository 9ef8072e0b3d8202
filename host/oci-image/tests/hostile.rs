//! No image writes, reads or removes anything outside of its temporary folder, and none leaves that
//! folder behind. Another process opens each image, so that its temporary folder is its own.

mod common;

use common::*;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use twine_oci_image::Layout;

/// The environment variable with the folder of the layout, for the other process.
const LAYOUT: &str = "TWINE_TEST_LAYOUT";

/// A user who may read and write what others may.
const NOBODY: u32 = 65534;

#[test]
#[ignore = "the other tests start it"]
fn unpack_for_another_test() {
    let Some(layout) = env::var_os(LAYOUT) else { return };
    let image = Layout::open(Path::new(&layout)).and_then(|layout| layout.find(None)).unwrap();
    match image.unpack() {
        Ok(files) => println!("unpacked: {}", tree(files.folder()).join(" ")),
        Err(error) => println!("refused: {error}"),
    }
}

/// What the image of these archives becomes: `unpacked: TREE` or `refused: MESSAGE`. The archives
/// get the path of a folder that is not theirs.
fn result(archives: &[Vec<u8>], world: &World) -> Vec<String> {
    let mut store = Store::new();
    let manifest = store.image(archives);
    store.add("", manifest);
    open(store.path());
    let users: &[Option<u32>] =
        if rustix::process::geteuid().is_root() { &[None, Some(NOBODY)] } else { &[None] };
    let run = |user: &Option<u32>| {
        let before = tree(world.folder.path());
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["unpack_for_another_test", "--exact", "--ignored", "--nocapture"]);
        command.env("TMPDIR", world.folder.path().join("tmp")).env(LAYOUT, store.path());
        if let Some(user) = user {
            command.uid(*user);
        }
        let output = match command.output() {
            // The other user may not start this test: it is in a folder of this user.
            Err(error) if user.is_some() && error.kind() == ErrorKind::PermissionDenied => {
                return None;
            }
            output => output.unwrap(),
        };
        assert!(output.status.success(), "{output:?}");
        assert_eq!(tree(world.folder.path()), before);
        let text = String::from_utf8(output.stdout).unwrap();
        let result = text.lines().find_map(|line| {
            line.find("unpacked: ")
                .or_else(|| line.find("refused: "))
                .map(|at| line[at..].to_owned())
        });
        Some(result.unwrap())
    };
    users.iter().filter_map(run).collect()
}

fn open(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
}

/// A folder with the temporary folder `tmp`, and a secret beside it.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["tmp", "outside"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            open(&folder.path().join(name));
        }
        open(folder.path());
        fs::write(folder.path().join("outside/secret"), "secret").unwrap();
        open(&folder.path().join("outside/secret"));
        World { folder }
    }

    /// The path of the folder that no image may touch.
    fn outside(&self) -> String {
        self.folder.path().join("outside").to_str().unwrap().into()
    }
}

#[track_caller]
fn refused(layers: &[Vec<Entry>], world: &World) {
    let archives: Vec<_> = layers.iter().map(|entries| archive(entries)).collect();
    for result in result(&archives, world) {
        assert!(result.starts_with("refused: ") && result.contains("is damaged"), "{result}");
    }
}

#[track_caller]
fn unpacked(layers: &[Vec<Entry>], world: &World, expected: &str) {
    let archives: Vec<_> = layers.iter().map(|entries| archive(entries)).collect();
    for result in result(&archives, world) {
        assert_eq!(result, format!("unpacked: {expected}"));
    }
}

#[test]
fn paths_lead_into_the_image() {
    let world = World::new();
    let outside = world.outside();
    for path in ["../x", "a/../../x", "../../outside/secret", "..", "a/..", "/../x", "../.wh.x"] {
        refused(&[vec![file(path, "x")]], &world);
        refused(&[vec![folder(path)]], &world);
        refused(&[vec![symlink(path, &outside)]], &world);
    }
    unpacked(&[vec![file("//x", "1"), file("/./y", "2")]], &world, "x=1 y=2");
    let inside = file(&format!("{outside}/secret"), "x");
    for result in result(&[archive(&[inside])], &world) {
        assert!(result.ends_with("/outside/secret=x"), "{result}");
    }
}

#[test]
fn links_lead_into_the_image() {
    let world = World::new();
    let outside = world.outside();
    let secret = format!("{outside}/secret");
    for target in [&outside[..], "../../outside", "/proc/self/root/", "/proc/self/cwd", "s", "/s/x"]
    {
        refused(&[vec![symlink("s", target), file("s/secret", "x")]], &world);
        refused(&[vec![symlink("s", target), folder("s/secret/x")]], &world);
        refused(&[vec![symlink("s", target), link("l", "s/secret")]], &world);
        refused(&[vec![symlink("s", target)], vec![file("s/secret", "x")]], &world);
    }
    for target in ["/etc/passwd", &secret, "../../outside/secret", "/", ".", "", "l"] {
        refused(&[vec![link("l", target)]], &world);
    }
    unpacked(&[vec![symlink("s", "/"), file("s/etc/x", "1")]], &world, "etc/ etc/x=1 s->/");
    unpacked(&[vec![symlink("s", &secret), file("s", "x")]], &world, "s=x");
    unpacked(
        &[vec![symlink("s", &outside), folder("s"), file("s/secret", "x")]],
        &world,
        "s/ s/secret=x",
    );
    let of_link = vec![symlink("s", &secret), link("l", "s"), file("l", "x")];
    unpacked(&[of_link], &world, &format!("l=x s->{secret}"));
}

#[test]
fn whiteouts_remove_nothing_else() {
    let world = World::new();
    let outside = world.outside();
    for target in [&outside[..], "../../outside"] {
        for whiteout in ["s/.wh.secret", "s/.wh..wh..opq"] {
            let expected = format!("s->{target}");
            unpacked(&[vec![symlink("s", target)], vec![file(whiteout, "")]], &world, &expected);
        }
        unpacked(&[vec![symlink("s", target)], vec![file(".wh.s", "")]], &world, "");
        unpacked(&[vec![symlink("s", target)], vec![file(".wh..wh..opq", "")]], &world, "");
        let replaced = [vec![symlink("s", target)], vec![folder("s")]];
        unpacked(&replaced, &world, "s/");
    }
    for whiteout in [".wh...", ".wh..", ".wh.", "s/.wh...", "../.wh.outside"] {
        refused(&[vec![folder("s"), file(whiteout, "")]], &world);
    }
}

#[test]
fn devices_and_the_root_folder_are_left_out() {
    let world = World::new();
    let devices = [b'3', b'4', b'6'].map(|kind| other("device", kind)).into();
    unpacked(&[devices], &world, "");
    for path in [".", "./", "/", "//", ""] {
        let entries = vec![
            folder(path).mode(0),
            symlink(path, &world.outside()),
            file(path, "x"),
            link(path, "/etc/passwd"),
        ];
        unpacked(&[entries, vec![file("a", "1")]], &world, "a=1");
    }
}

#[test]
fn modes_do_not_keep_the_folder_from_being_removed() {
    let world = World::new();
    let entries = vec![
        folder("d").mode(0),
        file("d/a", "1").mode(0),
        folder("d/e").mode(0o555),
        file("d/e/b", "2"),
        folder(".").mode(0),
    ];
    unpacked(&[entries, vec![file("d/e/c", "3")]], &world, "d/ d/a=1 d/e/ d/e/b=2 d/e/c=3");
}

#[test]
fn sizes_that_are_not_true_are_damage() {
    let world = World::new();
    for size in [1 << 20, 1 << 40, i64::MAX as u64, u64::MAX - 511, u64::MAX] {
        refused(&[vec![file("a", "").claims(size)]], &world);
        for kind in [b'L', b'K', b'x', b'g', b'S'] {
            refused(&[vec![other("a", kind).claims(size), file("b", "1")]], &world);
        }
    }
}

#[test]
fn names_do_not_fill_the_memory() {
    let world = World::new();
    let long = "a".repeat(2 << 20);
    for kind in [b'L', b'K', b'x'] {
        let mut header = other("a", kind);
        header.set_contents(&long);
        for result in result(&[archive(&[header, file("b", "1")])], &world) {
            assert!(
                result.contains("the names of a file have more than 1048576 bytes"),
                "{result}"
            );
        }
    }
    // The contents of files, also of those that are left out, are no names.
    let contents = || {
        let mut entries = vec![other("device", b'3'), file(".", ""), file(".wh.x", "")];
        entries.iter_mut().for_each(|entry| entry.set_contents(&long));
        entries
    };
    unpacked(&[contents()], &world, "");
}

#[test]
fn names_are_not_longer_or_deeper_than_folders_can_be_removed() {
    let world = World::new();
    for depth in [257, 1000, 2000, 100_000] {
        let path = "a/".repeat(depth);
        refused(&[vec![file(&format!("{path}x"), "1")]], &world);
        refused(&[vec![folder(&path)]], &world);
        refused(&[vec![link(&format!("{path}x"), &path)]], &world);
    }
    refused(&[vec![file(&"a".repeat(256), "1")]], &world);
    refused(&[vec![symlink("a", &"a".repeat(5000))]], &world);
    // Each layer goes deeper by way of a link.
    let path = "a/".repeat(200);
    let deeper = vec![folder(&path), symlink("s", &path), folder(&format!("s/{path}"))];
    refused(&[deeper], &world);
    unpacked(&[vec![file("a/b/c", "1")]], &world, "a/ a/b/ a/b/c=1");
}

#[test]
fn what_is_no_archive_is_damage() {
    let world = World::new();
    for bytes in [vec![1; 512], vec![0xff; 4096], b"hello".to_vec(), vec![1; 511]] {
        for result in result(&[bytes], &world) {
            assert!(result.starts_with("refused: "), "{result}");
        }
    }
    // Names of PAX, which replace that of the header.
    let record = |name: &str, value: &str| {
        let length = name.len() + value.len() + 3;
        let length = length + (length + 2).to_string().len();
        format!("{length} {name}={value}\n")
    };
    for value in ["../../outside/secret", "..", "a\0b"] {
        let mut header = other("x", b'x');
        header.set_contents(&record("path", value));
        refused(&[vec![header, file("a", "1")]], &world);
    }
    let mut header = other("x", b'x');
    header.set_contents(&record("linkpath", "/etc/passwd"));
    refused(&[vec![header, link("a", "b")]], &world);
}
