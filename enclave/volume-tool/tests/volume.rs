//! Tests of whole volumes: making, describing, changing keys, copying to other volumes.

mod common;

use common::{Recorder, all, inside, memory, strings, write};
use std::collections::HashMap;
use twine_protocol::key::{Scope, Sealing, VolumeKey};
use twine_protocol::launch::End;
use twine_protocol::task::{FolderLocation, Location, OpenVolume, Operation, Repair, VolumeTask};
use twine_vfs::{FileSystem, Memory, Shared};
use twine_volume::{
    Cost, Error, KeyEncryptionKey, MemoryStorage, NewSlot, Options, Refusal, Secret, Storage,
    Unlock, Volume,
};
use twine_volume_tool::{Opening, Outside, run};

/// Storages and folders in memory. The sealing keys belong to no program.
#[derive(Default)]
struct Machine {
    storages: HashMap<u64, MemoryStorage>,
    folders: HashMap<u64, Shared<Memory>>,
    console: Recorder,
}

const SEALED: [u8; 32] = [42; 32];

struct Sealed;

impl Unlock for Sealed {
    fn sealed(&mut self, parameters: &[u8]) -> Result<KeyEncryptionKey, Refusal> {
        match parameters {
            [1] => Ok(KeyEncryptionKey::new(SEALED)),
            _ => Err(Refusal("it is sealed to one program".into())),
        }
    }
}

fn options(opening: Opening) -> Options {
    Options {
        cache_bytes: 1 << 20,
        read_only: opening == Opening::ReadOnly,
        repair: opening == Opening::Repair,
        clock: Box::new(|| 7),
        ..Options::default()
    }
}

impl Outside for Machine {
    fn open(&mut self, which: &OpenVolume, opening: Opening) -> Result<Volume, Error> {
        let storage = self.storage(which.storage);
        match &which.key {
            VolumeKey::Sealed(_) => Volume::open(storage, &mut Sealed, options(opening)),
            VolumeKey::File(bytes) => {
                Volume::open(storage, &mut Secret::key_file(bytes), options(opening))
            }
            VolumeKey::Passphrase(text) => {
                Volume::open(storage, &mut Secret::passphrase(text.as_bytes()), options(opening))
            }
        }
    }

    fn create(&mut self, which: &OpenVolume) -> Result<Volume, Error> {
        let slot = self.new_slot(&which.key)?;
        Volume::create(self.storage(which.storage), &[slot], options(Opening::ReadWrite))
    }

    fn new_slot(&mut self, key: &VolumeKey) -> Result<NewSlot, Error> {
        match key {
            VolumeKey::Sealed(sealing) => NewSlot::sealed(
                &[u8::from(sealing.scope == Scope::AnyProgram)],
                KeyEncryptionKey::new(SEALED),
            ),
            VolumeKey::File(bytes) => NewSlot::key_file(bytes),
            VolumeKey::Passphrase(text) => {
                NewSlot::passphrase(text.as_bytes(), Cost { memory: 64, passes: 1, lanes: 1 })
            }
        }
    }

    fn sealing(&self, parameters: &[u8]) -> Option<Sealing> {
        let scope = if parameters == [1] { Scope::AnyProgram } else { Scope::Program };
        Some(Sealing { scope, this_image: false })
    }

    fn storage(&mut self, number: u64) -> Box<dyn Storage> {
        Box::new(self.storages.entry(number).or_default().clone())
    }

    fn folder(
        &mut self,
        number: u64,
        _read_only: bool,
    ) -> Result<Box<dyn FileSystem>, twine_vfs::Error> {
        let folder = self.folders.get(&number).ok_or(twine_vfs::Error::NotFound)?;
        Ok(Box::new(folder.clone()))
    }
}

fn file(byte: u8) -> VolumeKey {
    VolumeKey::File(vec![byte; 32])
}

fn passphrase(text: &str) -> VolumeKey {
    VolumeKey::Passphrase(text.into())
}

fn sealed(scope: Scope) -> VolumeKey {
    VolumeKey::Sealed(Sealing { this_image: false, scope })
}

