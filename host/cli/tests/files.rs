//! Programs in several languages that use files. On a volume, on a tree in memory and on a plain
//! folder they print the same as their native builds.

mod common;

use common::{Ended, Folder, built, run, run_with_input, twine};
use std::path::PathBuf;
use std::process::Command;

/// The options for the places of a program's files.
const PLACES: [&str; 3] = ["--dir", "--tmpfs", "--plain-dir"];

/// Returns `twine run` with a program of `target/guests`, whose files are at `/`.
fn on(place: &str, folder: &Folder, program: &str) -> Command {
    with_options(&[], place, folder, program)
}

fn with_options(options: &[&str], place: &str, folder: &Folder, program: &str) -> Command {
    let mut command = twine();
    command.args(["run", "--quiet", "--env", "HOME=/"]).args(options).arg(place);
    match place {
        "--dir" => command.arg(folder.path().join("volume")),
        "--tmpfs" => command.arg("/"),
        _ => command.arg(format!("{}::/", plain(folder).display())),
    };
    command.arg(built("guests").join(program).with_extension("wasm"));
    command
}

/// Returns a plain folder, which is created if it is missing.
fn plain(folder: &Folder) -> PathBuf {
    let plain = folder.path().join("plain");
    std::fs::create_dir_all(&plain).unwrap();
    plain
}

/// Runs a program in all places, and checks that each run prints this.
#[track_caller]
fn prints_everywhere(program: &str, expected: &str) {
    for place in PLACES {
        let folder = Folder::new();
        let ended = run(on(place, &folder, program).arg("/"));
        let Ended { code, out, err } = &ended;
        assert_eq!((*code, out.as_str(), err.as_str()), (Some(0), expected, ""), "{place}");
    }
}

/// Returns the first line in which two texts differ, for messages.
fn difference(ours: &str, expected: &str) -> String {
    let lines = ours.lines().zip(expected.lines());
    let differ = lines.enumerate().filter(|(_, (a, b))| a != b);
    differ.map(|(at, (a, b))| format!("{}: {a} instead of {b}\n", at + 1)).collect()
}

#[test]
fn a_rust_program_does_with_files_what_it_does_natively() {
    prints_everywhere(
        "files-rust",
        r#"tree: 256 files, 412acef603615c24
after renames: 255 files, 32 of them moved
removed: true
open a missing file: NotFound
create one that is there: AlreadyExists
a file as a folder: NotADirectory
list a file: NotADirectory
make a folder twice: AlreadyExists
remove a folder as a file: NotADirectory
a full folder stays: true
cut, grown, written at its end: "0123\0\0\0\0\0\0\0end"
sparse: 5368709123 bytes, its hole is empty: true
appended: ["line 0", "line 1", "line 2"]
by its other name: "linked"
a symbolic link: true, to "hard"
through it: "linked"
when its target is gone: Some(NotFound)
200 files at once, read after they were removed: 132d0df04655ee95
big: 16 MiB, read at random: 7bbf958eed427505
time kept to the nanosecond: true
and changed by writing: true
copied: "other"
left over: 0
"#,
    );
}

#[test]
fn a_go_program_does_with_files_what_it_does_natively() {
    prints_everywhere(
        "files-go",
        r#"tree: 256 files, d2a7eccc028c15fc
after renames: 255 files, 4cdff7c4c99f4418
entries: 15 from 0 to 9
removed: true
open a missing file: true, does not exist
create one that is there: true, exists
list a file: true, something else
make a folder where a file is: true, exists
remove what is missing: true, does not exist
cut, grown, written at its end: "0123\x00\x00\x00\x00\x00\x00\x00end"
sparse: 5368709123 bytes, its hole is empty: true
closed: true
appended: line 0
appended: line 1
appended: line 2
a symbolic link: true, to hard, with "linked"
when its target is gone: true
many at once: 35d9e04e9d64ec9b
unpacked: 50 entries, d085be45c22745a3
big: 16 MiB, read backwards: dd7bc07cfaba78b0
time kept to the nanosecond: true
and changed by writing: true
left over: 0
"#,
    );
}

#[test]
fn posix_calls_return_the_same_on_volumes_and_in_memory() {
    let expected = include_str!("../../../guests/posix/expected.txt");
    for place in ["--dir", "--tmpfs"] {
        let folder = Folder::new();
        let ended = run(on(place, &folder, "posix").arg("/"));
        assert!(ended.out == expected, "{place}:\n{}", difference(&ended.out, expected));
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{place}");
    }
}

#[test]
fn sqlite_keeps_a_database_from_run_to_run() {
    let folder = Folder::new();
    let sql = |sql: &str| {
        let mut command = on("--dir", &folder, "sqlite");
        run_with_input(command.args(["-batch", "-bail", "notes.db"]), sql.as_bytes())
    };
    for journal in ["DELETE", "TRUNCATE", "PERSIST", "MEMORY"] {
        let journal = journal.to_lowercase();
        sql(&format!(
            "PRAGMA journal_mode = {journal}; CREATE TABLE by_{journal} (a PRIMARY KEY, b); \
             WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
             INSERT INTO by_{journal} SELECT i, hex(zeroblob(i % 300)) FROM n; \
             DELETE FROM by_{journal} WHERE a % 3 = 0; VACUUM;"
        ))
        .printed(&format!("{journal}\n"));
        let query = "SELECT count(*), sum(length(b)) FROM by_";
        sql(&format!("{query}{journal}; PRAGMA integrity_check;")).printed("1334|386934\nok\n");
    }
    // On WASI, programs can't share memory, so WAL needs exclusive access to the database.
    sql("PRAGMA journal_mode = WAL;").printed("delete\n");
    sql("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; \
         CREATE TABLE wal (a); INSERT INTO wal VALUES (7);")
    .printed("exclusive\nwal\n");
    // A later process that finds the database in this mode also takes exclusive access.
    sql("SELECT a FROM wal; PRAGMA journal_mode = DELETE;").printed("7\ndelete\n");
}

