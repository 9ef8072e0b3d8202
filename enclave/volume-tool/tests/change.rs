//! `ls`, `tree`, `cat`, `mkdir`, `rm`, `mv`.

mod common;

use common::{World, age, find, link, make_directory, name, permit, read, strings, write};
use twine_protocol::task::Operation;
use twine_vfs::FileSystem;

fn planted() -> World {
    let mut world = World::new();
    let volume = &mut world.volume;
    write(volume, "b.txt", b"bee\n");
    write(volume, "a/one", b"12345");
    write(volume, "a/sub/two", b"");
    name(volume, "a/one", "a/sub/uno");
    link(volume, "z", "a/one");
    permit(volume, "b.txt", 0o640);
    for path in ["b.txt", "a/one", "a/sub", "a", "z"] {
        age(volume, path, 0, 951_782_400_000_000_000);
    }
    world
}

fn list(world: &mut World, path: &str, long: bool, json: bool) -> String {
    let done = world.work(&Operation::List { path: path.into(), long, json });
    assert!(done.ok, "{done:?}");
    done.out
}

#[test]
fn ls_lists_by_name_and_names_files() {
    let mut world = planted();
    world.list("").printed("a\nb.txt\nz\n");
    world.list("/a/").printed("one\nsub\n");
    world.list("/b.txt").printed("b.txt\n");
    world.list("no").failed_with("v::no: no such file");
    assert_eq!(
        list(&mut world, "", true, false),
        "d?????????   1              0 2000-02-29 00:00:00 a\n\
         -rw-r-----   1              4 2000-02-29 00:00:00 b.txt\n\
         lrwxrwxrwx   1              5 2000-02-29 00:00:00 z -> a/one\n"
    );
}

#[test]
fn json_lists_are_json() {
    let mut world = planted();
    let listed: serde_json::Value =
        serde_json::from_str(&list(&mut world, "", false, true)).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(listed[0]["kind"], "directory");
    assert_eq!(listed[1]["size"], 4);
    assert_eq!(listed[1]["modified"], "2000-02-29T00:00:00.000000000Z");
    assert_eq!(listed[2]["target"], "a/one");
    make_directory(&mut world.volume, "empty");
    assert_eq!(list(&mut world, "empty", false, true), "[]\n");
}

#[test]
fn terminals_get_no_control_characters_and_pipes_get_names_as_they_are() {
    let mut world = World::new();
    write(&mut world.volume, "a\x1b[31mb\n\u{202e}", b"");
    world.list("").printed("a\x1b[31mb\n\u{202e}\n");
    let tree =
        |world: &mut World| world.work(&Operation::Tree { path: String::new(), json: false });
    assert!(tree(&mut world).out.contains("── a\x1b[31mb\n\u{202e}\n"));
    world.console.terminal = true;
    world.list("").printed("a\\u{1b}[31mb\\n\\u{202e}\n");
    assert!(tree(&mut world).out.contains("── a\\u{1b}[31mb\\n\\u{202e}\n"));
    let error = world.work(&Operation::Print { paths: strings(&["\x1b]0;title\x07"]) });
    error.failed_with("v::\\u{1b}]0;title\\u{7}");
}

#[test]
fn tree_draws_what_is_below() {
    let mut world = planted();
    world.work(&Operation::Tree { path: String::new(), json: false }).printed(
        "/\n\
         ├── a\n\
         │   ├── one\n\
         │   └── sub\n\
         │       ├── two\n\
         │       └── uno\n\
         ├── b.txt\n\
         └── z -> a/one\n\
         \n2 directories, 5 files\n",
    );
    world
        .work(&Operation::Tree { path: "b.txt".into(), json: false })
        .failed_with("not a directory");
}

#[test]
fn a_tree_as_json_is_its_lists_one_in_the_other() {
    let mut world = planted();
    let shown = world.work(&Operation::Tree { path: String::new(), json: true });
    assert!(shown.ok, "{shown:?}");
    let top: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!((&top["name"], &top["kind"]), (&"/".into(), &"directory".into()));
    let top = &top["contents"];
    let list: serde_json::Value =
        serde_json::from_str(&list(&mut world, "a", false, true)).unwrap();
    assert_eq!(top[0]["contents"][0], list[0]);
    assert_eq!(top[0]["contents"][1]["contents"][1]["name"], "uno");
    assert_eq!((&top[1]["size"], &top[2]["target"]), (&4.into(), &"a/one".into()));
    make_directory(&mut world.volume, "empty");
    let shown = world.work(&Operation::Tree { path: "empty".into(), json: true });
    let empty: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(empty["contents"], serde_json::json!([]));
}

