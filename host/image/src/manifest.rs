//! The manifest of an image: sizes, threads, identity.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::date::Date;
use crate::{Error, Inspection};

/// The size of an enclave page, in bytes.
pub(crate) const PAGE: u64 = 4096;

/// Limit on ELRANGE, in bytes: a process has 47 bits of address space, and ELRANGE is naturally
/// aligned.
pub(crate) const MAX_ELRANGE: u64 = 1 << 46;

/// EDP's entry point, which ignores CSSA.
const EDP_ENTRY: &str = "sgx_entry";

/// The XCR0 bits that an image may allow: x87, SSE, AVX, the three of AVX-512, PKRU. With all of
/// them the XSAVE area (2696 bytes), EXINFO (16) and GPRSGX (184) fit into one page, see
/// [`crate::SSA_FRAME_PAGES`]. AMX (bits 17 and 18) would need three pages.
const XFRM_KNOWN: u64 = 0x2e7;
const XFRM_LEGACY: u64 = 0x3;
const XFRM_AVX: u64 = 0x4;
const XFRM_AVX512: u64 = 0xe0;

/// The layout and the identity of an image.
///
/// In a TOML file the keys are the field names with hyphens. All are optional; an unknown key is an
/// error. A size is a number of bytes or a string with a unit:
///
/// ```toml
/// heap-size = "256MiB"          # read-write memory for the allocator
/// heap-growth-size = "1GiB"     # address space without pages, for more of it
/// threads = 8                   # the most threads that run inside at once
/// stack-size = "2MiB"           # stack of the main thread
/// thread-stack-size = "512KiB"  # stack of each other thread
/// code-arena-size = "64MiB"     # memory for generated code
/// code-arena-at-start = 0       # none of it has pages from the start
/// memory-size = "64MiB"         # read-write memory right before the guard range
/// guard-size = "4GiB"           # address space without pages, after the arena
/// ssa-frames = 2                # with a stub only: how deep exceptions may nest, plus one
/// exinfo = true                 # report fault addresses to the enclave
/// entry = "twine_sgx_entry"     # an entry stub in front of `sgx_entry`
/// prod-id = 1
/// svn = 3
/// date = "2026-01-31"
/// ```
///
/// ```
/// let manifest = twine_image::Manifest::from_toml_str("heap-size = \"256MiB\"\nthreads = 8")?;
/// assert_eq!(manifest.heap_size, 256 << 20);
/// assert_eq!(manifest.ssa_frames, 1);
/// # Ok::<(), twine_image::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// Bytes of heap. Default: 64 MiB.
    pub heap_size: u64,
    /// Bytes of address space by which the heap can grow, 0 for none. Default: 0. It has no pages when
    /// the image is loaded, and so costs nothing. On machines with SGX2, the program can request pages
    /// there.
    ///
    /// The program learns the place from the symbols `TWINE_GROWTH_BASE` and
    /// `TWINE_GROWTH_SIZE`, see [`crate::build()`].
    pub heap_growth_size: u64,
    /// Number of TCSs, including the main thread's. Default: 4.
    pub threads: u32,
    /// Bytes of stack of the first TCS, on which the main thread runs. Default: 2 MiB.
    pub stack_size: u64,
    /// Bytes of stack of every other TCS. Default: 512 KiB.
    pub thread_stack_size: u64,
    /// Bytes of memory for code that is generated inside, 0 for none. Default: 0.
    ///
    /// The program learns the place from the symbols `TWINE_ARENA_BASE` and
    /// `TWINE_ARENA_SIZE`, see [`crate::build()`].
    pub code_arena_size: u64,
    /// Bytes of that memory that have pages when the image is loaded: all or 0. Default: all. These
    /// pages are readable, writable and executable, since SGX1 can't change permissions later. With 0
    /// the program must request pages, which takes SGX2; it can then make each page executable after it
    /// has made it read-only.
    ///
    /// The program learns it from the symbol `TWINE_ARENA_AT_START`, see [`crate::build()`].
    pub code_arena_at_start: Option<u64>,
    /// Bytes of memory that ends where the guard range begins, 0 for none. Default: 0.
    ///
    /// It is for linear memories of WebAssembly: a memory at its end is followed by addresses without
    /// pages. The program learns the place from the symbols `TWINE_MEMORY_BASE` and
    /// `TWINE_MEMORY_SIZE`, see [`crate::build()`].
    pub memory_size: u64,
    /// Bytes of address space after the arena that have no pages when the image is loaded, 0 for
    /// none. Default: 0. On machines with SGX2, the program can request pages there.
    ///
    /// The program learns the place from the symbols `TWINE_GUARD_BASE` and
    /// `TWINE_GUARD_SIZE`, see [`crate::build()`].
    pub guard_size: u64,
    /// SSA frames of each TCS. Default: 1. With one frame, a thread that was stopped by an exception or
    /// an interrupt can only be resumed, not entered. More frames need a custom [`Manifest::entry`] that
    /// checks CSSA and handles exceptions.
    pub ssa_frames: u32,
    /// The symbol at which every TCS is entered. Default: `sgx_entry`, which belongs to Rust's
    /// standard library.
    pub entry: String,
    /// Whether a debugger may read the enclave. Default: `false`.
    ///
    /// A debug enclave protects nothing. The signature fixes this flag: the launcher can't change it.
    pub debug: bool,
    /// Whether fault addresses are reported to the enclave's exception handler (MISCSELECT
    /// bit 0, SDM Vol. 3D, "EXINFO structure"). Default: `false`.
    pub exinfo: bool,
    /// The extended processor state that the enclave may use, as XCR0 bits. Default: 0xe7: x87,
    /// SSE, AVX and AVX-512. The launcher may leave out bits that are not in
    /// [`Manifest::xfrm_required`]; see [`crate::sign()`].
    pub xfrm: u64,
    /// The part of [`Manifest::xfrm`] without which the enclave must not start. Default:
    /// 0x3, x87 and SSE, which every enclave has.
    pub xfrm_required: u64,
    /// ISVPRODID. Default: 0.
    pub prod_id: u16,
    /// ISVSVN. Default: 0.
    pub svn: u16,
    /// The smallest ELRANGE, 0 for as small as the layout permits. Default: 0.
    pub elrange: u64,
    /// The date for the signature. Default: none; see [`Date::choose`].
    pub date: Option<Date>,
}