fn volume(storage: u64, key: VolumeKey) -> OpenVolume {
    OpenVolume {
        name: format!("{storage}.vol"),
        storage,
        key,
        more_keys: Vec::new(),
        read_only: false,
    }
}

/// The result of a task.
#[derive(Debug)]
struct Done {
    code: u32,
    out: String,
    err: Vec<String>,
}

impl Done {
    #[track_caller]
    fn printed(&self, out: &str) {
        assert_eq!((self.code, self.out.as_str()), (0, out), "{self:?}");
        assert!(self.err.is_empty(), "{self:?}");
    }

    #[track_caller]
    fn failed_with(&self, cause: &str) {
        assert_eq!((self.code, self.err.len()), (1, 2), "{self:?}");
        assert!(self.err[0].starts_with("error: ") && self.err[0].contains(cause), "{self:?}");
        assert!(self.err[1].starts_with("  help: "), "{self:?}");
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }
}

impl Machine {
    fn run(&mut self, volume: OpenVolume, operation: Operation) -> Done {
        let mut console = std::mem::take(&mut self.console);
        let task = VolumeTask { volume, operation, progress: false };
        let End::Exited { code, .. } = run(&task, self, &mut console) else {
            panic!("a task ends with a code");
        };
        let out = String::from_utf8(std::mem::take(&mut console.out)).unwrap();
        let err = std::mem::take(&mut console.err);
        self.console = console;
        Done { code, out, err }
    }

    /// Adds a folder with a few files, as number 3.
    fn plant(&mut self) {
        let mut files = memory();
        write(&mut files, "a/b/file", [7; 70_000]);
        write(&mut files, "other", b"other");
        self.folders.insert(3, Shared::new(files));
    }

    fn create(&mut self, storage: u64, key: VolumeKey) {
        let folder = self.folders.contains_key(&3).then_some(3);
        self.run(volume(storage, key), Operation::Create { folder }).printed("");
    }

    fn list(&mut self, volume: OpenVolume) -> Done {
        self.run(volume, Operation::List { path: "/".into(), long: false, json: false })
    }
}

#[test]
fn a_volume_is_made_with_what_is_in_a_folder() {
    let mut machine = Machine::default();
    machine.plant();
    machine.create(1, file(1));
    machine.list(volume(1, file(1))).printed("a\nother\n");
    let bytes = machine.storages[&1].with(|bytes| bytes.clone());
    for hidden in [b"other".as_slice(), b"file", &[7; 16]] {
        assert!(!bytes.windows(hidden.len()).any(|window| window == hidden));
    }
}

#[test]
fn the_state_after_work_is_found_the_next_time() {
    let mut machine = Machine::default();
    machine.create(1, file(1));
    machine.console.input = b"from a pipe".to_vec();
    let copy = Operation::Copy {
        sources: vec![Location::Stream],
        target: inside("piped"),
        recursive: false,
    };
    machine.run(volume(1, file(1)), copy).printed("");
    let print = Operation::Print { paths: strings(&["piped"]) };
    machine.run(volume(1, file(1)), print).printed("from a pipe");
}

#[test]
fn a_terminal_shows_the_same_lines_as_a_pipe_gets() {
    let mut machine = Machine::default();
    machine.plant();
    machine.create(1, file(1));
    let named = || OpenVolume { name: "my\x1b[2J.vol".into(), ..volume(1, file(1)) };
    for operation in [
        Operation::Info { header: true, json: false },
        Operation::ListKeys { json: false },
        Operation::Check { json: false, repair: Repair::No },
    ] {
        machine.console.terminal = false;
        let piped = machine.run(named(), operation.clone()).out;
        machine.console.terminal = true;
        let shown = machine.run(named(), operation).out;
        assert_eq!(shown, piped);
        assert!(!shown.contains('\x1b') && shown.ends_with('\n'), "{shown}");
    }
}

