//! `twine volume`, as a user types it: with the real command and the real image.

mod common;

use common::{Ended, Folder, run, run_with_input, twine};
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A folder with a key file, and volumes in it.
struct Desk {
    folder: Folder,
}

impl Desk {
    fn new() -> Self {
        let folder = Folder::new();
        folder.file("key", [7; 32]);
        folder.file("other-key", [8; 32]);
        Desk { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Returns `twine volume` in the folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = twine();
        command.arg("volume").args(arguments).arg("--quiet").current_dir(self.folder.path());
        command
    }

    fn volume(&self, arguments: &[&str]) -> Ended {
        run(&mut self.command(arguments))
    }

    /// Runs the same with the key file.
    fn keyed(&self, arguments: &[&str]) -> Ended {
        run(self.command(arguments).args(["--key", "file:key"]))
    }

    /// Returns a desk with a volume `my.vol` that the key file opens.
    fn with_volume() -> Self {
        let desk = Desk::new();
        desk.keyed(&["create", "my.vol"]).printed("");
        desk
    }
}

/// A name and contents that occur nowhere else.
const NAME: &str = "gondolier-manifest";
const SECRET: &[u8] = b"the seventh gondolier leaves at dawn";

fn large() -> Vec<u8> {
    (0..5_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Creates a tree with all kinds of files.
fn plant(top: &Path) {
    fs::create_dir_all(top.join("a/b/c")).unwrap();
    fs::create_dir_all(top.join("empty")).unwrap();
    fs::write(top.join("nothing"), b"").unwrap();
    fs::write(top.join("a").join(NAME), SECRET.repeat(100)).unwrap();
    fs::write(top.join("a/b/large"), large()).unwrap();
    fs::write(top.join("a/b/c/ünï cödé\n"), b"line\n").unwrap();
    symlink("../a/b", top.join("a/link")).unwrap();
    symlink("/nowhere", top.join("dangling")).unwrap();
    fs::hard_link(top.join("a").join(NAME), top.join("a/b/same")).unwrap();
    let sparse = fs::File::create(top.join("sparse")).unwrap();
    sparse.write_all_at(b"end", 64 << 20).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    for (path, mode) in [("a/b/large", 0o600), ("nothing", 0o666), ("a/b/c", 0o700), ("a/b", 0o750)]
    {
        fs::set_permissions(top.join(path), Permissions::from_mode(mode)).unwrap();
    }
    for path in ["a/b/large", "sparse", "a/b", "a"] {
        fs::File::open(top.join(path)).unwrap().set_modified(time).unwrap();
    }
}

/// Returns every path below, with its properties to compare.
fn all(top: &Path) -> Vec<(PathBuf, String, Vec<u8>, Option<SystemTime>)> {
    let mut found = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let (kind, contents) = if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                ("link", target.into_os_string().into_encoded_bytes())
            } else if metadata.is_dir() {
                folders.push(path.clone());
                ("folder", Vec::new())
            } else {
                ("file", fs::read(&path).unwrap())
            };
            let what = format!(
                "{kind} with {} names, mode {:o}",
                if kind == "folder" { 1 } else { metadata.nlink() },
                metadata.mode(),
            );
            // Only some systems can set the time of links.
            let time = (kind != "link").then(|| metadata.modified().unwrap());
            found.push((path.strip_prefix(top).unwrap().to_owned(), what, contents, time));
        }
    }
    found.sort();
    found
}

fn holds(path: &Path, what: &[u8]) -> bool {
    fs::read(path).unwrap().windows(what.len()).any(|window| window == what)
}

