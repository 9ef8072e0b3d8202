//! Reads programs.

use crate::failure::Failure;
use crate::oci;
use sha2::{Digest, Sha256};
use std::cell::OnceCell;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use twine_protocol::wire::MAX_PROGRAM;

/// A file larger than this many bytes is not read into memory: the enclave reads it from the file.
const LARGE: u64 = 1 << 20;

/// How WebAssembly's binary format starts.
const MAGIC: &[u8; 4] = b"\0asm";

/// The size of the buffer for hashing, in bytes.
const BUFFER: usize = 256 << 10;

/// A program in WebAssembly's binary format. A program in the text format was translated: the
/// enclave gets the binary, and its identity is the hash of the binary.
#[derive(Debug)]
pub(crate) struct Program {
    contents: Contents,
    sha256: OnceCell<[u8; 32]>,
}

#[derive(Debug)]
enum Contents {
    Bytes(Vec<u8>),
    File(File, Box<Metadata>),
}

impl Program {
    /// Reads the program at `path`, on the standard input, or in an OCI image.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        if let Some(reference) = oci::reference(path) {
            return Ok(oci::open(&reference, false)?.program);
        }
        if is_standard_input(path) && io::stdin().is_terminal() {
            return Err(Failure::new(
                "a program can't be typed: the standard input is a terminal",
                "name the program's file, or redirect the standard input: twine run - < app.wasm",
            ));
        }
        let contents = match is_standard_input(path) {
            true => to_end(io::stdin()),
            false => File::open(path).and_then(|file| contents(file, path)),
        };
        Program::of_contents(contents, path)
    }

    /// The program in a file that was opened. `path` is its name.
    pub(crate) fn of_file(file: File, path: &Path) -> Result<Self, Failure> {
        Program::of_contents(contents(file, path), path)
    }

    fn of_contents(contents: io::Result<Contents>, path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let remedy = match error.kind() {
                ErrorKind::NotFound => "check the path",
                ErrorKind::IsADirectory if oci::is_layout(path) => {
                    "it holds OCI images: write oci: in front of the folder"
                }
                ErrorKind::IsADirectory => "name a .wasm or .wat file, not a folder",
                _ => "check the path and its permissions",
            };
            Failure::system(format!("{} can't be read: {error}", path.display()), &error, remedy)
        };
        let contents = contents.map_err(failed)?;
        if contents.len() > MAX_PROGRAM {
            return Err(Failure::new(
                format!("{} is larger than {} MiB", path.display(), MAX_PROGRAM >> 20),
                "use a smaller program: larger ones can't be run",
            ));
        }
        match contents {
            Contents::Bytes(bytes) if is_text_file(path) || is_text(&bytes) => {
                text_to_binary(path, &bytes).map(Program::from)
            }
            contents => Ok(Program { contents, sha256: OnceCell::new() }),
        }
    }

    /// Checks that the program starts as WebAssembly's binary format does. `path` is its name.
    ///
    /// # Errors
    /// It starts otherwise.
    pub(crate) fn check_format(&self, path: &Path) -> Result<(), Failure> {
        match &self.contents {
            Contents::Bytes(bytes) if !bytes.starts_with(MAGIC) => Err(Failure::new(
                format!("{} is no WebAssembly program", path.display()),
                "name the .wasm file that a compiler for wasm32-wasip1 wrote, or a .wat file",
            )),
            // Another file is read into memory.
            Contents::Bytes(_) | Contents::File(..) => Ok(()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.contents.len() as usize
    }

    /// Returns the program's SHA-256, which is its identity.
    pub(crate) fn sha256(&self) -> io::Result<[u8; 32]> {
        self.sha256_or(|| None)
    }

    /// Returns the program's SHA-256. This calls `known` for it before it hashes the program.
    pub(crate) fn sha256_or(
        &self,
        known: impl FnOnce() -> Option<[u8; 32]>,
    ) -> io::Result<[u8; 32]> {
        if let Some(sha256) = self.sha256.get() {
            return Ok(*sha256);
        }
        let sha256 = match known() {
            Some(sha256) => sha256,
            None => self.contents.sha256()?,
        };
        Ok(*self.sha256.get_or_init(|| sha256))
    }

    /// Returns the current metadata of the program's file, if the program was not read into memory.
    pub(crate) fn metadata(&self) -> Option<Metadata> {
        match &self.contents {
            Contents::Bytes(_) => None,
            Contents::File(file, _) => file.metadata().ok(),
        }
    }

    /// The bytes of the program.
    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, Failure> {
        match self.contents {
            Contents::Bytes(bytes) => Ok(bytes),
            Contents::File(mut file, _) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(|error| unreadable_file(&error))?;
                Ok(bytes)
            }
        }
    }

    /// Converts the program for an enclave.
    pub(crate) fn into_host_program(self) -> Result<twine_host::Program, Failure> {
        match self.contents {
            Contents::Bytes(bytes) => Ok(bytes.into()),
            Contents::File(file, metadata) => twine_host::Program::of_file(&file, metadata.len())
                .map_err(|error| unreadable_file(&error)),
        }
    }
}

/// The file of a program was opened, and can't be read.
fn unreadable_file(error: &io::Error) -> Failure {
    Failure::system(
        format!("the program's file can't be read: {error}"),
        error,
        "copy the file to a local disk",
    )
}

impl From<Vec<u8>> for Program {
    fn from(bytes: Vec<u8>) -> Self {
        Program { contents: Contents::Bytes(bytes), sha256: OnceCell::new() }
    }
}

impl Contents {
    fn len(&self) -> u64 {
        match self {
            Contents::Bytes(bytes) => bytes.len() as u64,
            Contents::File(_, metadata) => metadata.len(),
        }
    }

    fn sha256(&self) -> io::Result<[u8; 32]> {
        let (file, length) = match self {
            Contents::Bytes(bytes) => return Ok(Sha256::digest(bytes).into()),
            Contents::File(file, metadata) => (file, metadata.len()),
        };
        let mut hash = Sha256::new();
        let mut buffer = vec![0; BUFFER];
        let mut at = 0;
        while at < length {
            let wanted = (length - at).min(BUFFER as u64) as usize;
            match file.read_at(&mut buffer[..wanted], at) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    hash.update(&buffer[..count]);
                    at += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(hash.finalize().into())
    }
}

/// Whether `path` stands for the standard input.
pub(crate) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

fn contents(file: File, path: &Path) -> io::Result<Contents> {
    let metadata = file.metadata()?;
    let mut magic = [0; 4];
    let large = metadata.is_file() && metadata.len() > LARGE && !is_text_file(path);
    if large && file.read_exact_at(&mut magic, 0).is_ok() && magic == *MAGIC {
        return Ok(Contents::File(file, Box::new(metadata)));
    }
    to_end(file)
}

fn to_end(file: impl Read) -> io::Result<Contents> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to see that the program is too large.
    file.take(MAX_PROGRAM + 1).read_to_end(&mut bytes)?;
    Ok(Contents::Bytes(bytes))
}

fn is_text_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wat")
}

/// Whether these bytes look like WebAssembly's text format.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.starts_with(MAGIC)
        && std::str::from_utf8(bytes).is_ok_and(|text| {
            let start = text.trim_start();
            ["(module", "(component", ";;"].iter().any(|begin| start.starts_with(begin))
        })
}

fn text_to_binary(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    wat::Parser::new().parse_bytes(Some(path), bytes).map(Vec::from).map_err(|error| {
        let cause = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Failure::new(
            format!("{} is not valid WebAssembly text: {cause}", path.display()),
            "correct the text",
        )
    })
}