impl Default for Manifest {
    fn default() -> Self {
        Manifest {
            heap_size: 64 << 20,
            heap_growth_size: 0,
            threads: 4,
            stack_size: 2 << 20,
            thread_stack_size: 512 << 10,
            code_arena_size: 0,
            code_arena_at_start: None,
            memory_size: 0,
            guard_size: 0,
            ssa_frames: 1,
            entry: EDP_ENTRY.into(),
            debug: false,
            exinfo: false,
            xfrm: XFRM_LEGACY | XFRM_AVX | XFRM_AVX512,
            xfrm_required: XFRM_LEGACY,
            prod_id: 0,
            svn: 0,
            elrange: 0,
            date: None,
        }
    }
}

impl Manifest {
    /// Reads and checks a manifest.
    pub fn from_toml_str(text: &str) -> Result<Manifest, Error> {
        let written: Written = toml::from_str(text)
            .map_err(|error| Error::ManifestSyntax { message: syntax_message(text, &error) })?;
        let manifest = written.into_manifest()?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads and checks the manifest in a file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Manifest, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::io("reading the image manifest", path, e))?;
        Manifest::from_toml_str(&text)
    }

    /// Checks values that were set in code. [`crate::build()`] and [`crate::sign()`] call it.
    pub fn check(&self) -> Result<(), Error> {
        check_size("heap-size", self.heap_size, PAGE)?;
        check_size("heap-growth-size", self.heap_growth_size, 0)?;
        check_size("stack-size", self.stack_size, 4 * PAGE)?;
        check_size("thread-stack-size", self.thread_stack_size, 4 * PAGE)?;
        check_size("code-arena-size", self.code_arena_size, 0)?;
        if ![0, self.code_arena_size].contains(&self.arena_at_start()) {
            return Err(wrong(
                "code-arena-at-start",
                format!("is {}, a part of the arena", self.arena_at_start()),
                "give 0, or leave the key out for all of it",
            ));
        }
        check_size("memory-size", self.memory_size, 0)?;
        check_size("guard-size", self.guard_size, 0)?;
        check_range("threads", self.threads.into(), 1, 4096)?;
        check_range("ssa-frames", self.ssa_frames.into(), 1, 16)?;
        if self.ssa_frames > 1 && self.entry == EDP_ENTRY {
            return Err(wrong(
                "ssa-frames",
                "is more than 1 without an entry stub: `sgx_entry` treats an entry after an \
                 exception as a new one, and would overwrite the interrupted thread's stack",
                "leave the key out, or name a stub that checks CSSA: `entry`",
            ));
        }
        if self.entry.is_empty() || self.entry.contains('\0') {
            return Err(wrong(
                "entry",
                "is not a symbol name",
                "name a function, or leave the key out for `sgx_entry`",
            ));
        }
        if self.elrange > MAX_ELRANGE {
            return Err(wrong(
                "elrange",
                format!("is {}", self.elrange),
                format!("give at most {MAX_ELRANGE} bytes (64TiB), or leave the key out"),
            ));
        }
        self.check_xfrm()
    }

    /// Returns the size of the code arena that has pages at the start, in bytes.
    pub(crate) fn arena_at_start(&self) -> u64 {
        self.code_arena_at_start.unwrap_or(self.code_arena_size)
    }

    /// Refuses an image that was evidently not built with this manifest: the signature would give it an
    /// identity that was meant for another image.
    pub fn check_image(&self, image: &Inspection) -> Result<(), Error> {
        let frames = image.threads.iter().map(|thread| thread.ssa_frames).max().unwrap_or(1);
        let threads = image.threads.len();
        for (key, said, is) in [
            ("ssa-frames", self.ssa_frames as usize, frames as usize),
            ("threads", self.threads as usize, threads),
        ] {
            if said != is {
                return Err(wrong(
                    key,
                    format!("is {said}, and the image has {is}"),
                    "name the manifest that the image was built with: --manifest FILE",
                ));
            }
        }
        Ok(())
    }

    fn check_xfrm(&self) -> Result<(), Error> {
        const REMEDY: &str =
            "use 0x3 (x87, SSE), 0x7 (AVX too) or 0xe7 (AVX-512 too), each plus 0x200 for PKRU";
        let xfrm = self.xfrm;
        let problem = if xfrm & XFRM_LEGACY != XFRM_LEGACY {
            Some("lacks x87 or SSE, which every enclave needs")
        } else if xfrm & !XFRM_KNOWN != 0 {
            Some("has unknown state, or state that does not fit into an SSA frame of one page")
        } else if xfrm & XFRM_AVX512 != 0
            && xfrm & (XFRM_AVX512 | XFRM_AVX) != XFRM_AVX512 | XFRM_AVX
        {
            Some("has only a part of AVX-512, which processors do not accept")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(wrong("xfrm", problem, REMEDY));
        }
        if self.xfrm_required & XFRM_LEGACY != XFRM_LEGACY || self.xfrm_required & !xfrm != 0 {
            return Err(wrong(
                "xfrm-required",
                "is not between 0x3 and the value of `xfrm`",
                "give a part of `xfrm`, at least 0x3",
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Manifest {
    /// Writes the manifest as TOML, with every key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = [
            ("heap-size", self.heap_size),
            ("heap-growth-size", self.heap_growth_size),
            ("threads", self.threads.into()),
            ("stack-size", self.stack_size),
            ("thread-stack-size", self.thread_stack_size),
            ("code-arena-size", self.code_arena_size),
            ("memory-size", self.memory_size),
            ("guard-size", self.guard_size),
            ("elrange", self.elrange),
            ("ssa-frames", self.ssa_frames.into()),
            ("prod-id", self.prod_id.into()),
            ("svn", self.svn.into()),
        ];
        for (key, number) in sizes {
            writeln!(f, "{key} = {number}")?;
        }
        if let Some(size) = self.code_arena_at_start {
            writeln!(f, "code-arena-at-start = {size}")?;
        }
        writeln!(f, "xfrm = {:#x}", self.xfrm)?;
        writeln!(f, "xfrm-required = {:#x}", self.xfrm_required)?;
        writeln!(f, "debug = {}", self.debug)?;
        writeln!(f, "exinfo = {}", self.exinfo)?;
        // Rust escapes quotes and backslashes like TOML; a symbol has no other special characters.
        writeln!(f, "entry = {:?}", self.entry)?;
        match self.date {
            Some(date) => writeln!(f, "date = \"{date}\""),
            None => Ok(()),
        }
    }
}

fn check_size(key: &'static str, size: u64, min: u64) -> Result<(), Error> {
    let remedy = if size < min {
        format!("give at least {min} bytes")
    } else if size > MAX_ELRANGE {
        format!("give at most {MAX_ELRANGE} bytes (64TiB)")
    } else if !size.is_multiple_of(PAGE) {
        format!(
            "give a multiple of the page size, 4096; the next one is {}",
            size.next_multiple_of(PAGE)
        )
    } else {
        return Ok(());
    };
    Err(wrong(key, format!("is {size}"), remedy))
}

fn check_range(key: &'static str, value: u64, min: u64, max: u64) -> Result<(), Error> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(wrong(key, format!("is {value}"), format!("give a number from {min} to {max}")))
}

fn wrong(key: &'static str, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::ManifestValue { key, problem: problem.into(), remedy: remedy.into() }
}

/// The manifest as parsed from TOML, before its values are checked.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    heap_size: Option<Number>,
    heap_growth_size: Option<Number>,
    threads: Option<Number>,
    stack_size: Option<Number>,
    thread_stack_size: Option<Number>,
    code_arena_size: Option<Number>,
    code_arena_at_start: Option<Number>,
    memory_size: Option<Number>,
    guard_size: Option<Number>,
    ssa_frames: Option<Number>,
    entry: Option<String>,
    debug: Option<bool>,
    exinfo: Option<bool>,
    xfrm: Option<Number>,
    xfrm_required: Option<Number>,
    prod_id: Option<Number>,
    svn: Option<Number>,
    elrange: Option<Number>,
    date: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, or a string with a number and a unit")]
enum Number {
    Plain(i64),
    Text(String),
}

impl Written {
    fn into_manifest(self) -> Result<Manifest, Error> {
        let default = Manifest::default();
        Ok(Manifest {
            heap_size: size("heap-size", self.heap_size, default.heap_size)?,
            heap_growth_size: size(
                "heap-growth-size",
                self.heap_growth_size,
                default.heap_growth_size,
            )?,
            threads: number("threads", self.threads, default.threads)?,
            stack_size: size("stack-size", self.stack_size, default.stack_size)?,
            thread_stack_size: size(
                "thread-stack-size",
                self.thread_stack_size,
                default.thread_stack_size,
            )?,
            code_arena_size: size(
                "code-arena-size",
                self.code_arena_size,
                default.code_arena_size,
            )?,
            code_arena_at_start: match self.code_arena_at_start {
                None => None,
                some => Some(size("code-arena-at-start", some, 0)?),
            },
            memory_size: size("memory-size", self.memory_size, default.memory_size)?,
            guard_size: size("guard-size", self.guard_size, default.guard_size)?,
            ssa_frames: number("ssa-frames", self.ssa_frames, default.ssa_frames)?,
            entry: self.entry.unwrap_or(default.entry),
            debug: self.debug.unwrap_or(default.debug),
            exinfo: self.exinfo.unwrap_or(default.exinfo),
            xfrm: number("xfrm", self.xfrm, default.xfrm)?,
            xfrm_required: number("xfrm-required", self.xfrm_required, default.xfrm_required)?,
            prod_id: number("prod-id", self.prod_id, default.prod_id)?,
            svn: number("svn", self.svn, default.svn)?,
            elrange: size("elrange", self.elrange, default.elrange)?,
            date: self.date.map(|text| text.parse()).transpose()?,
        })
    }
}

fn size(key: &'static str, value: Option<Number>, default: u64) -> Result<u64, Error> {
    let text = match value {
        None => return Ok(default),
        Some(Number::Plain(bytes)) => {
            return u64::try_from(bytes)
                .map_err(|_| wrong(key, format!("is {bytes}"), "give a size, not less than 0"));
        }
        Some(Number::Text(text)) => text,
    };
    parse_size(&text).ok_or_else(|| {
        wrong(
            key,
            format!("is `{text}`"),
            "give bytes, or a whole number with B, KiB, MiB, GiB or TiB, such as \"64MiB\"",
        )
    })
}

fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (value, unit) = text.split_at(digits);
    let shift = match unit.trim_start_matches(' ') {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    value.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn number<T: TryFrom<i64>>(
    key: &'static str,
    value: Option<Number>,
    default: T,
) -> Result<T, Error> {
    match value {
        None => Ok(default),
        Some(Number::Plain(value)) => T::try_from(value).map_err(|_| {
            wrong(
                key,
                format!("is {value}"),
                "give a number that is neither negative nor too large for the key",
            )
        }),
        Some(Number::Text(text)) => {
            Err(wrong(key, format!("is \"{text}\""), "give a number without quotes and unit"))
        }
    }
}

fn syntax_message(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("{message}, in line {}", before.matches('\n').count() + 1),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_of(text: &str) -> (String, String) {
        let error = Manifest::from_toml_str(text).unwrap_err();
        (error.to_string(), error.remedy().unwrap())
    }

    #[test]
    fn an_empty_manifest_is_the_default() {
        assert_eq!(Manifest::from_toml_str("").unwrap(), Manifest::default());
        let written = Manifest::default().to_string();
        assert_eq!(Manifest::from_toml_str(&written).unwrap(), Manifest::default());
        Manifest::default().check().unwrap();
    }

    #[test]
    fn every_key_is_read() {
        let manifest = Manifest::from_toml_str(
            r#"
            heap-size = "256MiB"
            heap-growth-size = "2GiB"
            threads = 8
            stack-size = 0x10000
            thread-stack-size = "64 KiB"
            code-arena-size = "1GiB"
            code-arena-at-start = 0
            memory-size = "32MiB"
            guard-size = "4GiB"
            ssa-frames = 3
            entry = "stub"
            debug = true
            exinfo = true
            xfrm = 0x7
            xfrm-required = 0x7
            prod-id = 65535
            svn = 9
            elrange = "1TiB"
            date = "2026-01-31"
            "#,
        )
        .unwrap();
        let expected = Manifest {
            heap_size: 256 << 20,
            heap_growth_size: 2 << 30,
            threads: 8,
            stack_size: 0x10000,
            thread_stack_size: 0x10000,
            code_arena_size: 1 << 30,
            code_arena_at_start: Some(0),
            memory_size: 32 << 20,
            guard_size: 4 << 30,
            ssa_frames: 3,
            entry: "stub".into(),
            debug: true,
            exinfo: true,
            xfrm: 7,
            xfrm_required: 7,
            prod_id: 65535,
            svn: 9,
            elrange: 1 << 40,
            date: Some("2026-01-31".parse().unwrap()),
        };
        assert_eq!(manifest, expected);
    }

    #[test]
    fn a_wrong_value_names_its_key_and_a_remedy() {
        for (text, key, remedy) in [
            ("heap-size = 4097", "heap-size", "8192"),
            ("heap-size = 0", "heap-size", "at least 4096"),
            ("heap-size = -1", "heap-size", "not less than 0"),
            ("heap-size = \"64MB\"", "heap-size", "MiB"),
            ("heap-size = \"MiB\"", "heap-size", "MiB"),
            ("heap-size = \"99999999TiB\"", "heap-size", "MiB"),
            ("heap-size = \"65TiB\"", "heap-size", "64TiB"),
            ("stack-size = 4096", "stack-size", "at least 16384"),
            ("thread-stack-size = 4096", "thread-stack-size", "at least 16384"),
            ("code-arena-size = 1", "code-arena-size", "4096"),
            ("code-arena-at-start = 4096", "code-arena-at-start", "give 0"),
            ("guard-size = 1", "guard-size", "4096"),
            ("heap-growth-size = 1", "heap-growth-size", "4096"),
            ("threads = 0", "threads", "from 1 to 4096"),
            ("threads = -3", "threads", "negative"),
            ("threads = \"8\"", "threads", "without quotes"),
            ("ssa-frames = 0", "ssa-frames", "from 1 to 16"),
            ("prod-id = 65536", "prod-id", "too large"),
            ("svn = -1", "svn", "negative"),
            ("entry = \"\"", "entry", "sgx_entry"),
            ("elrange = \"65TiB\"", "elrange", "64TiB"),
            ("xfrm = 0x1", "xfrm", "0xe7"),
            ("xfrm = 0x23", "xfrm", "0xe7"),
            ("xfrm = 0x27", "xfrm", "0xe7"),
            ("xfrm = 0x60007", "xfrm", "0xe7"),
            ("xfrm-required = 0x1", "xfrm-required", "0x3"),
            ("xfrm = 0x7\nxfrm-required = 0xe7", "xfrm-required", "part of"),
        ] {
            let (message, advice) = problem_of(text);
            assert!(message.contains(&format!("`{key}`")), "{text}: {message}");
            assert!(advice.contains(remedy), "{text}: {advice}");
            assert!(!message.contains('\n') && !advice.contains('\n'));
        }
    }

    #[test]
    fn an_unknown_key_or_a_wrong_type_names_its_line() {
        for (text, word) in [
            ("threads = 1\nheapsize = 1", "heapsize"),
            ("threads = 1\nheap-size = true", "expected a number"),
            ("threads = 1\ndebug = 1", "boolean"),
            ("threads = 1\n=", "line 2"),
        ] {
            let (message, _) = problem_of(text);
            assert!(message.contains(word) && message.contains("line 2"), "{text}: {message}");
            assert!(!message.contains('\n'));
        }
    }
}