#[test]
fn a_tree_is_copied_in_and_out_byte_for_byte_and_stays_secret() {
    let desk = Desk::with_volume();
    plant(&desk.path("tree"));
    desk.keyed(&["cp", "-r", "tree", "my.vol::"]).printed("");
    desk.keyed(&["cp", "-r", "my.vol::/tree", "back"]).printed("");
    assert!(all(&desk.path("tree")) == all(&desk.path("back")));
    let (sparse, back) = (desk.path("tree/sparse"), desk.path("back/sparse"));
    assert_eq!(fs::metadata(&back).unwrap().len(), fs::metadata(&sparse).unwrap().len());
    assert!(fs::metadata(&back).unwrap().blocks() < 1000, "a hole stays a hole");
    let volume = desk.path("my.vol");
    assert!(fs::metadata(&volume).unwrap().len() < 20 << 20);
    for hidden in [NAME.as_bytes(), SECRET, b"nowhere", &large()[..32], "ünï".as_bytes()] {
        assert!(!holds(&volume, hidden), "{}", String::from_utf8_lossy(hidden));
    }
    let check = desk.keyed(&["check", "my.vol"]);
    assert_eq!(check.code, Some(0), "{check:?}");
}

#[test]
fn files_are_listed_printed_moved_and_removed() {
    let desk = Desk::with_volume();
    desk.folder.file("one", "1\n");
    desk.folder.file("two", "2\n");
    for name in ["one", "two"] {
        fs::set_permissions(desk.path(name), Permissions::from_mode(0o644)).unwrap();
    }
    desk.keyed(&["mkdir", "-p", "my.vol", "a/b", "c"]).printed("");
    desk.keyed(&["cp", "one", "two", "my.vol::a"]).printed("");
    desk.keyed(&["cp", "my.vol::a/one", "my.vol::c/three"]).printed("");
    desk.keyed(&["ls", "my.vol"]).printed("a\nc\n");
    desk.keyed(&["ls", "my.vol", "/a"]).printed("b\none\ntwo\n");
    desk.keyed(&["ls", "my.vol::a"]).printed("b\none\ntwo\n");
    desk.keyed(&["cat", "my.vol", "a/two", "c/three"]).printed("2\n1\n");
    desk.keyed(&["mv", "my.vol", "a/one", "c/three", "a/b"]).printed("");
    desk.keyed(&["tree", "my.vol"]).printed(
        "/\n├── a\n│   ├── b\n│   │   ├── one\n│   │   └── three\n│   └── two\n└── c\n\n\
         3 directories, 3 files\n",
    );
    let long = desk.keyed(&["ls", "-l", "my.vol", "a/b"]).out;
    let start = |line: &str| line.starts_with("-rw-r--r--   1              2 20");
    assert!(long.lines().count() == 2 && long.lines().all(start), "{long}");
    let json = desk.keyed(&["ls", "--json", "my.vol", "a"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["kind"], &json[1]["size"]), (&"directory".into(), &2.into()));
    let tree = desk.keyed(&["tree", "--json", "my.vol"]).out;
    let tree: serde_json::Value = serde_json::from_str(&tree).unwrap();
    assert_eq!(tree["contents"][0]["contents"][1], json[1]);
    assert_eq!(tree["contents"][0]["contents"][0]["contents"][1]["name"], "three");
    let compacted = desk.keyed(&["compact", "--json", "my.vol"]).out;
    let compacted: serde_json::Value = serde_json::from_str(&compacted).unwrap();
    let size = fs::metadata(desk.path("my.vol")).unwrap().len();
    assert_eq!(compacted["bytes_now"], size);
    desk.keyed(&["rm", "my.vol", "a"]).failed_with(1, "my.vol::a is a directory");
    desk.keyed(&["rm", "-r", "my.vol", "a", "c"]).printed("");
    desk.keyed(&["ls", "my.vol"]).printed("");
    desk.keyed(&["rm", "-f", "my.vol", "a"]).printed("");
}