#[test]
fn volumes_that_do_not_open_say_why() {
    let mut machine = Machine::default();
    machine.create(1, file(1));
    machine.list(volume(1, file(2))).failed_with("1.vol: this key file does not open it");
    machine.list(volume(1, passphrase("x"))).failed_with("no passphrase opens it, only: key file");
    machine
        .list(volume(1, sealed(Scope::AnyProgram)))
        .failed_with("no sealing key opens it, only: key file");
    machine.create(2, sealed(Scope::Program));
    let done = machine.list(volume(2, sealed(Scope::Program)));
    done.failed_with("it is sealed to one program");
    assert!(done.err[1].contains("run the program"), "{done:?}");
    machine.list(volume(9, file(1))).failed_with("not a volume");
    machine.create(3, sealed(Scope::AnyProgram));
    machine.list(volume(3, sealed(Scope::AnyProgram))).printed("");
}

#[test]
fn a_read_only_volume_is_read_and_refuses_changes() {
    let mut machine = Machine::default();
    machine.plant();
    machine.create(1, file(1));
    let read_only = || OpenVolume { read_only: true, ..volume(1, file(1)) };
    machine.list(read_only()).printed("a\nother\n");
    let make = Operation::MakeDirectories { paths: strings(&["new"]), parents: false };
    machine.run(read_only(), make).failed_with("read-only");
}

#[test]
fn info_tells_what_a_key_shows_and_without_one_what_the_header_says() {
    let mut machine = Machine::default();
    machine.plant();
    machine.create(1, file(1));
    let info = |json| Operation::Info { header: true, json };
    let known = machine.run(volume(1, file(1)), info(true)).json();
    assert_eq!((known["files"].as_u64(), known["directories"].as_u64()), (Some(2), Some(2)));
    assert_eq!((known["format"].as_u64(), known["opened"].as_bool()), (Some(3), Some(true)));
    assert!(known["sequence"].as_u64() > Some(0));
    let number = |name: &str| known[name].as_u64().unwrap();
    assert!(number("used") > 70_000 && number("used") <= number("size"));
    let outer = machine.run(volume(1, sealed(Scope::Program)), info(true)).json();
    assert_eq!(outer["volume"], known["volume"]);
    assert_eq!(outer["keys"], known["keys"]);
    assert_eq!((outer["opened"].as_bool(), outer.get("files")), (Some(false), None));
    let words = machine.run(volume(1, sealed(Scope::Program)), info(false)).out;
    assert!(words.contains("0  key file") && words.contains("no key was given"), "{words}");
    let strict = Operation::Info { header: false, json: false };
    machine.run(volume(1, sealed(Scope::Program)), strict).failed_with("no sealing key opens it");
    machine.run(volume(9, file(1)), info(false)).failed_with("not a volume");
}

#[test]
fn keys_are_added_listed_rotated_and_removed() {
    let mut machine = Machine::default();
    machine.plant();
    machine.create(1, file(1));
    let one = || volume(1, file(1));
    machine.run(one(), Operation::AddKey { key: passphrase("long") }).printed("");
    machine.run(one(), Operation::AddKey { key: sealed(Scope::AnyProgram) }).printed("");
    machine.run(one(), Operation::AddKey { key: sealed(Scope::Program) }).printed("");
    machine.run(one(), Operation::ListKeys { json: false }).printed(
        "  0  key file\n  1  passphrase\n  2  sealed to any program in its signer's images\n  \
         3  sealed to one program in its signer's images\n",
    );
    let listed = machine.run(one(), Operation::ListKeys { json: true }).json();
    assert_eq!(listed[1]["kind"], "passphrase");
    assert_eq!(
        (&listed[2]["scope"], &listed[3]["scope"]),
        (&"any-program".into(), &"program".into())
    );
    machine.list(volume(1, passphrase("long"))).printed("a\nother\n");
    machine.list(volume(1, sealed(Scope::AnyProgram))).printed("a\nother\n");

    machine.run(one(), Operation::RotateKey { slot: None, key: file(2) }).printed("");
    machine.list(one()).failed_with("this key file does not open it");
    let two = || volume(1, file(2));
    machine.run(two(), Operation::RemoveKey { slot: 1 }).printed("");
    machine.list(volume(1, passphrase("long"))).failed_with("no passphrase opens it");
    machine.run(two(), Operation::RemoveKey { slot: 1 }).failed_with("no such key slot");
    let ambiguous = Operation::RotateKey { slot: None, key: sealed(Scope::AnyProgram) };
    machine
        .run(volume(1, sealed(Scope::AnyProgram)), ambiguous)
        .failed_with("several of its slots");
    machine
        .run(two(), Operation::RotateKey { slot: Some(3), key: sealed(Scope::AnyProgram) })
        .printed("");
    for slot in [2, 5] {
        machine.run(two(), Operation::RemoveKey { slot }).printed("");
    }
    machine.run(two(), Operation::RemoveKey { slot: 4 }).failed_with("last key slot");
    machine.list(two()).printed("a\nother\n");
}

