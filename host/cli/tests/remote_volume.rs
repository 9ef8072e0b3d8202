//! Volumes on a host elsewhere: `twine volume --at`.

mod common;

use common::hosting::{Deployer, ECHO, Host};
use common::{Ended, built, run_with_input};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

impl Deployer {
    fn volume_command(&self, host: &Host, name: &str, arguments: &[&str]) -> Command {
        let manifest = format!("{name}.manifest");
        let at = ["--quiet", "--at", &host.address, "--manifest", &manifest];
        self.command(&[&["volume"], arguments, &at].concat())
    }

    /// Runs `twine volume ARGUMENTS --at` with the manifest of this name.
    fn volume(&self, host: &Host, name: &str, arguments: &[&str]) -> Ended {
        common::run(&mut self.volume_command(host, name, arguments))
    }

    fn folder(&self) -> &Path {
        self.0.folder().path()
    }
}

/// An owner whose program `echo` has volumes at `/data` and `/more`, and a tree in memory.
fn with_volumes() -> Deployer {
    let owner = Deployer::new();
    let mounts = ["--dir", "::/data", "--dir", "::/more", "--tmpfs", "/memory:1MiB"];
    owner.program("echo", ECHO, &mounts);
    owner
}

/// What is known of a tree: for each path the kind, mode, size, time and contents.
fn known(top: &Path) -> Vec<(Vec<u8>, String)> {
    let mut all = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mode = metadata.permissions().mode();
            let time = (metadata.mtime(), metadata.mtime_nsec());
            let what = if metadata.is_dir() {
                folders.push(path.clone());
                format!("folder {mode:o} {time:?}")
            } else if metadata.is_symlink() {
                format!("link to {:?} {time:?}", fs::read_link(&path).unwrap())
            } else {
                let blocks = metadata.blocks();
                let (size, links) = (metadata.len(), metadata.nlink());
                let contents = if size > 1 << 30 { Vec::new() } else { fs::read(&path).unwrap() };
                let sum: u64 = contents.iter().zip(1..).map(|(b, at)| u64::from(*b) * at).sum();
                assert!(blocks * 512 < size + 4096 || size < 8192, "{}: holes", path.display());
                format!("file {mode:o} {time:?} {size} {links} {sum}")
            };
            let path = path.strip_prefix(top).unwrap().as_os_str().as_bytes().to_vec();
            all.push((path, what));
        }
    }
    all.sort();
    all
}