#[test]
fn private_files_stay_private_when_copied_out() {
    let desk = Desk::new();
    fs::create_dir(desk.path("tree")).unwrap();
    let file = |name: &str, mode| {
        desk.folder.file(name, "x");
        fs::set_permissions(desk.path(name), Permissions::from_mode(mode)).unwrap();
    };
    let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().mode() & 0o7777;
    file("tree/secret", 0o600);
    file("tree/tool", 0o4755);
    fs::set_permissions(desk.path("tree"), Permissions::from_mode(0o700)).unwrap();
    desk.keyed(&["create", "my.vol", "--from", "tree"]).printed("");
    desk.keyed(&["cp", "-r", "my.vol::/", "out"]).printed("");
    // The owner is not stored.
    assert_eq!(["out", "out/secret", "out/tool"].map(mode), [0o700, 0o600, 0o755]);
    // This copies over a file that all users may read.
    file("open", 0o644);
    desk.keyed(&["cp", "my.vol::/secret", "open"]).printed("");
    assert_eq!(mode("open"), 0o600);
    // A source without a mode gives the mode of any new file.
    let input = run_with_input(
        desk.command(&["cp", "-", "my.vol::/new"]).args(["--key", "file:key"]),
        b"from a stream",
    );
    input.printed("");
    desk.keyed(&["cp", "my.vol::/new", "new"]).printed("");
    file("other", 0o600);
    desk.keyed(&["cp", "my.vol::/new", "other"]).printed("");
    fs::File::create_new(desk.path("any")).unwrap();
    assert_eq!((mode("new"), mode("other")), (mode("any"), 0o600));
    let long = desk.keyed(&["ls", "-l", "my.vol"]).out;
    let modes: Vec<&str> = long.lines().map(|line| &line[..10]).collect();
    assert_eq!(modes, ["-?????????", "-rw-------", "-rwxr-xr-x"]);
    let json = desk.keyed(&["ls", "--json", "my.vol"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["mode"], &json[1]["mode"]), (&serde_json::Value::Null, &"0600".into()));
}

#[test]
fn a_private_file_is_private_while_it_is_copied() {
    let desk = Desk::with_volume();
    desk.folder.file("secret", large().repeat(8));
    fs::set_permissions(desk.path("secret"), Permissions::from_mode(0o600)).unwrap();
    desk.keyed(&["cp", "secret", "my.vol::"]).printed("");
    let whole = fs::metadata(desk.path("secret")).unwrap().len();
    let out = desk.path("out");
    let mut seen = 0;
    while seen == 0 {
        let mut command = desk.command(&["cp", "my.vol::secret", "out", "--key", "file:key"]);
        let mut child = command.spawn().unwrap();
        while child.try_wait().unwrap().is_none() {
            let Ok(metadata) = fs::metadata(&out) else { continue };
            assert_eq!(metadata.mode() & 0o777, 0o600);
            seen += u32::from((1..whole).contains(&metadata.len()));
        }
        assert!(child.wait().unwrap().success());
        fs::remove_file(&out).unwrap();
    }
}

/// Reading so many bytes would take minutes.
#[test]
fn holes_of_any_size_stay_holes_in_both_directions() {
    const TIB: u64 = 1 << 40;
    let desk = Desk::with_volume();
    let sparse = fs::File::create(desk.path("sparse")).unwrap();
    sparse.write_all_at(b"middle", TIB / 2).unwrap();
    sparse.set_len(TIB).unwrap();
    desk.keyed(&["cp", "sparse", "my.vol::"]).printed("");
    desk.keyed(&["compact", "my.vol"]);
    desk.keyed(&["cp", "my.vol::/sparse", "back"]).printed("");
    let back = fs::File::open(desk.path("back")).unwrap();
    let mut bytes = [1; 8];
    back.read_exact_at(&mut bytes, TIB / 2).unwrap();
    assert_eq!(&bytes, b"middle\0\0");
    for name in ["my.vol", "back"] {
        let metadata = fs::metadata(desk.path(name)).unwrap();
        assert!(metadata.blocks() < 10_000, "{name} takes {} blocks", metadata.blocks());
    }
    assert_eq!(back.metadata().unwrap().len(), TIB);
}

