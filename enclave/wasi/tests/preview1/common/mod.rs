//! A program that calls WASI, and its environment.

mod outside;
mod tree;

pub use outside::{Connection, LISTENER, Outside, World};
pub use tree::Tree;

use std::sync::{MutexGuard, OnceLock};
use twine_vfs::FileSystem;
use twine_wasi::{Wasi, add_to_linker};
use wasmtime::{Engine, Instance, InstancePre, Linker, Module, Store};

/// All functions, the types of their parameters, and whether they return an errno.
const FUNCTIONS: &[(&str, &str, bool)] = &[
    ("args_get", "i32 i32", true),
    ("args_sizes_get", "i32 i32", true),
    ("clock_res_get", "i32 i32", true),
    ("clock_time_get", "i32 i64 i32", true),
    ("environ_get", "i32 i32", true),
    ("environ_sizes_get", "i32 i32", true),
    ("fd_advise", "i32 i64 i64 i32", true),
    ("fd_allocate", "i32 i64 i64", true),
    ("fd_close", "i32", true),
    ("fd_datasync", "i32", true),
    ("fd_fdstat_get", "i32 i32", true),
    ("fd_fdstat_set_flags", "i32 i32", true),
    ("fd_fdstat_set_rights", "i32 i64 i64", true),
    ("fd_filestat_get", "i32 i32", true),
    ("fd_filestat_set_size", "i32 i64", true),
    ("fd_filestat_set_times", "i32 i64 i64 i32", true),
    ("fd_pread", "i32 i32 i32 i64 i32", true),
    ("fd_prestat_dir_name", "i32 i32 i32", true),
    ("fd_prestat_get", "i32 i32", true),
    ("fd_pwrite", "i32 i32 i32 i64 i32", true),
    ("fd_read", "i32 i32 i32 i32", true),
    ("fd_readdir", "i32 i32 i32 i64 i32", true),
    ("fd_renumber", "i32 i32", true),
    ("fd_seek", "i32 i64 i32 i32", true),
    ("fd_sync", "i32", true),
    ("fd_tell", "i32 i32", true),
    ("fd_write", "i32 i32 i32 i32", true),
    ("path_create_directory", "i32 i32 i32", true),
    ("path_filestat_get", "i32 i32 i32 i32 i32", true),
    ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32", true),
    ("path_link", "i32 i32 i32 i32 i32 i32 i32", true),
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32", true),
    ("path_readlink", "i32 i32 i32 i32 i32 i32", true),
    ("path_remove_directory", "i32 i32 i32", true),
    ("path_rename", "i32 i32 i32 i32 i32 i32", true),
    ("path_symlink", "i32 i32 i32 i32 i32", true),
    ("path_unlink_file", "i32 i32 i32", true),
    ("poll_oneoff", "i32 i32 i32 i32", true),
    ("proc_exit", "i32", false),
    ("proc_raise", "i32", true),
    ("random_get", "i32 i32", true),
    ("sched_yield", "", true),
    ("sock_accept", "i32 i32 i32", true),
    ("sock_recv", "i32 i32 i32 i32 i32 i32", true),
    ("sock_send", "i32 i32 i32 i32 i32", true),
    ("sock_shutdown", "i32 i32", true),
];

/// The names of all functions.
pub fn functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, ..)| *name)
}

/// The number of parameters of a function.
pub fn parameters(name: &str) -> usize {
    let (_, types, _) = FUNCTIONS.iter().find(|(other, ..)| *other == name).expect(name);
    types.split_whitespace().count()
}