/// Makes a tree with odd names, sparse and empty files, links and modes.
fn odd_tree(top: &Path) {
    let deep = top.join("d".repeat(200)).join("e e").join("-f");
    fs::create_dir_all(&deep).unwrap();
    fs::create_dir(top.join("empty folder")).unwrap();
    let odd = ["line\nbreak", " ", "::", "a::b", "-", "\u{202e}up", "\u{7f}", "ä", "*?[]", "'\"\\"];
    for (at, name) in odd.iter().enumerate() {
        fs::write(deep.join(name), vec![at as u8; at * 1000]).unwrap();
    }
    fs::write(top.join("n".repeat(255)), "longest").unwrap();
    fs::write(top.join("empty"), "").unwrap();
    let sparse = fs::File::create(top.join("sparse")).unwrap();
    sparse.write_all_at(b"start", 0).unwrap();
    sparse.write_all_at(b"middle", 3 << 30).unwrap();
    sparse.set_len(5 << 30).unwrap();
    let hole = fs::File::create(top.join("hole")).unwrap();
    hole.set_len(1 << 20).unwrap();
    let many: Vec<u8> = (0..2_500_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(top.join("many"), many).unwrap();
    fs::hard_link(top.join("many"), deep.join("same")).unwrap();
    symlink("../nowhere/\u{e9}", top.join("dangling")).unwrap();
    symlink("/etc/passwd", top.join("outside")).unwrap();
    symlink(".", top.join("loop")).unwrap();
    fs::set_permissions(top.join("many"), fs::Permissions::from_mode(0o440)).unwrap();
    fs::set_permissions(top.join("empty"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(top.join("empty folder"), fs::Permissions::from_mode(0o700)).unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_007, 123_456_789);
    fs::File::open(top.join("empty")).unwrap().set_modified(old).unwrap();
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let host = Host::start(&[]);
    let owner = with_volumes();
    let top = owner.folder().join("tree");
    fs::create_dir(&top).unwrap();
    odd_tree(&top);
    owner.volume(&host, "echo", &["cp", "-r", "tree", "::/data"]).printed("");
    owner.volume(&host, "echo", &["cp", "-r", "::/data/tree", "back"]).printed("");
    assert_eq!(known(&top), known(&owner.folder().join("back")));
    // Again, over what is there, and the contents alone.
    owner.volume(&host, "echo", &["cp", "-r", "tree/.", "::/data/tree"]).printed("");
    owner.volume(&host, "echo", &["cp", "-r", "::/data/tree/.", "back"]).printed("");
    assert_eq!(known(&top), known(&owner.folder().join("back")));
    let checked = owner.volume(&host, "echo", &["check", "/data"]);
    assert!(checked.out.ends_with(" whole; 15 files, 5 directories, 3 links\n"), "{checked:?}");
    let shown = owner.volume(&host, "echo", &["ls", "-l", "/data/tree"]);
    assert!(shown.out.contains(" 5368709120 "), "{shown:?}");
    // The operator has none of it.
    assert!(!host.log().contains("tree"), "{}", host.log());
}

#[test]
fn each_command_does_what_it_does_on_this_machine() {
    let host = Host::start(&[]);
    let owner = with_volumes();
    let volume = |arguments: &[&str]| owner.volume(&host, "echo", arguments);
    volume(&["ls", "/data"]).failed_with(1, "there is no volume for /data yet");
    volume(&["mkdir", "-p", "/data", "a/b", "/data/c"]).printed("");
    let mut write = owner.volume_command(&host, "echo", &["cp", "-", "::/data/a/file"]);
    run_with_input(&mut write, b"what came\n").printed("");
    volume(&["cat", "/data/a/file"]).printed("what came\n");
    volume(&["cat", "/data", "a/file", "/data/a/../a/file"]).printed("what came\nwhat came\n");
    volume(&["cp", "::/data/a/file", "-"]).printed("what came\n");
    volume(&["cp", "-r", "/data::a", "::/data/c"]).printed("");
    volume(&["mv", "/data/a/file", "/data/a/name"]).printed("");
    volume(&["tree", "/data"]).printed(
        "/\n├── a\n│   ├── b\n│   └── name\n└── c\n    └── a\n        ├── b\n        └── file\n\n\
         5 directories, 2 files\n",
    );
    volume(&["ls", "--json", "/data/a/b"]).printed("[]\n");
    volume(&["rm", "/data/c"]).failed_with(1, "/data::/c is a directory");
    volume(&["rm", "-r", "/data/c", "/data/a/b"]).printed("");
    volume(&["rm", "/data/none"]).failed_with(1, "/data::/none: ");
    volume(&["rm", "-f", "/data/none"]).printed("");
    volume(&["ls", "/data/a"]).printed("name\n");
    let info = volume(&["info", "/data", "--json"]);
    assert!(info.out.contains("\"files\": 1") && info.out.contains("\"opened\": true"), "{info:?}");
    let compacted = volume(&["compact", "/data"]);
    assert!(compacted.out.contains("bytes before"), "{compacted:?}");
    volume(&["check", "--repair", "--yes", "/data"]);
    // The other volume is another one, and is not made by looking.
    volume(&["ls", "/more"]).failed_with(1, "there is no volume for /more yet");
    assert_eq!(fs::read_dir(host.state.path().join("volumes")).unwrap().count(), 1);
    // The program finds what was put there: it is the same volume.
    assert_eq!(owner.deploy(&host, "echo", &[], b"").code, Some(7));
    volume(&["ls", "/more"]).printed("");
    volume(&["cat", "/data/a/name"]).printed("what came\n");
    let host = host.restart();
    owner.volume(&host, "echo", &["cat", "/data/a/name"]).printed("what came\n");
}

#[test]
fn what_makes_no_sense_elsewhere_is_refused_by_its_name() {
    let owner = with_volumes();
    let at = ["--at", "127.0.0.1:1", "--manifest", "echo.manifest"];
    let key = ["--key", "owner.pem"];
    for (arguments, name) in [
        (&["create", "/data", "--at", "127.0.0.1:1"][..], "create"),
        (&["import", "archive", "/data"], "import"),
        (&["export", "/data", "archive", "--new-key", "passphrase"], "export"),
        (&["re-key", "/data"], "re-key"),
        (&["key", "ls", "/data"], "key ls"),
        (&["key", "add", "/data", "--new-key", "passphrase"], "key add"),
        (&["key", "rm", "/data", "1"], "key rm"),
        (&["key", "rotate", "/data", "--new-key", "passphrase"], "key rotate"),
    ] {
        let more: &[&[&str]] = if name == "create" { &[] } else { &[&at, &key] };
        let given = [&["volume"], arguments, &more.concat()].concat();
        owner.0.twine(&given).failed_with(2, &format!("`twine volume {name}` has no --at"));
    }
    let refused = |arguments: &[&str], cause: &str| {
        let given = [&["volume"], arguments, &at, &key].concat();
        owner.0.twine(&given).failed_with(2, cause);
    };
    refused(&["ls", "/elsewhere"], "the manifest mounts no volume at \"/elsewhere\"");
    refused(&["ls", "/memory"], "the manifest mounts no volume at \"/memory\"");
    refused(&["ls", "/database"], "the manifest mounts no volume at");
    refused(&["cat", "/data/a", "/more/b"], "/data and /more are two volumes");
    refused(&["cp", "::/data/a", "::/more/b"], "/data and /more are two volumes");
    refused(&["cp", "owner.pem", "owner.pub"], "no path in a volume was named");
    refused(
        &["cp", "owner.pem", "::/data/a", "::/data/b"],
        "neither all in the volume nor all here",
    );
    refused(&["check", "/data/sub"], "/data/sub is no mount of the manifest");
    owner.0.twine(&["volume", "ls", "/data", "--at", "127.0.0.1:1"]).failed_usage("--manifest");
    let image = ["volume", "ls", "/data", "--image", "x"];
    owner.0.twine(&[&image[..], &at, &key].concat()).failed_usage("--image");
}

#[test]
fn a_program_that_runs_has_its_volumes_alone() {
    let host = Host::start(&[]);
    let owner = with_volumes();
    owner.deploy(&host, "echo", &["--detach"], b"").printed("");
    owner.wait(&host, "echo", "running");
    let refused = owner.volume(&host, "echo", &["ls", "/data"]);
    refused.failed_with(1, "echo runs, and has the volume for /data");
    assert!(refused.err.contains("twine stop"), "{refused:?}");
    owner.manage(&host, "stop", "echo", &["--kill"]).printed("");
    owner.wait(&host, "echo", "stopped");
    owner.volume(&host, "echo", &["ls", "/data"]).printed("");
}

#[test]
fn only_the_owner_and_whom_the_manifest_names_open_a_volume() {
    let host = Host::start(&[]);
    let owner = with_volumes();
    let (helper, other) = (Deployer::new(), Deployer::new());
    fs::copy(helper.folder().join("owner.pub"), owner.folder().join("helper.pub")).unwrap();
    owner.0.edit("echo", "# files = [\"backup.pub\"]", "files = [\"helper.pub\"]");
    owner.0.sign("echo");
    owner.volume(&host, "echo", &["mkdir", "/data/a"]).printed("");
    for one in [&helper, &other] {
        fs::copy(owner.folder().join("echo.manifest"), one.folder().join("echo.manifest")).unwrap();
    }
    helper.volume(&host, "echo", &["ls", "/data"]).printed("a\n");
    helper.manage(&host, "logs", "echo", &[]).failed_with(1, "no deployment");
    let refused = other.volume(&host, "echo", &["ls", "/data"]);
    refused.failed_with(1, "neither that of the manifest's owner");
    // His own manifest of the same name and mounts names another volume.
    let own = with_volumes();
    own.volume(&host, "echo", &["ls", "/data"]).failed_with(1, "there is no volume for /data yet");
    let shown = owner.0.twine(&["manifest", "show", "echo.manifest"]);
    assert!(shown.out.contains("may use files    the owner, "), "{shown:?}");
}

#[test]
fn a_host_that_is_not_what_the_manifest_demands_gets_no_request() {
    let host = Host::start(&[]);
    let owner = Deployer::new();
    let image = built("release/twine.sgxs").display().to_string();
    owner.program("echo", ECHO, &["--dir", "::/data", "--image", &image]);
    fs::write(owner.folder().join("secret"), "secret").unwrap();
    let refused = owner.volume(&host, "echo", &["cp", "secret", "::/data"]);
    refused.failed_with(1, "is not an enclave that the manifest accepts: measurement");
    assert!(refused.err.contains("nothing was sent to it"), "{refused:?}");
    assert!(!host.log().contains("/echo"), "{}", host.log());
    assert_eq!(fs::read_dir(host.state.path().join("volumes")).unwrap().count(), 0);
}

#[test]
fn what_can_not_be_copied_is_named_and_the_rest_is_copied() {
    let host = Host::start(&[]);
    let owner = with_volumes();
    let top = owner.folder().join("tree");
    fs::create_dir(&top).unwrap();
    fs::write(top.join("good"), "good").unwrap();
    fs::write(top.join(OsStr::from_bytes(b"bad\xff")), "bad").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap();
    let copied = owner.volume(&host, "echo", &["cp", "-r", "tree", "::/data"]);
    assert_eq!(copied.code, Some(1), "{copied:?}");
    assert!(copied.err.contains("its name is not UTF-8"), "{copied:?}");
    assert!(copied.err.contains("neither file, folder nor symbolic link"), "{copied:?}");
    owner.volume(&host, "echo", &["ls", "/data/tree"]).printed("good\n");
    let missing = owner.volume(&host, "echo", &["cp", "none", "::/data"]);
    missing.failed_with(1, "none: No such file");
    owner.volume(&host, "echo", &["cp", "tree", "::/data"]).failed_with(1, "tree is a directory");
    let missing = owner.volume(&host, "echo", &["cp", "::/data/none", "here"]);
    missing.failed_with(1, "/data::/none: ");
    assert!(!owner.folder().join("here").exists());
    owner.volume(&host, "echo", &["cp", "::/data/tree", "here"]).failed_with(1, "is a directory");
    let several = ["cp", "-r", "::/data/tree", "::/data/tree/good", "here"];
    owner.volume(&host, "echo", &several).failed_with(1, "here is not a directory");
    let several = ["cp", "-r", "tree/good", "owner.pub", "::/data/here"];
    owner.volume(&host, "echo", &several).failed_with(1, "/data::/here is not a directory");
}

/// A link that a program put into its volume must not lead a copy out of the folder of its owner.
#[test]
fn a_copy_never_follows_a_link_out_of_its_target() {
    let host = Host::start(&[]);
    let owner = with_volumes();
    let (tree, outside) = (owner.folder().join("tree"), owner.folder().join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(tree.join("trap")).unwrap();
    fs::write(tree.join("trap/file"), "inside").unwrap();
    fs::write(tree.join("victim"), "inside").unwrap();
    owner.volume(&host, "echo", &["cp", "-r", "tree", "::/data"]).printed("");
    // The target has links in place of the folder and of the file.
    let back = owner.folder().join("back");
    fs::create_dir(&back).unwrap();
    fs::write(outside.join("victim"), "outside").unwrap();
    symlink(&outside, back.join("trap")).unwrap();
    symlink(outside.join("victim"), back.join("victim")).unwrap();
    let copied = owner.volume(&host, "echo", &["cp", "-r", "::/data/tree/.", "back"]);
    assert_eq!(copied.code, Some(1), "{copied:?}");
    assert!(copied.err.contains("back/trap is not a directory"), "{copied:?}");
    assert!(!outside.join("file").exists());
    assert_eq!(fs::read_to_string(outside.join("victim")).unwrap(), "outside");
    assert_eq!(fs::read_to_string(back.join("victim")).unwrap(), "inside");
    assert!(!fs::symlink_metadata(back.join("victim")).unwrap().is_symlink());
}

/// A client that is killed leaves a whole volume, in which nothing is cut short.
#[test]
fn a_client_that_is_killed_leaves_a_whole_volume() {
    let host = Host::start(&[]);
    let owner = with_volumes();
    owner.volume(&host, "echo", &["mkdir", "/data/a"]).printed("");
    let mut write = owner.volume_command(&host, "echo", &["cp", "-", "::/data/a/cut"]);
    let mut child = write.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, &vec![7; 3 << 20]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let listed = loop {
        let listed = owner.volume(&host, "echo", &["ls", "/data/a"]);
        if listed.code == Some(0) {
            break listed;
        }
        assert!(listed.err.contains("another client works"), "{listed:?}");
        assert!(std::time::Instant::now() < end, "{listed:?}");
    };
    listed.printed("");
    assert_eq!(owner.volume(&host, "echo", &["check", "/data"]).code, Some(0));
}