#[test]
fn an_archive_opens_with_its_own_key_and_becomes_a_volume_of_another() {
    let mut machine = Machine::default();
    machine.plant();
    machine.create(1, sealed(Scope::AnyProgram));
    let more_keys = vec![file(5)];
    let target = OpenVolume { more_keys, ..volume(2, passphrase("travel")) };
    machine.run(volume(1, sealed(Scope::AnyProgram)), Operation::Export { target }).printed("");
    machine.list(volume(2, sealed(Scope::AnyProgram))).failed_with("no sealing key opens it");
    machine.list(volume(2, file(5))).printed("a\nother\n");
    let source = volume(2, passphrase("travel"));
    machine.run(volume(4, file(4)), Operation::Import { source }).printed("");
    let mut copied = machine.open(&volume(4, file(4)), Opening::ReadOnly).unwrap();
    assert_eq!(all(&mut copied), all(&mut machine.folders[&3].clone()));
    let source = volume(2, passphrase("wrong"));
    let done = machine.run(volume(5, file(4)), Operation::Import { source });
    done.failed_with("2.vol: this passphrase does not open it");
}

#[test]
fn damage_is_said_in_words_and_what_is_whole_is_still_read() {
    let mut machine = Machine::default();
    let mut files = memory();
    write(&mut files, "first", vec![1; 3_000_000]);
    write(&mut files, "second", vec![2; 3_000_000]);
    machine.folders.insert(3, Shared::new(files));
    machine.create(1, file(1));
    machine.storages[&1].with(|bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let print = Operation::Print { paths: strings(&["first", "second"]) };
    let done = machine.run(volume(1, file(1)), print);
    assert_eq!(done.code, 1);
    assert!(done.err.iter().any(|line| line.contains("input/output error")), "{:?}", done.err);
    assert!(done.err.iter().any(|line| line.contains("is not authentic")), "{:?}", done.err);
    assert!(done.err.last().is_some_and(|line| line.contains("twine volume check")));
    assert!(done.out.len() >= 3_000_000, "{} bytes", done.out.len());
    let before = machine.storages[&1].with(|bytes| bytes.clone());
    let read_only = || OpenVolume { read_only: true, ..volume(1, file(1)) };
    let done = machine.run(read_only(), Operation::Check { json: false, repair: Repair::No });
    done.failed_with("1.vol: something is lost");
    let lost: Vec<_> = done.out.lines().filter(|line| line.starts_with("lost: ")).collect();
    assert_eq!(lost.len(), 1, "{done:?}");
    assert!(lost[0].contains("/first") || lost[0].contains("/second"), "{done:?}");
    let done = machine.run(read_only(), Operation::Check { json: true, repair: Repair::No });
    let report: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &report["lost"], &report["files"]), (1, &true.into(), &2.into()));
    assert!(machine.storages[&1].with(|bytes| *bytes == before), "a check changes nothing");
}

#[test]
fn a_whole_volume_is_checked_with_progress() {
    let mut machine = Machine::default();
    let mut files = memory();
    write(&mut files, "large", vec![1; 30_000_000]);
    machine.folders.insert(3, Shared::new(files));
    machine.create(1, file(1));
    machine.console.watched = true;
    let done =
        machine.run(volume(1, file(1)), Operation::Check { json: false, repair: Repair::No });
    assert!(done.code == 0 && done.err.is_empty(), "{done:?}");
    assert!(done.out.ends_with("blocks are whole; 1 files, 0 directories, 0 links\n"), "{done:?}");
    let progress = &machine.console.progress;
    assert!(progress.len() >= 2 && progress.is_sorted_by_key(|&(done, ..)| done), "{progress:?}");
    assert!(progress.iter().all(|(done, total, _)| done <= total), "{progress:?}");
}

