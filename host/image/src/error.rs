//! The errors of this crate, with their remedies.

use std::io;
use std::path::Path;

/// An image could not be built, signed, measured or inspected.
///
/// The message is one line with the cause; [`Error::remedy`] is one line with the remedy, if there is
/// one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or stream could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// The operation, with the path if there is one.
        what: String,
        /// The system's error.
        source: io::Error,
    },

    /// The manifest is not TOML, or has an unknown key or a value of the wrong type.
    #[error("the image manifest can't be read: {message}")]
    ManifestSyntax {
        /// The parser's message, on one line.
        message: String,
    },
    /// A manifest value has the right type but can't be used.
    #[error("manifest key `{key}` {problem}")]
    ManifestValue {
        /// The key as it is written in the manifest.
        key: &'static str,
        /// The defect of the value.
        problem: String,
        /// A correct value.
        remedy: String,
    },
    /// A date is not `YYYY-MM-DD`, or not one that SIGSTRUCT can hold.
    #[error("`{text}` is not a date")]
    Date {
        /// The text.
        text: String,
    },

    /// The input is not an ELF file, or is damaged.
    #[error("the program is not a readable ELF file: {reason}")]
    Elf {
        /// The part that could not be read.
        reason: String,
    },
    /// An ELF file, but not one for x86-64.
    #[error("the program is linked for ELF machine {found}, not for x86-64 (62)")]
    Machine {
        /// `e_machine`.
        found: u16,
    },
    /// An ELF file, but not a position-independent executable.
    #[error("the program has ELF type {found}, not position-independent (ET_DYN, 3)")]
    FileType {
        /// `e_type`.
        found: u16,
    },
    /// A section that every EDP program has is missing.
    #[error("the program has no section `{name}`")]
    MissingSection {
        /// The section's name.
        name: &'static str,
    },
    /// The standard library's contract with image writers is newer than this one.
    #[error(
        "the program was made for version {found} of the EDP toolchain contract; version {supported} is known"
    )]
    ToolchainVersion {
        /// The version in the program's note.
        found: u32,
        /// The newest version that this writer knows.
        supported: u32,
    },
    /// A symbol that every EDP program has is missing.
    #[error("the program does not export `{name}`")]
    MissingSymbol {
        /// The symbol's name.
        name: String,
    },
    /// The manifest defines a region, but the program has no symbol for its address.
    #[error(
        "manifest key `{key}` defines a region, but the program has no symbol `{name}` for its address"
    )]
    MissingLayoutSymbol {
        /// The missing symbol.
        name: &'static str,
        /// The manifest key.
        key: &'static str,
    },
    /// Two symbols with one name have different addresses.
    #[error("the program has more than one symbol `{name}`")]
    AmbiguousSymbol {
        /// The symbol's name.
        name: String,
    },
    /// A symbol to be filled in has the wrong size.
    #[error("symbol `{name}` is {found} bytes long, not {expected}")]
    SymbolSize {
        /// The symbol's name.
        name: String,
        /// The required size.
        expected: u64,
        /// The actual size.
        found: u64,
    },
    /// A symbol to be filled in is not in the loaded program.
    #[error("symbol `{name}` at {address:#x} is not in a loaded segment")]
    SymbolPlace {
        /// The symbol's name.
        name: String,
        /// Its address.
        address: u64,
    },
    /// The entry symbol is not in executable memory.
    #[error("entry symbol `{name}` at {address:#x} is not in an executable segment")]
    EntryNotCode {
        /// The symbol's name.
        name: String,
        /// Its address.
        address: u64,
    },
    /// The program needs a symbol that it does not define.
    #[error("the program needs the external symbol `{name}`, and an enclave has no dynamic linker")]
    UndefinedSymbol {
        /// The symbol's name.
        name: String,
    },
    /// The program can only run with relocations in read-only memory.
    #[error("the program has relocations in read-only memory (DT_TEXTREL)")]
    TextRelocations,
    /// The dynamic section has an entry that an enclave's start code does not handle.
    #[error("the program's dynamic section has {tag}, which the start code of enclaves ignores")]
    UnsupportedDynamic {
        /// The entry's name in the ELF specification.
        tag: &'static str,
    },
    /// A relocation has another type than the one that EDP's start code applies.
    #[error(
        "relocation at {address:#x} has type {kind} and symbol {symbol}; only R_X86_64_RELATIVE is applied inside"
    )]
    Relocation {
        /// The address that it changes.
        address: u64,
        /// Its ELF type.
        kind: u32,
        /// Its symbol index.
        symbol: u32,
    },
    /// A relocation would write outside the program's writable memory.
    #[error("relocation at {address:#x} is not in a writable segment")]
    RelocationPlace {
        /// The address that it changes.
        address: u64,
    },
    /// A relocation would make a pointer to outside of the program.
    #[error("relocation at {address:#x} points to {target:#x}, outside the program")]
    RelocationTarget {
        /// The address that it changes.
        address: u64,
        /// The address that it points to.
        target: u64,
    },
    /// The relocation table is inconsistent.
    #[error("the relocation table is inconsistent: {reason}")]
    RelocationTable {
        /// The inconsistency.
        reason: String,
    },
    /// A segment's permissions can't be given to enclave pages.
    #[error("the segment at {address:#x} is {permissions}")]
    SegmentPermissions {
        /// The segment's address.
        address: u64,
        /// Its permissions, as `rwx`.
        permissions: String,
    },
    /// Two segments share a page.
    #[error("the segment at {address:#x} shares a page with the one before it, or is out of order")]
    SegmentOverlap {
        /// The later segment's address.
        address: u64,
    },
    /// The enclave's first page would be executable.
    #[error("the first page of the enclave would be executable")]
    FirstPageExecutable,
    /// The program needs a loader feature that enclaves don't have.
    #[error("the program has {what}, which enclaves do not support")]
    UnsupportedSegment {
        /// The feature.
        what: &'static str,
    },
    /// The program is too large.
    #[error("the program takes {size} bytes of measured memory; the limit is {limit}")]
    ProgramTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The image needs more address space than an x86-64 process has.
    #[error("the image needs {needed} bytes of address space; the limit is {limit}")]
    ElrangeTooLarge {
        /// The size in bytes.
        needed: u64,
        /// The limit.
        limit: u64,
    },

    /// The stream is not SGXS, or not canonical.
    #[error("not a valid SGXS image: {reason}, at byte {at}")]
    Sgxs {
        /// Offset in the stream.
        at: u64,
        /// The defect.
        reason: &'static str,
    },

    /// A key could not be read.
    #[error("the key can't be read: {reason}")]
    Key {
        /// The reason.
        reason: String,
    },
    /// The key is not an RSA-3072 key.
    #[error("the key has {bits} bits; SGX uses only RSA keys of 3072 bits")]
    KeySize {
        /// The size of the key's modulus.
        bits: u32,
    },
    /// The key's public exponent is not 3.
    #[error("the key's public exponent is {exponent}; SGX uses only 3")]
    KeyExponent {
        /// The key's public exponent, in decimal.
        exponent: String,
    },
    /// Other users can read a private key.
    #[error("other users can read the private key {path} (mode {mode:03o})")]
    KeyPermissions {
        /// The key file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The development key can't be used.
    #[error("the development key {path} can't be used: {source}")]
    DevelopmentKey {
        /// The key file.
        path: String,
        /// The error.
        source: Box<Error>,
    },
    /// The bytes are not a request made by [`crate::SigningRequest`].
    #[error("not a signing request: {reason}")]
    Request {
        /// The defect.
        reason: &'static str,
    },
    /// The bytes are not a SIGSTRUCT, or its signature does not verify.
    #[error("the signature is not valid: {reason}")]
    Signature {
        /// The defect.
        reason: &'static str,
    },
    /// The machine lacks processor state that the signature requires.
    #[error("the signature requires XFRM bits {missing:#x} that this machine does not enable")]
    Xfrm {
        /// The bits that are missing in XCR0.
        missing: u64,
    },
    /// OpenSSL failed, for a reason other than the input.
    #[error("cryptographic operation failed: {0}")]
    Crypto(#[from] openssl::error::ErrorStack),
}

impl Error {
    /// Returns the remedy in one line, if there is one.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Error::ManifestValue { remedy, .. } => remedy.clone(),
            Error::ManifestSyntax { .. } => {
                "correct the manifest; the keys are listed in the documentation of twine_image::Manifest".into()
            }
            Error::Date { .. } => "write it as YYYY-MM-DD, for example 2026-01-31".into(),
            Error::Elf { .. } | Error::Machine { .. } | Error::FileType { .. } => {
                "name the file that cargo built with --target x86_64-fortanix-unknown-sgx".into()
            }
            Error::MissingSection { .. } => {
                "build with --target x86_64-fortanix-unknown-sgx and do not strip sections afterwards".into()
            }
            Error::ToolchainVersion { .. } => "update twine, or build the program with an older Rust".into(),
            Error::MissingSymbol { name } => format!(
                "build with --target x86_64-fortanix-unknown-sgx; if `{name}` is a symbol of your own, \
                 declare it #[unsafe(no_mangle)] and do not strip the file"
            ),
            Error::MissingLayoutSymbol { name, key } => format!(
                "define `{name}` as an 8-byte object in the program and do not strip the file, or remove `{key}`"
            ),
            Error::AmbiguousSymbol { name } => format!("keep one definition of `{name}`"),
            Error::SymbolSize { name, expected, .. } => {
                format!("declare `{name}` as an object of {expected} bytes (in assembly: .size {name}, {expected})")
            }
            Error::SymbolPlace { .. } => "define the symbol in .rodata or .data".into(),
            Error::EntryNotCode { .. } => "put the entry stub into .text".into(),
            Error::UndefinedSymbol { .. } => "link the library that defines it statically".into(),
            Error::TextRelocations | Error::Relocation { .. } | Error::RelocationPlace { .. } => {
                "build all objects, assembly included, position-independent (-fPIE, RIP-relative)".into()
            }
            Error::UnsupportedDynamic { .. } => {
                "link statically, without constructors, and without packed relocations (-z pack-relative-relocs)".into()
            }
            Error::SegmentPermissions { .. } => {
                "make segments readable and never both writable and executable; use `code-arena-size` for generated code"
                    .into()
            }
            Error::SegmentOverlap { .. } => "link with -z separate-code and a page size of 4096".into(),
            Error::FirstPageExecutable => "link with a read-only segment first, as lld does by default".into(),
            Error::UnsupportedSegment { .. } => "link statically and without ELF thread-local storage".into(),
            Error::ProgramTooLarge { .. } => {
                "take large zeroed buffers from the heap, and code memory from `code-arena-size`".into()
            }
            Error::ElrangeTooLarge { .. } => "lower heap-size, heap-growth-size, code-arena-size, guard-size or elrange".into(),
            Error::Sgxs { .. } => "build the image again".into(),
            Error::Key { .. } => "name an unencrypted RSA key in PEM form".into(),
            Error::KeySize { .. } | Error::KeyExponent { .. } => {
                "create a key: openssl genrsa -3 -out key.pem 3072".into()
            }
            Error::KeyPermissions { path, .. } => format!("chmod 600 {path}, and replace the key if others had access"),
            Error::DevelopmentKey { path, .. } => format!(
                "restore the file from a copy; or `rm {path}`: the next signature creates a new key, with another MRSIGNER"
            ),
            Error::Request { .. } => "make the request again".into(),
            Error::Signature { .. } => "sign the image again".into(),
            Error::Xfrm { .. } => "use a machine that enables these bits, or sign with a smaller `xfrm-required`".into(),
            Error::Io { .. } | Error::RelocationTarget { .. } | Error::RelocationTable { .. } | Error::Crypto(_) => {
                return None;
            }
        })
    }

    pub(crate) fn io(what: &str, path: &Path, source: io::Error) -> Error {
        Error::Io { what: format!("{what} {}", path.display()), source }
    }
}