#[test]
fn uncopyable_files_are_named_and_the_rest_is_copied() {
    let desk = Desk::with_volume();
    fs::create_dir(desk.path("tree")).unwrap();
    fs::write(desk.path("tree/file"), "").unwrap();
    let _listener = UnixListener::bind(desk.path("tree/socket")).unwrap();
    desk.keyed(&["cp", "-r", "tree", "my.vol::"]).failed_with(1, "tree/socket was not copied");
    desk.keyed(&["ls", "my.vol", "tree"]).printed("file\n");
    desk.keyed(&["create", "new.vol", "--from", "tree"]).failed_with(1, "tree/socket");
    desk.keyed(&["ls", "new.vol"]).printed("file\n");
    desk.keyed(&["cp", "tree/socket", "my.vol::"]).failed_with(1, "not supported");
}

#[test]
fn streams_go_in_and_come_out() {
    let desk = Desk::with_volume();
    let bytes = large();
    let mut copy = desk.command(&["cp", "-", "my.vol::piped", "--key", "file:key"]);
    run_with_input(&mut copy, &bytes).printed("");
    let out = desk.command(&["cp", "my.vol::piped", "-", "--key", "file:key"]).output().unwrap();
    assert!(out.stdout == bytes);
    let out = desk.command(&["cat", "my.vol", "piped", "--key", "file:key"]).output().unwrap();
    assert!(out.stdout == bytes);
}

#[test]
fn wrong_keys_and_passphrases_open_nothing_and_say_so() {
    let desk = Desk::with_volume();
    desk.volume(&["ls", "my.vol", "--key", "file:other-key"])
        .failed_with(1, "my.vol: this key file does not open it");
    desk.volume(&["ls", "my.vol"]).failed_with(1, "no sealing key opens it, only: key file");
    let passphrase = |word: &str, arguments: &[&str], key: &str| {
        run(desk.command(arguments).args([key, "passphrase:env:WORD"]).env("WORD", word))
    };
    passphrase("right", &["create", "secret.vol"], "--key").printed("");
    passphrase("right", &["ls", "secret.vol"], "--key").printed("");
    passphrase("wrong", &["ls", "secret.vol"], "--key")
        .failed_with(1, "secret.vol: this passphrase does not open it");
    passphrase("wrong", &["rm", "-r", "secret.vol", "x"], "--key")
        .failed_with(1, "this passphrase does not open it");
}

#[test]
fn missing_files_and_files_without_a_volume_are_reported() {
    let desk = Desk::with_volume();
    desk.folder.file("text", vec![b'x'; 100_000]);
    desk.folder.file("empty", b"");
    desk.keyed(&["ls", "text"]).failed_with(1, "text: this is not a volume");
    desk.keyed(&["ls", "empty"]).failed_with(1, "empty: this is not a volume");
    desk.keyed(&["ls", "no.vol"]).failed_with(1, "there is no volume no.vol");
    desk.keyed(&["ls", "."]).failed_with(1, "is a folder");
    desk.keyed(&["ls", "my.vol", "no/way"]).failed_with(1, "my.vol::no/way: no such file");
    desk.keyed(&["cat", "my.vol", "no"]).failed_with(1, "my.vol::no: no such file");
    desk.keyed(&["cp", "no", "my.vol::"]).failed_with(1, "no: No such file");
    desk.keyed(&["cp", "my.vol::no", "."]).failed_with(1, "my.vol::no: no such file");
    desk.keyed(&["cp", "text", "empty"]).failed_with(1, "no path in a volume");
    desk.keyed(&["cp", "my.vol::a", "other.vol::b"]).failed_with(1, "two volumes");
    desk.keyed(&["cat", "my.vol"]).failed_with(1, "no path");
}

#[test]
fn a_volume_in_use_says_by_whom() {
    let desk = Desk::with_volume();
    let file = fs::File::open(desk.path("my.vol")).unwrap();
    file.lock().unwrap();
    let ended = desk.keyed(&["rm", "my.vol", "x"]);
    ended.failed_with(1, "my.vol is in use by");
    assert!(ended.err.contains(&std::process::id().to_string()), "{ended:?}");
    file.unlock().unwrap();
    // Two readers can share the lock.
    file.lock_shared().unwrap();
    desk.keyed(&["ls", "my.vol"]).printed("");
    desk.keyed(&["mkdir", "my.vol", "x"]).failed_with(1, "in use");
}