#[test]
fn compacting_gives_back_what_is_free_and_changes_nothing_else() {
    let mut machine = Machine::default();
    let mut files = memory();
    for number in 0..40_u8 {
        write(&mut files, &format!("d/{number}"), vec![number; 500_000]);
    }
    machine.folders.insert(3, Shared::new(files));
    machine.create(1, file(1));
    let paths: Vec<String> = (0..40).filter(|n| n % 4 != 3).map(|n| format!("d/{n}")).collect();
    let remove = Operation::Remove { paths, recursive: false, force: false };
    machine.run(volume(1, file(1)), remove).printed("");
    let size = |machine: &Machine| machine.storages[&1].with(|bytes| bytes.len());
    let (before, tree) =
        (size(&machine), all(&mut machine.open(&volume(1, file(1)), Opening::ReadWrite).unwrap()));
    let done = machine.run(volume(1, file(1)), Operation::Compact { json: false });
    assert!(done.code == 0 && done.err.is_empty(), "{done:?}");
    let after = size(&machine);
    assert!(after < before / 2, "{before} bytes, then {after}");
    assert!(all(&mut machine.open(&volume(1, file(1)), Opening::ReadWrite).unwrap()) == tree);
    let check =
        machine.run(volume(1, file(1)), Operation::Check { json: true, repair: Repair::No }).json();
    assert_eq!((&check["lost"], &check["finding_count"]), (&false.into(), &0.into()));
}

/// Makes a volume with 20 syncs, each after a new file, and damages an entry of its log.
fn damaged(machine: &mut Machine) {
    machine.create(1, file(1));
    let mut volume = machine.open(&volume(1, file(1)), Opening::ReadWrite).unwrap();
    let before = machine.storages[&1].with(|bytes| bytes.clone());
    let mut changed = Vec::new();
    for number in 0..20 {
        let root = volume.root();
        let inode = volume.create_file(root, &format!("f{number:02}")).unwrap();
        volume.release(inode);
        volume.sync_all().unwrap();
    }
    // Without closing it, as in a crash.
    drop(volume);
    machine.storages[&1].with(|bytes| {
        for block in 8..128 {
            let range = block * 4096..(block + 1) * 4096;
            if bytes[range.clone()] != before[range] {
                changed.push(block);
            }
        }
        bytes[changed[10] * 4096 + 1000] ^= 1;
    });
}

#[test]
fn a_damaged_end_is_refused_told_to_readers_and_repaired_when_the_user_says_so() {
    let mut machine = Machine::default();
    damaged(&mut machine);
    let whole = || volume(1, file(1));
    let read_only = || OpenVolume { read_only: true, ..whole() };
    let make = || Operation::MakeDirectories { paths: strings(&["d"]), parents: false };
    let bytes = machine.storages[&1].with(|bytes| bytes.clone());
    let refused = machine.run(whole(), make());
    refused.failed_with("the end of the volume is damaged: commit ");
    assert!(refused.err[1].contains("`twine volume check --repair`"), "{refused:?}");
    let listed = machine.list(read_only());
    assert_eq!((listed.code, listed.out.lines().count(), listed.err.len()), (0, 11, 1));
    assert!(listed.err[0].starts_with("warning: 1.vol: commit "), "{listed:?}");
    let info = machine.run(read_only(), Operation::Info { header: false, json: true });
    let known: serde_json::Value = serde_json::from_str(&info.out).unwrap();
    assert!(known["dropped"]["durable"].as_u64() > known["dropped"]["found"].as_u64(), "{info:?}");
    let check = |repair| Operation::Check { json: true, repair };
    let checked = machine.run(read_only(), check(Repair::No));
    let report: serde_json::Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!((checked.code, &report["lost"]), (1, &true.into()), "{checked:?}");
    for answer in [None, Some(false)] {
        machine.console.answer = answer;
        let asked = machine.run(whole(), check(Repair::Ask));
        assert_eq!((asked.code, asked.out.as_str()), (1, ""), "{asked:?}");
        assert!(asked.err[0].contains("what came after it will be lost"), "{asked:?}");
        assert!(asked.err[1].ends_with("[y/N] "), "{asked:?}");
    }
    assert!(machine.storages[&1].with(|now| *now == bytes), "nothing was changed");
    machine.console.answer = Some(true);
    let repaired = machine.run(whole(), check(Repair::Ask));
    assert_eq!(repaired.code, 0, "{repaired:?}");
    machine.run(whole(), make()).printed("");
    let report = machine.run(read_only(), check(Repair::No)).json();
    assert_eq!((&report["lost"], &report["dropped"]), (&false.into(), &().into()));
    assert_eq!(machine.list(read_only()).out.lines().count(), 12);
}