#[test]
fn connections_of_one_program_lock_each_other_out() {
    let folder = Folder::new();
    let mut command = on("--dir", &folder, "sqlite");
    let script = "\
        CREATE TABLE t (a);\n\
        BEGIN IMMEDIATE;\n\
        INSERT INTO t VALUES (1);\n\
        .connection 1\n\
        .open shared.db\n\
        SELECT count(*) FROM t;\n\
        INSERT INTO t VALUES (2);\n\
        .connection 0\n\
        COMMIT;\n\
        .connection 1\n\
        INSERT INTO t VALUES (3);\n\
        SELECT group_concat(a) FROM t;\n";
    let ended = run_with_input(command.args(["-batch", "shared.db"]), script.as_bytes());
    assert_eq!(ended.out, "0\n1,3\n", "{ended:?}");
    assert!(ended.err.contains("database is locked"), "{ended:?}");
}

#[test]
fn python_keeps_files_on_a_volume() {
    let folder = Folder::new();
    let script = r#"
import os, pathlib, tempfile, zipfile, csv, json
root = pathlib.Path("/data")
root.mkdir(exist_ok=True)
(root / "a" / "b").mkdir(parents=True)
with open(root / "a" / "b" / "rows.csv", "w", newline="") as file:
    csv.writer(file).writerows([i, i * i] for i in range(1000))
with open(root / "a" / "b" / "rows.csv", newline="") as file:
    print(sum(int(square) for _, square in csv.reader(file)))
with zipfile.ZipFile(root / "all.zip", "w") as archive:
    for path in sorted(root.rglob("*.csv")):
        archive.write(path, path.relative_to(root))
with zipfile.ZipFile(root / "all.zip") as archive:
    print(archive.namelist(), archive.testzip())
os.replace(root / "all.zip", root / "a" / "moved.zip")
print(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
with open(root / "big", "wb+") as file:
    file.truncate(1 << 33)
    file.seek(-3, os.SEEK_END)
    file.write(b"end")
    file.seek(1 << 32)
    print(file.read(4), os.fstat(file.fileno()).st_size)
os.remove(root / "big")
with tempfile.TemporaryFile(dir=root) as file:
    file.write(b"nameless")
    file.seek(0)
    print(file.read(), len(os.listdir(root)))
try:
    os.rmdir(root / "a")
except OSError as error:
    print(type(error).__name__, error.errno == __import__("errno").ENOTEMPTY)
"#;
    run(on("--dir", &folder, "python").args(["-c", script])).printed(
        "\
332833500
['a/b/rows.csv'] None
['a', 'a/b', 'a/b/rows.csv', 'a/moved.zip']
b'\\x00\\x00\\x00\\x00' 8589934592
b'nameless' 1
OSError True
",
    );
    // A later run finds the files of this one.
    let script = "print(len(open('/data/a/b/rows.csv').readlines()))";
    run(on("--dir", &folder, "python").args(["-c", script])).printed("1000\n");
}

#[test]
fn ripgrep_searches_a_volume_that_python_has_filled() {
    let folder = Folder::new();
    // Each program has its own sealing keys; this key is for both programs.
    let key = format!("file:{}", folder.file("key", [7; 32]).display());
    let on_volume = |program| with_options(&["--key", &key], "--dir", &folder, program);
    let script = "
import os
for folder in range(20):
    os.makedirs(f'/src/{folder}')
    for file in range(20):
        with open(f'/src/{folder}/{file}.txt', 'w') as text:
            text.write('nothing\\n' * file + ('needle here\\n' if folder == file else ''))
with open('/src/.gitignore', 'w') as text:
    text.write('7/\\n')
os.mkdir('/src/.git')
";
    run(on_volume("python").args(["-c", script])).printed("");
    let lines = |ended: &Ended| {
        let mut lines: Vec<String> = ended.out.lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    };
    let found = run(on_volume("ripgrep").args(["-n", "needle", "/src"]));
    assert_eq!(found.code, Some(0), "{found:?}");
    let found = lines(&found);
    assert_eq!(found.len(), 19, "{found:?}");
    assert!(found.contains(&"/src/12/12.txt:13:needle here".to_owned()), "{found:?}");
    let counted = run(on_volume("ripgrep").args(["--no-ignore", "-c", "nothing", "/src/7"]));
    assert_eq!(lines(&counted).len(), 19, "{counted:?}");
    let none = run(on_volume("ripgrep").args(["missing", "/src"]));
    assert_eq!((none.code, none.out.as_str()), (Some(1), ""), "{none:?}");
}
