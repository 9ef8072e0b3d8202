//! Does usual work with files through Rust's library, and prints the results. A native build prints
//! the same.
//!
//!     files-rust FOLDER [MIB]
//!
//! FOLDER must be empty, and is empty again at the end; MIB is the size of the big file.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Ends the program unless the condition holds.
macro_rules! ensure {
    ($what:expr, $($text:tt)+) => {
        if !$what {
            return Err(format!($($text)+).into());
        }
    };
}

/// A stream of pseudorandom numbers: SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Returns the FNV-1a hash, to compare contents by one number.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Collects the paths and contents of a tree.
fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<PathBuf, u64>) -> Result {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            walk(&path, root, found)?;
        } else {
            found.insert(path.strip_prefix(root)?.to_owned(), checksum(&fs::read(&path)?));
        }
    }
    Ok(())
}

fn tree(root: &Path) -> Result {
    let root = root.join("tree");
    let mut expected = BTreeMap::new();
    let mut numbers = Numbers(1);
    for outer in 0..8 {
        for inner in 0..8 {
            let folder = format!("outer {outer}/inner-{inner}/\u{fc}ml\u{e4}ut");
            fs::create_dir_all(root.join(&folder))?;
            for file in 0..4 {
                let mut bytes = vec![0; numbers.below(6000) as usize];
                numbers.fill(&mut bytes);
                let path = Path::new(&folder).join(format!("{file}.bin"));
                fs::write(root.join(&path), &bytes)?;
                expected.insert(path, checksum(&bytes));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&root, &root, &mut found)?;
    ensure!(found == expected, "the tree is not what was written");
    let all = found.values().fold(0, |sum: u64, one| sum.rotate_left(7) ^ one);
    println!("tree: {} files, {all:016x}", found.len());

    // This moves a folder with its contents, and moves a file over another one.
    fs::rename(root.join("outer 3"), root.join("outer 0/moved"))?;
    fs::rename(
        root.join("outer 1/inner-0/\u{fc}ml\u{e4}ut/0.bin"),
        root.join("outer 1/inner-0/\u{fc}ml\u{e4}ut/1.bin"),
    )?;
    let mut after = BTreeMap::new();
    walk(&root, &root, &mut after)?;
    let moved = after.keys().filter(|path| path.starts_with("outer 0/moved")).count();
    println!("after renames: {} files, {moved} of them moved", after.len());
    fs::remove_dir_all(&root)?;
    println!("removed: {}", !root.exists());
    Ok(())
}

fn errors(root: &Path) -> Result {
    let file = root.join("file");
    fs::write(&file, "text")?;
    let kinds: [(&str, io::Result<()>); 6] = [
        ("open a missing file", File::open(root.join("missing")).map(drop)),
        (
            "create one that is there",
            OpenOptions::new().write(true).create_new(true).open(&file).map(drop),
        ),
        ("a file as a folder", File::open(file.join("below")).map(drop)),
        ("list a file", fs::read_dir(&file).map(drop)),
        (
            "make a folder twice",
            fs::create_dir(root.join("a")).and_then(|()| fs::create_dir(root.join("a"))),
        ),
        ("remove a folder as a file", fs::remove_dir(&file)),
    ];
    for (what, result) in kinds {
        let kind = result
            .err()
            .map_or_else(|| "no error".to_owned(), |error| format!("{:?}", error.kind()));
        println!("{what}: {kind}");
    }
    // Not every version of the library has a name for this error on WASI.
    fs::write(root.join("a/b"), "")?;
    println!("a full folder stays: {}", fs::remove_dir(root.join("a")).is_err());
    fs::remove_dir_all(root.join("a"))?;
    fs::remove_file(file)?;
    Ok(())
}

fn sizes(root: &Path) -> Result {
    let path = root.join("sizes");
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    file.write_all(b"0123456789")?;
    file.set_len(4)?;
    file.set_len(12)?;
    file.seek(SeekFrom::End(-1))?;
    file.write_all(b"end")?;
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    println!("cut, grown, written at its end: {text:?}");

    const FAR: u64 = 5 << 30;
    file.seek(SeekFrom::Start(FAR))?;
    file.write_all(b"far")?;
    let mut hole = [1; 4096];
    file.seek(SeekFrom::Start(FAR / 2))?;
    file.read_exact(&mut hole)?;
    println!("sparse: {} bytes, its hole is empty: {}", file.metadata()?.len(), hole == [0; 4096]);
    file.set_len(0)?;
    drop(file);
    let mut log = OpenOptions::new().append(true).open(&path)?;
    for line in 0..3 {
        writeln!(log, "line {line}")?;
    }
    log.sync_all()?;
    let lines = BufReader::new(File::open(&path)?).lines().collect::<io::Result<Vec<_>>>()?;
    println!("appended: {lines:?}");
    fs::remove_file(path)?;
    Ok(())
}

fn links(root: &Path) -> Result {
    let (file, hard) = (root.join("file"), root.join("hard"));
    fs::write(&file, "linked")?;
    system::hard_link(&file, &hard)?;
    fs::remove_file(&file)?;
    println!("by its other name: {:?}", fs::read_to_string(&hard)?);
    system::symlink("hard", &root.join("soft"))?;
    let soft = fs::symlink_metadata(root.join("soft"))?.file_type();
    println!("a symbolic link: {}, to {:?}", soft.is_symlink(), fs::read_link(root.join("soft"))?);
    println!("through it: {:?}", fs::read_to_string(root.join("soft"))?);
    fs::remove_file(hard)?;
    let broken = fs::metadata(root.join("soft")).err().map(|error| error.kind());
    println!("when its target is gone: {broken:?}");
    fs::remove_file(root.join("soft"))?;
    Ok(())
}

/// Functions that have different names in Rust's library on each system.
#[cfg(unix)]
mod system {
    pub use std::fs::hard_link;
    pub use std::os::unix::fs::symlink;
}

/// On WASI, the library's function for symbolic links is not stable yet, and its function for hard
/// links finds no file with the C library of Debian 12. These are the C library's own functions.
#[cfg(not(unix))]
mod system {
    use std::ffi::{CString, c_char, c_int};
    use std::io;
    use std::path::Path;

    type Function = unsafe extern "C" fn(*const c_char, *const c_char) -> c_int;

    unsafe extern "C" {
        fn link(from: *const c_char, to: *const c_char) -> c_int;
        #[link_name = "symlink"]
        fn symbolic_link(target: *const c_char, path: *const c_char) -> c_int;
    }

    fn call(function: Function, a: &Path, b: &Path) -> io::Result<()> {
        let text = |path: &Path| -> io::Result<CString> {
            let text = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
            CString::new(text).map_err(|_| io::ErrorKind::InvalidInput.into())
        };
        let (a, b) = (text(a)?, text(b)?);
        // SAFETY: both strings end in NUL and outlive the call.
        match unsafe { function(a.as_ptr(), b.as_ptr()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
        call(link, from, to)
    }

    pub fn symlink(target: impl AsRef<Path>, path: &Path) -> io::Result<()> {
        call(symbolic_link, target.as_ref(), path)
    }
}

fn many_at_once(root: &Path) -> Result {
    const FILES: usize = 200;
    let name = |number: usize| root.join(format!("part {number:03}"));
    let open =
        |number| OpenOptions::new().read(true).write(true).create_new(true).open(name(number));
    let mut files = (0..FILES).map(open).collect::<io::Result<Vec<_>>>()?;
    let mut expected = vec![Vec::new(); FILES];
    let mut numbers = Numbers(2);
    for _ in 0..5000 {
        let at = numbers.below(FILES as u64) as usize;
        let mut bytes = vec![0; numbers.below(300) as usize];
        numbers.fill(&mut bytes);
        files[at].write_all(&bytes)?;
        expected[at].extend(bytes);
    }
    for (number, (file, expected)) in files.iter_mut().zip(&expected).enumerate() {
        // The name is gone, but the open file stays usable.
        fs::remove_file(name(number))?;
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        ensure!(bytes == *expected, "part {number} is not what was written");
    }
    let all = expected.iter().fold(0, |sum: u64, one| sum.rotate_left(7) ^ checksum(one));
    println!("{FILES} files at once, read after they were removed: {all:016x}");
    Ok(())
}

fn big(root: &Path, mib: u64) -> Result {
    let path = root.join("big");
    const PIECE: usize = 1 << 20;
    let mut bytes = vec![0; PIECE];
    let mut file = BufWriter::with_capacity(100_000, File::create(&path)?);
    for piece in 0..mib {
        Numbers(piece).fill(&mut bytes);
        file.write_all(&bytes)?;
    }
    file.into_inner()?.sync_all()?;

    let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
    let mut numbers = Numbers(3);
    let mut expected = vec![0; PIECE];
    let mut sum = 0_u64;
    for _ in 0..(4 * mib).min(1000) {
        let piece = numbers.below(mib);
        let start = numbers.below(PIECE as u64 / 2) as usize & !7;
        let size = numbers.below(PIECE as u64 / 2) as usize;
        Numbers(piece).fill(&mut expected);
        file.seek(SeekFrom::Start(piece * PIECE as u64 + start as u64))?;
        file.read_exact(&mut bytes[..size])?;
        ensure!(
            bytes[..size] == expected[start..start + size],
            "piece {piece} is not what was written"
        );
        sum = sum.rotate_left(7) ^ checksum(&bytes[..size.min(64)]);
    }
    println!("big: {mib} MiB, read at random: {sum:016x}");
    fs::remove_file(path)?;
    Ok(())
}

fn times(root: &Path) -> Result {
    let path = root.join("times");
    fs::write(&path, "text")?;
    let file = OpenOptions::new().write(true).open(&path)?;
    let set = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    file.set_modified(set)?;
    println!("time kept to the nanosecond: {}", fs::metadata(&path)?.modified()? == set);
    drop(file);
    fs::write(&path, "other")?;
    println!("and changed by writing: {}", fs::metadata(&path)?.modified()? > set);
    fs::copy(&path, root.join("copy"))?;
    println!("copied: {:?}", fs::read_to_string(root.join("copy"))?);
    fs::remove_file(path)?;
    fs::remove_file(root.join("copy"))?;
    Ok(())
}

fn run() -> Result {
    let mut arguments = std::env::args().skip(1);
    let root = PathBuf::from(arguments.next().ok_or("usage: files-rust FOLDER [MIB]")?);
    let mib = arguments.next().map_or(Ok(16), |mib| mib.parse::<u64>())?;
    ensure!(mib > 0, "a big file has 1 MiB at least");
    tree(&root)?;
    errors(&root)?;
    sizes(&root)?;
    links(&root)?;
    many_at_once(&root)?;
    big(&root, mib)?;
    times(&root)?;
    println!("left over: {}", fs::read_dir(&root)?.count());
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("files-rust: {error}");
        std::process::exit(1);
    }
}