#[test]
fn existing_files_are_never_overwritten() {
    let desk = Desk::with_volume();
    let before = fs::read(desk.path("my.vol")).unwrap();
    desk.keyed(&["create", "my.vol"]).failed_with(1, "my.vol already exists");
    desk.volume(&["export", "my.vol", "key", "--key", "file:key", "--new-key", "file:other-key"])
        .failed_with(1, "key already exists");
    assert!(fs::read(desk.path("my.vol")).unwrap() == before);
    desk.keyed(&["create", "no/my.vol"]).failed_with(1, "can't be opened");
    // A failure leaves nothing behind.
    desk.volume(&["create", "new.vol"]).failed_with(1, "has no key");
    desk.volume(&["create", "new.vol", "--key", "sealed"]).failed_with(1, "none was named");
    desk.keyed(&["create", "new.vol", "--from", "no"]).failed_with(1, "the folder no");
    let names: Vec<_> =
        fs::read_dir(desk.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_file_that_cannot_be_written_is_read() {
    let desk = Desk::with_volume();
    desk.folder.file("one", "1\n");
    desk.keyed(&["cp", "one", "my.vol::one"]).printed("");
    let permissions = |mode| {
        fs::set_permissions(desk.path("my.vol"), fs::Permissions::from_mode(mode)).unwrap();
    };
    permissions(0o444);
    desk.keyed(&["cat", "my.vol", "one"]).printed("1\n");
    desk.keyed(&["cp", "my.vol::one", "two"]).printed("");
    assert_eq!(fs::read(desk.path("two")).unwrap(), b"1\n");
    let check = desk.keyed(&["check", "my.vol"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    // Root can write to a read-only file; all other users get an error.
    if fs::OpenOptions::new().append(true).open(desk.path("my.vol")).is_err() {
        desk.keyed(&["rm", "my.vol", "one"]).failed_with(1, "can't be opened");
    }
    permissions(0o644);
}

#[test]
fn keys_are_added_listed_replaced_and_removed() {
    let desk = Desk::with_volume();
    desk.keyed(&["mkdir", "my.vol", "d"]).printed("");
    desk.keyed(&["key", "add", "my.vol", "--new-key", "file:other-key"]).printed("");
    desk.keyed(&["key", "add", "my.vol", "--new-key", "sealed:any-program"]).printed("");
    desk.keyed(&["key", "ls", "my.vol"]).printed(
        "  0  key file\n  1  key file\n  2  sealed to any program in its signer's images\n",
    );
    desk.volume(&["ls", "my.vol"]).printed("d\n");
    desk.keyed(&["key", "rm", "my.vol", "2"]).printed("");
    desk.volume(&["ls", "my.vol"]).failed_with(1, "no sealing key opens it");
    desk.volume(&[
        "key",
        "rotate",
        "my.vol",
        "0",
        "--key",
        "file:other-key",
        "--new-key",
        "sealed:any-program",
    ])
    .printed("");
    desk.keyed(&["ls", "my.vol"]).failed_with(1, "does not open it");
    desk.volume(&["key", "rm", "my.vol", "9"]).failed_with(1, "there is no such key slot");
    desk.volume(&["key", "rm", "my.vol", "1"]).printed("");
    desk.volume(&["key", "rm", "my.vol", "3"]).failed_with(1, "last key slot");
    desk.volume(&["ls", "my.vol"]).printed("d\n");
}

#[test]
fn re_keying_shuts_out_the_owners_of_old_keys() {
    let desk = Desk::with_volume();
    plant(&desk.path("tree"));
    desk.keyed(&["cp", "-r", "tree/.", "my.vol::"]).printed("");
    fs::set_permissions(desk.path("my.vol"), fs::Permissions::from_mode(0o600)).unwrap();
    desk.keyed(&["re-key", "my.vol", "--new-key", "file:other-key"]).printed("");
    assert_eq!(fs::metadata(desk.path("my.vol")).unwrap().mode() & 0o777, 0o600);
    desk.keyed(&["ls", "my.vol"]).failed_with(1, "does not open it");
    desk.volume(&["cp", "-r", "my.vol::", "back", "--key", "file:other-key"]).printed("");
    assert!(all(&desk.path("tree")) == all(&desk.path("back")));
    // Without a new key, the key that opens it stays.
    desk.volume(&["re-key", "my.vol", "--key", "file:other-key"]).printed("");
    desk.volume(&["ls", "my.vol", "nothing", "--key", "file:other-key"]).printed("nothing\n");
}

#[test]
fn an_archive_goes_to_another_machine() {
    let desk = Desk::new();
    plant(&desk.path("tree"));
    desk.volume(&["create", "my.vol", "--key", "sealed:any-program", "--from", "tree"]).printed("");
    desk.volume(&["export", "my.vol", "archive", "--new-key", "file:key"]).printed("");
    assert!(!holds(&desk.path("archive"), SECRET));
    desk.volume(&["ls", "archive"]).failed_with(1, "no sealing key opens it");
    desk.keyed(&["import", "archive", "new.vol", "--new-key", "sealed:any-program"]).printed("");
    desk.volume(&["cp", "-r", "new.vol::", "back"]).printed("");
    assert!(all(&desk.path("tree")) == all(&desk.path("back")));
}

#[test]
fn a_volume_for_one_program_is_that_programs_alone() {
    let desk = Desk::new();
    desk.folder.file("key-only.wat", r#"(module (func (export "_start")))"#);
    fs::create_dir(desk.path("data")).unwrap();
    fs::write(desk.path("data/input"), SECRET).unwrap();
    desk.volume(&["create", "app.vol", "--for", "key-only.wat", "--from", "data"]).printed("");
    assert!(!holds(&desk.path("app.vol"), SECRET));
    for arguments in [
        &["ls", "app.vol"][..],
        &["cat", "app.vol", "input"],
        &["export", "app.vol", "archive", "--new-key", "file:key"],
        &["key", "add", "app.vol", "--new-key", "file:key"],
        &["key", "add", "app.vol", "--new-key", "sealed", "--for", "key-only.wat"],
    ] {
        let ended = desk.volume(arguments);
        ended.failed_with(1, "it is sealed to one program");
        assert!(ended.err.contains("run the program that it is sealed to"), "{ended:?}");
    }
    let program = twine()
        .current_dir(desk.folder.path())
        .args(["run", "-q", "--dir", "app.vol", "key-only.wat"])
        .output()
        .unwrap();
    assert!(program.status.success(), "{program:?}");
    // With a second key, the key's owner can open it.
    desk.volume(&[
        "create",
        "two.vol",
        "--for",
        "key-only.wat",
        "--key",
        "sealed",
        "--key",
        "file:key",
    ])
    .printed("");
    desk.keyed(&["key", "ls", "two.vol"])
        .printed("  0  sealed to one program in its signer's images\n  1  key file\n");
}

#[test]
fn info_says_what_is_known_with_and_without_a_key() {
    let desk = Desk::with_volume();
    desk.folder.file("one", "1\n");
    desk.keyed(&["cp", "one", "my.vol::one"]).printed("");
    let info = |key: &[&str]| -> serde_json::Value {
        let ended = desk.volume(&[&["info", "--json", "my.vol"], key].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str(&ended.out).unwrap()
    };
    let (outer, inner) = (info(&[]), info(&["--key", "file:key"]));
    assert_eq!(outer["volume"], inner["volume"]);
    assert_eq!((&outer["opened"], &inner["opened"]), (&false.into(), &true.into()));
    assert_eq!((&outer["files"], &inner["files"]), (&serde_json::Value::Null, &1.into()));
    assert_eq!(inner["size"], fs::metadata(desk.path("my.vol")).unwrap().len());
    desk.volume(&["info", "my.vol", "--key", "file:other-key"]).failed_with(1, "does not open it");
    let words = desk.volume(&["info", "my.vol"]).out;
    assert!(words.contains("0  key file"), "{words}");
}

#[test]
fn check_finds_what_is_lost_and_where() {
    let desk = Desk::with_volume();
    desk.folder.file("first", large());
    desk.folder.file("second", large());
    desk.keyed(&["cp", "first", "second", "my.vol::"]).printed("");
    let whole = desk.keyed(&["check", "my.vol"]);
    assert!(whole.code == Some(0) && whole.out.contains("2 files"), "{whole:?}");
    let volume = fs::OpenOptions::new().read(true).write(true).open(desk.path("my.vol")).unwrap();
    let middle = volume.metadata().unwrap().len() / 2;
    let mut byte = [0];
    volume.read_exact_at(&mut byte, middle).unwrap();
    volume.write_all_at(&[byte[0] ^ 1], middle).unwrap();
    drop(volume);
    let broken = desk.keyed(&["check", "my.vol"]);
    broken.failed_with(1, "something is lost");
    let lost: Vec<_> = broken.out.lines().filter(|line| line.starts_with("lost: /")).collect();
    assert_eq!(lost.len(), 1, "{broken:?}");
    let lost_one = if lost[0].contains("/first") { "first" } else { "second" };
    let whole_one = if lost_one == "first" { "second" } else { "first" };
    let ended = desk.keyed(&["cp", &format!("my.vol::{lost_one}"), "out"]);
    assert!(ended.code == Some(1) && ended.err.contains("not authentic"), "{ended:?}");
    desk.keyed(&["cp", &format!("my.vol::{whole_one}"), "out2"]).printed("");
    assert!(fs::read(desk.path("out2")).unwrap() == large());
}

#[test]
fn compact_frees_the_space_of_removed_files() {
    let desk = Desk::with_volume();
    for name in ["a", "b", "c", "d"] {
        desk.folder.file(name, large());
    }
    desk.keyed(&["cp", "a", "b", "c", "d", "my.vol::"]).printed("");
    desk.keyed(&["rm", "my.vol", "a", "b", "c"]).printed("");
    let size = || fs::metadata(desk.path("my.vol")).unwrap().len();
    let before = size();
    let ended = desk.keyed(&["compact", "my.vol"]);
    assert!(ended.code == Some(0) && ended.err.is_empty(), "{ended:?}");
    assert!(size() < before / 2, "{before} bytes, then {}", size());
    desk.keyed(&["cp", "my.vol::d", "out"]).printed("");
    assert!(fs::read(desk.path("out")).unwrap() == large());
    let check = desk.keyed(&["check", "my.vol"]);
    assert_eq!(check.code, Some(0), "{check:?}");
}

#[test]
fn a_copy_that_is_interrupted_leaves_the_volume_whole() {
    let desk = Desk::with_volume();
    desk.folder.file("before", "1\n");
    desk.keyed(&["cp", "before", "my.vol::before"]).printed("");
    fs::create_dir(desk.path("many")).unwrap();
    for number in 0..40 {
        fs::write(desk.path(&format!("many/{number}")), large()).unwrap();
    }
    let mut child =
        desk.command(&["cp", "-r", "many", "my.vol::", "--key", "file:key"]).spawn().unwrap();
    // The signal comes once the command has begun to write, at any point.
    let size = || fs::metadata(desk.path("my.vol")).unwrap().len();
    let before = size();
    while size() == before && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    common::interrupt(child.id());
    child.wait().unwrap();
    let check = desk.keyed(&["check", "my.vol"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    desk.keyed(&["cat", "my.vol", "before"]).printed("1\n");
}

#[test]
fn without_quiet_the_note_about_simulation_is_printed_once() {
    let desk = Desk::with_volume();
    let volume = desk.text("my.vol");
    let ended = run(twine()
        .args(["volume", "ls", &volume, "--tee", "sim", "--key"])
        .arg(format!("file:{}", desk.text("key"))));
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    assert!(ended.err.contains("SGX is simulated"), "{ended:?}");
}