#[test]
fn cat_prints_files_one_after_the_other() {
    let mut world = planted();
    world.work(&Operation::Print { paths: strings(&["b.txt", "z"]) }).printed("bee\n12345");
    world.work(&Operation::Print { paths: strings(&["a"]) }).failed_with("is a directory");
    world.console.patience = Some(3);
    let done = world.work(&Operation::Print { paths: strings(&["b.txt", "z"]) });
    assert!(done.err.is_empty(), "{done:?}");
}

#[test]
fn mkdir_makes_one_or_all() {
    let mut world = World::new();
    let make = |world: &mut World, path: &str, parents| {
        world.work(&Operation::MakeDirectories { paths: strings(&[path]), parents })
    };
    make(&mut world, "/x", false).printed("");
    make(&mut world, "x", false).failed_with("file exists");
    make(&mut world, "x", true).printed("");
    let missing = make(&mut world, "y/z", false);
    missing.failed_with("there is no directory for v::y/z");
    assert!(missing.err[1].contains("mkdir -p"), "{missing:?}");
    make(&mut world, "/y//z/w/", true).printed("");
    assert!(find(&mut world.volume, "y/z/w").is_some());
    write(&mut world.volume, "file", b"");
    make(&mut world, "file/z", true).failed_with("file exists");
    make(&mut world, "/", false).failed_with("file exists");
}

#[test]
fn rm_removes_what_it_is_told_to() {
    let mut world = planted();
    let remove = |world: &mut World, path: &str, recursive, force| {
        world.work(&Operation::Remove { paths: strings(&[path]), recursive, force })
    };
    remove(&mut world, "z", false, false).printed("");
    assert_eq!(read(&mut world.volume, "a/one"), b"12345", "a link goes, not what it names");
    remove(&mut world, "a", false, false).failed_with("v::a is a directory");
    remove(&mut world, "no", true, false).failed_with("no such file");
    remove(&mut world, "no", false, true).printed("");
    remove(&mut world, "no/way", false, true).printed("");
    remove(&mut world, "", true, true).failed_with("no name that can be removed");
    remove(&mut world, "a/..", true, false).failed_with("no name that can be removed");
    remove(&mut world, "a", true, false).printed("");
    world.list("").printed("b.txt\n");
}

#[test]
fn rm_removes_a_directory_of_many_names() {
    let mut world = World::new();
    make_directory(&mut world.volume, "many");
    let many = find(&mut world.volume, "many").unwrap();
    for number in 0..3_000 {
        let file = world.volume.create_file(many, &format!("file {number}")).unwrap();
        world.volume.release(file);
    }
    world.volume.release(many);
    world.remove("many").printed("");
    world.list("").printed("");
}

#[test]
fn mv_renames_and_moves_into_directories() {
    let mut world = planted();
    let rename = |world: &mut World, sources: &[&str], target: &str| {
        world.work(&Operation::Move { sources: strings(sources), target: target.into() })
    };
    rename(&mut world, &["b.txt"], "c.txt").printed("");
    rename(&mut world, &["c.txt", "z"], "a/sub").printed("");
    world.list("a/sub").printed("c.txt\ntwo\nuno\nz\n");
    rename(&mut world, &["a/sub/c.txt"], "a/one").printed("");
    assert_eq!(read(&mut world.volume, "a/one"), b"bee\n");
    assert_eq!(read(&mut world.volume, "a/sub/uno"), b"12345");
    rename(&mut world, &["a"], "b/").printed("");
    rename(&mut world, &["b"], "b/sub").failed_with("into itself");
    rename(&mut world, &["b/one", "b/sub/two"], "b/three").failed_with("not a directory");
    rename(&mut world, &["/"], "b").failed_with("no name");
    rename(&mut world, &["no"], "b").failed_with("v::no: no such file");
    make_directory(&mut world.volume, "d/one");
    rename(&mut world, &["b/one"], "d").failed_with("is a directory");
    rename(&mut world, &["b"], "b/one").failed_with("into itself");
}