#[test]
fn a_repair_that_is_not_asked_for_says_what_is_lost_and_one_that_is_not_needed_changes_nothing() {
    let mut machine = Machine::default();
    damaged(&mut machine);
    let check = || Operation::Check { json: true, repair: Repair::Yes };
    let repaired = machine.run(volume(1, file(1)), check());
    assert_eq!((repaired.code, repaired.err.len()), (0, 1), "{repaired:?}");
    assert!(repaired.err[0].contains("will be lost"), "{repaired:?}");
    let again = machine.run(volume(1, file(1)), check());
    assert_eq!((again.code, again.err.len()), (0, 0), "{again:?}");
}

/// The offset of the only block in a file of 2^60 bytes.
const FAR: u64 = 1 << 59;

/// Makes a volume with a file of 2^60 bytes that is a hole except for one block.
fn with_a_long_hole(machine: &mut Machine) {
    machine.create(1, file(1));
    let mut volume = machine.open(&volume(1, file(1)), Opening::ReadWrite).unwrap();
    let inode = volume.create_file(volume.root(), "sparse").unwrap();
    volume.write(inode, FAR, &[7; 4096]).unwrap();
    volume.set_size(inode, 1 << 60).unwrap();
    volume.release(inode);
    volume.close().unwrap();
}

#[track_caller]
fn assert_sparse(files: &mut dyn FileSystem, name: &str) {
    let inode = files.lookup(files.root(), name).unwrap();
    assert_eq!(files.attributes(inode).unwrap().size, 1 << 60);
    let mut bytes = [0; 4098];
    assert_eq!(files.read(inode, FAR - 1, &mut bytes), Ok(4098));
    assert!(bytes[0] == 0 && bytes[1..4097] == [7; 4096] && bytes[4097] == 0);
    files.release(inode);
}

/// Reading all of it would take years, and writing it would need more space than exists.
#[test]
fn no_command_takes_longer_or_more_room_for_a_hole() {
    let mut machine = Machine::default();
    with_a_long_hole(&mut machine);
    machine.folders.insert(4, Shared::new(memory()));
    let one = || volume(1, file(1));
    let from = || vec![inside("sparse")];
    let copy = |target| Operation::Copy { sources: from(), target, recursive: false };
    let outside = Location::Folder(FolderLocation {
        folder: 4,
        entry: "out".into(),
        name: "out".into(),
        shown: "out".into(),
    });
    machine.run(one(), copy(inside("copy"))).printed("");
    machine.run(one(), copy(outside)).printed("");
    machine.run(one(), Operation::Export { target: volume(2, file(2)) }).printed("");
    machine.run(volume(5, file(5)), Operation::Import { source: volume(2, file(2)) }).printed("");
    for operation in [
        Operation::Compact { json: false },
        Operation::Check { json: false, repair: Repair::No },
        Operation::Info { header: false, json: false },
        Operation::List { path: "/".into(), long: true, json: false },
    ] {
        let done = machine.run(one(), operation);
        assert!(done.code == 0 && done.err.is_empty(), "{done:?}");
    }
    for (storage, key) in [(1, 1), (2, 2), (5, 5)] {
        let mut volume = machine.open(&volume(storage, file(key)), Opening::ReadWrite).unwrap();
        assert_sparse(&mut volume, "sparse");
        assert_sparse(&mut volume, "copy");
        assert!(machine.storages[&storage].with(|bytes| bytes.len()) < 2 << 20);
    }
    assert_sparse(&mut machine.folders[&4].clone(), "out");
    let paths = strings(&["sparse", "copy"]);
    let remove = Operation::Remove { paths, recursive: false, force: false };
    machine.run(one(), remove).printed("");
}

