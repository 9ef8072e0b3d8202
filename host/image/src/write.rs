//! Writes an image as SGXS, and measures it at the same time.

use std::io::{self, BufWriter, Write};

use openssl::hash::{Hasher, MessageDigest};
use sgx_isa::{PageType, SecinfoFlags};
use sgxs::sgxs::{CanonicalSgxsWriter, MeasECreate, SecinfoTruncated};

use crate::elf::Program;
use crate::layout::{Content, Layout, Patch, Region};
use crate::manifest::PAGE;
use crate::measure::Mrenclave;
use crate::{Error, Manifest, SSA_FRAME_PAGES};

/// A description of the image that [`build`] made. Offsets are from the image base; a region that
/// the manifest does not ask for has offset and size 0.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Built {
    /// The image's measurement.
    pub mrenclave: Mrenclave,
    /// The size of the enclave's address range in bytes, a power of two.
    pub elrange_size: u64,
    /// The number of threads that can be inside at once.
    pub tcs_count: u32,
    /// The number of pages that loading adds, which is the EPC that the enclave takes.
    pub pages: u64,
    /// The size of the page content that MRENCLAVE covers, in bytes.
    pub measured_bytes: u64,
    /// The size of the SGXS stream, in bytes.
    pub file_size: u64,
    /// The heap's offset and size.
    pub heap: (u64, u64),
    /// The offset and size of the addresses where the heap can grow.
    pub heap_growth: (u64, u64),
    /// The code arena's offset and size.
    pub arena: (u64, u64),
    /// The memory before the guard range: its offset and size.
    pub memory: (u64, u64),
    /// The guard range's offset and size.
    pub guard: (u64, u64),
}

/// Makes an image of a program, and writes it as SGXS.
///
/// `elf` is the program that cargo builds for `x86_64-fortanix-unknown-sgx`. The same program and
/// manifest always give the same bytes.
///
/// A program that uses heap growth, a code arena, memory or a guard range learns their addresses
/// from symbols that it defines and this function fills in: `TWINE_GROWTH_BASE`,
/// `TWINE_GROWTH_SIZE`, `TWINE_ARENA_BASE`, `TWINE_ARENA_SIZE`, `TWINE_ARENA_AT_START`,
/// `TWINE_MEMORY_BASE`, `TWINE_MEMORY_SIZE`, `TWINE_GUARD_BASE`, `TWINE_GUARD_SIZE`. Each is an
/// 8-byte object, little-endian, and the bases are relative to the image base. All are 0 for a
/// missing region. The compiler must assume that other code writes them:
///
/// ```
/// core::arch::global_asm!(
///     ".section .rodata.twine_layout,\"a\",@progbits",
///     ".balign 8",
///     ".globl TWINE_ARENA_BASE",
///     ".size TWINE_ARENA_BASE, 8",
///     "TWINE_ARENA_BASE: .quad 0",
///     ".text",
/// );
/// unsafe extern "C" {
///     safe static TWINE_ARENA_BASE: u64;
/// }
/// # fn main() {
/// # assert_eq!(TWINE_ARENA_BASE, 0);
/// # }
/// ```
///
/// # What MRENCLAVE covers
/// It covers address, permissions and content of the program with all of its zero-initialised
/// memory, and of the TLS, TCS and SSA pages. For the heap, the stacks, the code arena and the
/// memory before the guard range, it covers address and permissions, **not** content. A host may
/// load any bytes there, so code must write to them before it reads; `std`'s allocator and compiled
/// code do.
pub fn build(elf: &[u8], manifest: &Manifest, out: &mut impl Write) -> Result<Built, Error> {
    manifest.check()?;
    let program = Program::parse(elf, &manifest.entry)?;
    let layout = Layout::plan(&program, manifest)?;

    let mut tee = Tee { out, hasher: Hasher::new(MessageDigest::sha256())?, written: 0 };
    let mut buffer = BufWriter::with_capacity(1 << 20, &mut tee);
    let ecreate = MeasECreate { size: layout.elrange, ssaframesize: SSA_FRAME_PAGES };
    let mut writer =
        CanonicalSgxsWriter::new(&mut buffer, ecreate, true).map_err(|e| failed(e.downcast()))?;
    let (mut pages, mut measured_bytes) = (0, 0);
    for region in &layout.regions {
        if !matches!(region.content, Content::Unmeasured) {
            measured_bytes += region.size;
        }
        pages += region.size / PAGE;
        write_region(&mut writer, region, &layout.patches)?;
    }
    buffer.flush().map_err(|e| failed::<io::Error>(Ok(e)))?;
    drop(buffer);

    // Every record that `write_region` makes is measured, so the hash of the stream is MRENCLAVE.
    let mrenclave = Mrenclave::finish(tee.hasher)?;
    Ok(Built {
        mrenclave,
        elrange_size: layout.elrange,
        tcs_count: manifest.threads,
        pages,
        measured_bytes,
        file_size: tee.written,
        heap: layout.heap,
        heap_growth: layout.growth,
        arena: layout.arena,
        memory: layout.memory,
        guard: layout.guard,
    })
}

fn write_region<W: sgxs::sgxs::SgxsWrite>(
    writer: &mut CanonicalSgxsWriter<'_, W>,
    region: &Region<'_>,
    patches: &[Patch],
) -> Result<(), Error> {
    let flags = match region.permissions {
        Some(permissions) => permissions | SecinfoFlags::from(PageType::Reg),
        None => PageType::Tcs.into(),
    };
    let secinfo = SecinfoTruncated { flags };
    let count = (region.size / PAGE) as usize;
    match &region.content {
        Content::Unmeasured => {
            writer.write_pages::<&[u8]>(None, count, Some(region.offset), secinfo)
        }
        Content::Zeros => {
            writer.write_pages(Some(&mut io::empty()), count, Some(region.offset), secinfo)
        }
        Content::Page(page) => {
            writer.write_page(Some(&mut page.as_slice()), Some(region.offset), secinfo)
        }
        Content::Segment(data) => {
            let mut image = vec![0; region.size as usize];
            image[region.skew..region.skew + data.len()].copy_from_slice(data);
            for patch in patches {
                // The planner has checked that a patch does not cross a segment's end.
                if let Some(start) =
                    patch.address.checked_sub(region.offset).filter(|s| *s < region.size)
                {
                    image[start as usize..start as usize + patch.bytes.len()]
                        .copy_from_slice(&patch.bytes);
                }
            }
            writer.write_pages(Some(&mut image.as_slice()), count, Some(region.offset), secinfo)
        }
    }
    .map_err(|e| failed(e.downcast()))
}

/// Returns the error of writing. A writer of canonical SGXS fails only if its output does, or if
/// pages are out of order, which those of a [`Layout`] are not.
fn failed<E: std::fmt::Display>(error: Result<io::Error, E>) -> Error {
    let source = error.unwrap_or_else(|other| io::Error::other(other.to_string()));
    Error::Io { what: "writing the image".into(), source }
}

/// Hashes and counts the bytes that it passes on.
struct Tee<'w, W> {
    out: &'w mut W,
    hasher: Hasher,
    written: u64,
}

impl<W: Write> Write for Tee<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(&bytes[..count])?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