/// Makes a module that exports its memory, and every import under the import's name.
fn module(memory: &str) -> String {
    let mut text = String::from("(module ");
    for (name, parameters, result) in FUNCTIONS {
        let result = if *result { "(result i32)" } else { "" };
        text += &format!(
            r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {parameters}) {result}))"#
        );
    }
    text += &format!(r#"(memory (export "memory") {memory})"#);
    // Wrap each import in a function of the program: an import that is called from outside would
    // find no memory.
    for (name, types, result) in FUNCTIONS {
        let result = if *result { "(result i32)" } else { "" };
        let values: String =
            (0..parameters(name)).map(|number| format!("(local.get {number})")).collect();
        text += &format!(
            r#"(func (export "{name}") (param {types}) {result} (call ${name} {values}))"#
        );
    }
    // Functions that fill and sum up bytes: tests use them for a memory that threads share.
    text += r#"
        (func (export "fill") (param i32 i32 i32)
            (memory.fill (local.get 0) (local.get 1) (local.get 2)))
        (func (export "sum") (param i32 i32) (result i32) (local i32)
            (block (loop
                (br_if 1 (i32.eqz (local.get 1)))
                (local.set 2 (i32.add (local.get 2) (i32.load8_u (local.get 0))))
                (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
                (br 0)))
            (local.get 2))
        (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
        (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#;
    text
}

fn linked(memory: &str) -> InstancePre<Wasi> {
    let mut config = wasmtime::Config::new();
    config.wasm_threads(true);
    config.shared_memory(true);
    let engine = Engine::new(&config).unwrap();
    let module = Module::from_binary(&engine, &wat::parse_str(module(memory)).unwrap()).unwrap();
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |wasi| wasi).unwrap();
    linker.instantiate_pre(&module).unwrap()
}

/// Errnos of the witx.
pub mod errno {
    pub const SUCCESS: i32 = 0;
    pub const ACCES: i32 = 2;
    pub const AGAIN: i32 = 6;
    pub const BADF: i32 = 8;
    pub const BUSY: i32 = 10;
    pub const CONNABORTED: i32 = 13;
    pub const CONNREFUSED: i32 = 14;
    pub const CONNRESET: i32 = 15;
    pub const HOSTUNREACH: i32 = 23;
    pub const PROTO: i32 = 65;
    pub const TIMEDOUT: i32 = 73;
    pub const EXIST: i32 = 20;
    pub const FBIG: i32 = 22;
    pub const ILSEQ: i32 = 25;
    pub const INVAL: i32 = 28;
    pub const IO: i32 = 29;
    pub const ISDIR: i32 = 31;
    pub const LOOP: i32 = 32;
    pub const MFILE: i32 = 33;
    pub const NAMETOOLONG: i32 = 37;
    pub const NFILE: i32 = 41;
    pub const NOENT: i32 = 44;
    pub const NOSPC: i32 = 51;
    pub const NOTCONN: i32 = 53;
    pub const NOTDIR: i32 = 54;
    pub const NOTEMPTY: i32 = 55;
    pub const NOTSOCK: i32 = 57;
    pub const NOTSUP: i32 = 58;
    pub const PERM: i32 = 63;
    pub const PIPE: i32 = 64;
    pub const ROFS: i32 = 69;
    pub const SPIPE: i32 = 70;
    pub const XDEV: i32 = 75;
    pub const NOTCAPABLE: i32 = 76;
}
pub use errno::*;

pub const CREATE: i64 = 1;
pub const DIRECTORY: i64 = 2;
pub const EXCLUSIVE: i64 = 4;
pub const TRUNCATE: i64 = 8;

pub const APPEND: i64 = 1;
pub const DSYNC: i64 = 2;
pub const NONBLOCK: i64 = 4;
pub const RSYNC: i64 = 8;
pub const SYNC: i64 = 16;

pub const READ: i64 = 1 << 1;
pub const WRITE: i64 = 1 << 6;

pub const SET: i64 = 0;
pub const CURRENT: i64 = 1;
pub const END: i64 = 2;

/// The first preopen.
pub const ROOT: i64 = 3;

/// Addresses that the helpers below use.
const PATH: usize = 0x10000;
const OTHER_PATH: usize = 0x14000;
const RESULT: usize = 0x18000;
const VECTORS: usize = 0x19000;
const BUFFER: usize = 0x20000;
/// Size of the buffer in bytes.
pub const BUFFER_SIZE: usize = 0x40000;

/// The attributes of an inode, as a program gets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub device: u64,
    pub inode: u64,
    pub kind: u8,
    pub links: u64,
    pub size: u64,
    pub accessed: u64,
    pub modified: u64,
    pub changed: u64,
}

/// Kinds of files.
pub const IS_DIRECTORY: u8 = 3;
pub const IS_FILE: u8 = 4;
pub const IS_SOCKET: u8 = 6;
pub const IS_LINK: u8 = 7;

/// A program that calls WASI as a test says.
pub struct Program {
    store: Store<Wasi>,
    instance: Instance,
    pub outside: Outside,
}

/// The result of a call, or its errno.
pub type Outcome<T> = Result<T, i32>;

impl Program {
    pub fn new(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        static LINKED: OnceLock<InstancePre<Wasi>> = OnceLock::new();
        let outside = Outside::default();
        Program::start(LINKED.get_or_init(|| linked("8")), outside, arguments, environment)
    }

    /// Makes a program with a device as one of its standard streams.
    pub fn on_device(stream: u64) -> Self {
        static LINKED: OnceLock<InstancePre<Wasi>> = OnceLock::new();
        let outside = Outside::default();
        outside.world().device = Some(stream);
        Program::start(LINKED.get_or_init(|| linked("8")), outside, &[], &[])
    }

    /// Makes a program with a shared memory, like a program with threads.
    pub fn threaded() -> Self {
        static LINKED: OnceLock<InstancePre<Wasi>> = OnceLock::new();
        Program::start(LINKED.get_or_init(|| linked("8 8 shared")), Outside::default(), &[], &[])
    }

    fn start(
        linked: &InstancePre<Wasi>,
        outside: Outside,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let arguments = arguments.iter().map(|&text| text.into()).collect();
        let environment =
            environment.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        let wasi = Wasi::new(Box::new(outside.clone()), arguments, environment).unwrap();
        let mut store = Store::new(linked.module().engine(), wasi);
        let instance = linked.instantiate(&mut store).unwrap();
        Program { store, instance, outside }
    }

    /// Makes a program with these file systems.
    pub fn with(mounts: Vec<(&str, Box<dyn FileSystem>)>) -> Self {
        let mut program = Program::new(&[], &[]);
        for (path, files) in mounts {
            program.wasi().mount(path, files).unwrap();
        }
        program
    }

    /// Makes a program with one tree at `/`.
    pub fn over(tree: &Tree) -> Self {
        Program::with(vec![("/", tree.mounted())])
    }

    pub fn wasi(&mut self) -> &mut Wasi {
        self.store.data_mut()
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.outside.world()
    }

    pub fn try_call(&mut self, name: &str, arguments: &[i64]) -> wasmtime::Result<i32> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let ty = function.ty(&self.store);
        let values: Vec<_> = ty
            .params()
            .zip(arguments)
            .map(|(ty, &value)| match ty {
                wasmtime::ValType::I64 => wasmtime::Val::I64(value),
                _ => wasmtime::Val::I32(value as i32),
            })
            .collect();
        assert_eq!(ty.params().len(), arguments.len(), "{name}");
        let mut results = vec![wasmtime::Val::I32(0); ty.results().len()];
        function.call(&mut self.store, &values, &mut results)?;
        Ok(results.first().map_or(0, |value| value.unwrap_i32()))
    }

    /// Calls a function, and returns its errno.
    pub fn call(&mut self, name: &str, arguments: &[i64]) -> i32 {
        self.try_call(name, arguments).unwrap()
    }

    /// Calls a function that returns only an errno.
    pub fn outcome(&mut self, name: &str, arguments: &[i64]) -> Outcome<()> {
        match self.call(name, arguments) {
            SUCCESS => Ok(()),
            errno => Err(errno),
        }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        let memory = self.instance.get_memory(&mut self.store, "memory").unwrap();
        memory.data_mut(&mut self.store)
    }

    pub fn u32(&mut self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes()[at..at + 4].try_into().unwrap())
    }

    pub fn u64(&mut self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes()[at..at + 8].try_into().unwrap())
    }

    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes an array of pointers and lengths at `at`.
    pub fn vectors(&mut self, at: usize, vectors: &[(u32, u32)]) {
        for (number, (pointer, length)) in vectors.iter().enumerate() {
            self.put(at + number * 8, &pointer.to_le_bytes());
            self.put(at + number * 8 + 4, &length.to_le_bytes());
        }
    }

    pub fn string(&mut self, at: usize) -> String {
        let bytes = &self.bytes()[at..];
        let end = bytes.iter().position(|&byte| byte == 0).unwrap();
        String::from_utf8(bytes[..end].to_vec()).unwrap()
    }

    /// Writes a path, and returns its pointer and length.
    fn path(&mut self, path: impl AsRef<[u8]>) -> [i64; 2] {
        self.put(PATH, path.as_ref());
        [PATH as i64, path.as_ref().len() as i64]
    }

    fn other_path(&mut self, path: &str) -> [i64; 2] {
        self.put(OTHER_PATH, path.as_bytes());
        [OTHER_PATH as i64, path.len() as i64]
    }

    /// Calls a function that takes only a descriptor and a path.
    pub fn on_path(&mut self, name: &str, fd: i64, path: impl AsRef<[u8]>) -> Outcome<()> {
        let [at, length] = self.path(path);
        self.outcome(name, &[fd, at, length])
    }

    pub fn mkdir(&mut self, path: &str) -> Outcome<()> {
        self.on_path("path_create_directory", ROOT, path)
    }

    pub fn unlink(&mut self, path: &str) -> Outcome<()> {
        self.on_path("path_unlink_file", ROOT, path)
    }

    pub fn rmdir(&mut self, path: &str) -> Outcome<()> {
        self.on_path("path_remove_directory", ROOT, path)
    }

    pub fn symlink(&mut self, target: &str, path: &str) -> Outcome<()> {
        let [at, length] = self.path(path);
        let [target, target_length] = self.other_path(target);
        self.outcome("path_symlink", &[target, target_length, ROOT, at, length])
    }

    pub fn rename_at(&mut self, from: (i64, &str), to: (i64, &str)) -> Outcome<()> {
        let [old, old_length] = self.path(from.1);
        let [new, new_length] = self.other_path(to.1);
        self.outcome("path_rename", &[from.0, old, old_length, to.0, new, new_length])
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Outcome<()> {
        self.rename_at((ROOT, from), (ROOT, to))
    }

    pub fn link_at(&mut self, follow: bool, from: (i64, &str), to: (i64, &str)) -> Outcome<()> {
        let [old, old_length] = self.path(from.1);
        let [new, new_length] = self.other_path(to.1);
        let flags = i64::from(follow);
        self.outcome("path_link", &[from.0, flags, old, old_length, to.0, new, new_length])
    }

    pub fn link(&mut self, from: &str, to: &str) -> Outcome<()> {
        self.link_at(false, (ROOT, from), (ROOT, to))
    }

    pub fn readlink(&mut self, path: &str, size: usize) -> Outcome<Vec<u8>> {
        let [at, length] = self.path(path);
        let arguments = [ROOT, at, length, BUFFER as i64, size as i64, RESULT as i64];
        self.outcome("path_readlink", &arguments)?;
        let length = self.u32(RESULT) as usize;
        Ok(self.bytes()[BUFFER..BUFFER + length].to_vec())
    }

    /// Calls `path_open` with all its arguments except the inheriting rights.
    pub fn open_at(
        &mut self,
        fd: i64,
        path: impl AsRef<[u8]>,
        follow: bool,
        flags: i64,
        rights: i64,
        descriptor_flags: i64,
    ) -> Outcome<i64> {
        let [at, length] = self.path(path);
        let follow = i64::from(follow);
        let result = RESULT as i64;
        let arguments = [fd, follow, at, length, flags, rights, 0, descriptor_flags, result];
        self.outcome("path_open", &arguments)?;
        Ok(i64::from(self.u32(RESULT)))
    }

    /// Opens for reading and writing, and follows links.
    pub fn open(&mut self, path: &str, flags: i64) -> Outcome<i64> {
        self.open_at(ROOT, path, true, flags, READ | WRITE, 0)
    }

    /// Opens for reading, and follows links.
    pub fn open_to_read(&mut self, path: &str) -> Outcome<i64> {
        self.open_at(ROOT, path, true, 0, READ, 0)
    }

    /// Opens a directory, and follows links.
    pub fn open_directory(&mut self, path: &str) -> Outcome<i64> {
        self.open_at(ROOT, path, true, DIRECTORY, 0, 0)
    }

    /// Makes a file with these contents.
    pub fn file(&mut self, path: &str, contents: &[u8]) {
        let fd = self.open(path, CREATE | EXCLUSIVE).unwrap();
        assert_eq!(self.write(fd, contents), Ok(contents.len()));
        self.close(fd).unwrap();
    }

    pub fn contents(&mut self, path: &str) -> Outcome<Vec<u8>> {
        let fd = self.open_to_read(path)?;
        let contents = self.read(fd, BUFFER_SIZE)?;
        self.close(fd)?;
        Ok(contents)
    }

    pub fn close(&mut self, fd: i64) -> Outcome<()> {
        self.outcome("fd_close", &[fd])
    }

    fn one_vector(&mut self, size: usize) {
        assert!(size <= BUFFER_SIZE);
        self.vectors(VECTORS, &[(BUFFER as u32, size as u32)]);
    }

    fn taken(&mut self) -> Vec<u8> {
        let length = self.u32(RESULT) as usize;
        self.bytes()[BUFFER..BUFFER + length].to_vec()
    }

    pub fn read(&mut self, fd: i64, size: usize) -> Outcome<Vec<u8>> {
        self.one_vector(size);
        self.outcome("fd_read", &[fd, VECTORS as i64, 1, RESULT as i64])?;
        Ok(self.taken())
    }

    pub fn pread(&mut self, fd: i64, size: usize, offset: u64) -> Outcome<Vec<u8>> {
        self.one_vector(size);
        self.outcome("fd_pread", &[fd, VECTORS as i64, 1, offset as i64, RESULT as i64])?;
        Ok(self.taken())
    }

    pub fn write(&mut self, fd: i64, bytes: &[u8]) -> Outcome<usize> {
        self.one_vector(bytes.len());
        self.put(BUFFER, bytes);
        self.outcome("fd_write", &[fd, VECTORS as i64, 1, RESULT as i64])?;
        Ok(self.u32(RESULT) as usize)
    }

    pub fn pwrite(&mut self, fd: i64, bytes: &[u8], offset: u64) -> Outcome<usize> {
        self.one_vector(bytes.len());
        self.put(BUFFER, bytes);
        self.outcome("fd_pwrite", &[fd, VECTORS as i64, 1, offset as i64, RESULT as i64])?;
        Ok(self.u32(RESULT) as usize)
    }

    pub fn receive(&mut self, fd: i64, size: usize, flags: i64) -> Outcome<Vec<u8>> {
        self.one_vector(size);
        let arguments = [fd, VECTORS as i64, 1, flags, RESULT as i64, RESULT as i64 + 8];
        self.outcome("sock_recv", &arguments)?;
        Ok(self.taken())
    }

    pub fn send(&mut self, fd: i64, bytes: &[u8], flags: i64) -> Outcome<usize> {
        self.one_vector(bytes.len());
        self.put(BUFFER, bytes);
        self.outcome("sock_send", &[fd, VECTORS as i64, 1, flags, RESULT as i64])?;
        Ok(self.u32(RESULT) as usize)
    }

    pub fn accept(&mut self, fd: i64, flags: i64) -> Outcome<i64> {
        self.outcome("sock_accept", &[fd, flags, RESULT as i64])?;
        Ok(i64::from(self.u32(RESULT)))
    }

    pub fn seek(&mut self, fd: i64, offset: i64, whence: i64) -> Outcome<u64> {
        self.outcome("fd_seek", &[fd, offset, whence, RESULT as i64])?;
        Ok(self.u64(RESULT))
    }

    pub fn tell(&mut self, fd: i64) -> Outcome<u64> {
        self.outcome("fd_tell", &[fd, RESULT as i64])?;
        Ok(self.u64(RESULT))
    }

    fn stat(&mut self) -> Stat {
        let word = |program: &mut Self, number: usize| program.u64(RESULT + number * 8);
        Stat {
            device: word(self, 0),
            inode: word(self, 1),
            kind: word(self, 2) as u8,
            links: word(self, 3),
            size: word(self, 4),
            accessed: word(self, 5),
            modified: word(self, 6),
            changed: word(self, 7),
        }
    }

    pub fn fd_stat(&mut self, fd: i64) -> Outcome<Stat> {
        self.outcome("fd_filestat_get", &[fd, RESULT as i64])?;
        Ok(self.stat())
    }

    pub fn path_stat(&mut self, path: impl AsRef<[u8]>, follow: bool) -> Outcome<Stat> {
        let [at, length] = self.path(path);
        let arguments = [ROOT, i64::from(follow), at, length, RESULT as i64];
        self.outcome("path_filestat_get", &arguments)?;
        Ok(self.stat())
    }

    /// Returns kind, flags, rights and inheriting rights.
    pub fn fdstat(&mut self, fd: i64) -> Outcome<(u8, u16, i64, i64)> {
        self.outcome("fd_fdstat_get", &[fd, RESULT as i64])?;
        let head = self.u32(RESULT);
        let (base, inheriting) = (self.u64(RESULT + 8) as i64, self.u64(RESULT + 16) as i64);
        Ok((head as u8, (head >> 16) as u16, base, inheriting))
    }

    /// Returns the bytes from `fd_readdir`.
    pub fn readdir(&mut self, fd: i64, size: usize, cookie: u64) -> Outcome<Vec<u8>> {
        assert!(size <= BUFFER_SIZE);
        let arguments = [fd, BUFFER as i64, size as i64, cookie as i64, RESULT as i64];
        self.outcome("fd_readdir", &arguments)?;
        Ok(self.taken())
    }
}