#[test]
fn a_file_that_is_nearly_all_hole_is_not_written_to_a_stream() {
    let mut machine = Machine::default();
    with_a_long_hole(&mut machine);
    let one = || volume(1, file(1));
    let print = Operation::Print { paths: strings(&["sparse"]) };
    let copy = Operation::Copy {
        sources: vec![inside("sparse")],
        target: Location::Stream,
        recursive: false,
    };
    for operation in [print, copy] {
        let done = machine.run(one(), operation);
        done.failed_with("1.vol::sparse has 1152921504606846976 bytes, nearly all of them a hole");
        assert!(done.out.is_empty() && done.err[1].contains("copy it to a file"), "{done:?}");
    }
    // A shorter hole becomes zeros, as with `cat`.
    let mut held = machine.open(&one(), Opening::ReadWrite).unwrap();
    let inode = held.lookup(held.root(), "sparse").unwrap();
    held.set_size(inode, 3_000_000).unwrap();
    held.close().unwrap();
    let done = machine.run(one(), Operation::Print { paths: strings(&["sparse"]) });
    assert!(done.code == 0 && done.out.len() == 3_000_000, "{:?}", done.err);
}

#[test]
fn a_file_that_is_too_long_for_its_new_place_is_refused_before_it_is_read() {
    let mut machine = Machine::default();
    let mut files = memory();
    let inode = files.create_file(files.root(), "long").unwrap();
    files.write(inode, 0, &[1; 100_000]).unwrap();
    files.set_size(inode, (1 << 60) + 1).unwrap();
    files.release(inode);
    machine.folders.insert(3, Shared::new(files));
    let done = machine.run(volume(1, file(1)), Operation::Create { folder: Some(3) });
    done.failed_with("1.vol::/long: file too large");
    assert!(done.err[1].contains("whose file system takes larger ones"), "{done:?}");
    let mut held = machine.open(&volume(1, file(1)), Opening::ReadWrite).unwrap();
    let inode = held.lookup(held.root(), "long").unwrap();
    assert_eq!(held.attributes(inode).unwrap().size, 0);
}

#[test]
fn compact_says_what_keeps_the_file_long() {
    let mut machine = Machine::default();
    let mut files = memory();
    for (number, name) in (1..).zip(["first", "second", "third"]) {
        write(&mut files, name, vec![number; 2_000_000]);
    }
    machine.folders.insert(3, Shared::new(files));
    machine.create(1, file(1));
    let one = || volume(1, file(1));
    let size = |machine: &Machine| machine.storages[&1].with(|bytes| bytes.len());
    let (names, mut last) = (["first", "second", "third"], None);
    // Damage a block of the file that is last in the volume.
    let base = machine.storages[&1].with(|bytes| bytes.clone());
    for name in names {
        machine.storages.insert(1, MemoryStorage::new(base.clone()));
        let paths = names.iter().filter(|other| **other != name).map(|name| (*name).into());
        let paths = paths.collect();
        machine.run(one(), Operation::Remove { paths, recursive: false, force: false }).printed("");
        if machine.storages[&1].with(|bytes| bytes.len()) > 5_500_000 {
            last = Some(name);
            break;
        }
    }
    let name = last.expect("one of them lies last");
    let before = size(&machine);
    machine.storages[&1].with(|bytes| {
        let block = bytes.len() - 4096 * 100;
        bytes[block] ^= 1;
    });
    let done = machine.run(one(), Operation::Compact { json: false });
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.iter().any(|line| line.contains("is not authentic")), "{done:?}");
    let said =
        |line: &String| line.contains("free bytes remain: a block behind them can't be read");
    assert!(done.err.iter().any(said), "{done:?}");
    assert!(size(&machine) > before - 500_000);
    // After the file is removed, the rest can be freed.
    let remove = Operation::Remove { paths: strings(&[name]), recursive: false, force: false };
    machine.run(one(), remove).printed("");
    let done = machine.run(one(), Operation::Compact { json: true }).json();
    assert_eq!(done["blocks_not_moved"], 0, "{done}");
    assert!(done["bytes_now"].as_u64() < Some(800_000), "{done}");
}
