//! Lays out the enclave's address range.
//!
//! From low to high addresses, with [`GUARD`] bytes without pages before every line:
//!
//! ```text
//! program      at its ELF addresses, from 0
//! heap
//! heap growth  if the manifest asks for it; without pages
//! thread 0     stack, TLS page, TCS page, SSA frames
//! thread 1     the same
//! ...
//! code arena   without pages, if the manifest says so
//! memory       if the manifest asks for it
//! guard range  likewise; directly after that memory
//! (nothing)    up to ELRANGE's size, a power of two
//! ```
//!
//! So an overrun by less than [`GUARD`] bytes never reaches another region, nor the host's memory
//! after the last region.

use sgx_isa::{SecinfoFlags, Tcs};

use crate::elf::{EDP_SYMBOLS, Program};
use crate::manifest::{MAX_ELRANGE, PAGE};
use crate::segment::Extent;
use crate::{Error, Manifest, SSA_FRAME_PAGES};

/// The size of the range without pages before each region, in bytes.
pub(crate) const GUARD: u64 = 64 << 10;

/// The content of a region's pages, and whether MRENCLAVE covers it.
pub(crate) enum Content<'a> {
    /// The bytes of a segment, then zeros. Measured.
    Segment(&'a [u8]),
    /// One page. Measured.
    Page(Box<[u8; PAGE as usize]>),
    /// Zeros. Measured.
    Zeros,
    /// Any contents that the host chooses; zeros if it loads the image unchanged. The program must
    /// write before it reads. The presence of the pages and their permissions are measured.
    Unmeasured,
}

/// Consecutive pages that are added in the same way.
pub(crate) struct Region<'a> {
    pub(crate) offset: u64,
    pub(crate) size: u64,
    /// The offset of the content in the region; only segments may start within a page.
    pub(crate) skew: usize,
    /// `None` for a TCS.
    pub(crate) permissions: Option<SecinfoFlags>,
    pub(crate) content: Content<'a>,
}

/// A value to write into the program.
pub(crate) struct Patch {
    pub(crate) address: u64,
    pub(crate) bytes: Vec<u8>,
}

/// A complete plan of the image.
pub(crate) struct Layout<'a> {
    /// In ascending order, without overlap.
    pub(crate) regions: Vec<Region<'a>>,
    /// In no order. None crosses the end of a segment.
    pub(crate) patches: Vec<Patch>,
    pub(crate) elrange: u64,
    pub(crate) heap: (u64, u64),
    pub(crate) growth: (u64, u64),
    pub(crate) arena: (u64, u64),
    pub(crate) memory: (u64, u64),
    pub(crate) guard: (u64, u64),
}

const RW: SecinfoFlags = SecinfoFlags::R.union(SecinfoFlags::W);
const RWX: SecinfoFlags = RW.union(SecinfoFlags::X);

impl<'a> Layout<'a> {
    /// Plans an image. `manifest` has been checked, so every size in it is at most [`MAX_ELRANGE`]
    /// and a multiple of the page size, and sums of a few of them can't wrap.
    pub(crate) fn plan(program: &Program<'a>, manifest: &Manifest) -> Result<Layout<'a>, Error> {
        check_layout_symbols(program, manifest)?;
        let mut regions = Vec::new();
        for segment in &program.segments {
            let mut permissions = SecinfoFlags::R;
            permissions.set(SecinfoFlags::W, segment.write);
            permissions.set(SecinfoFlags::X, segment.execute);
            let pages = segment.pages();
            regions.push(Region {
                offset: pages.start,
                size: pages.size,
                skew: (segment.memory.start - pages.start) as usize,
                permissions: Some(permissions),
                content: Content::Segment(segment.data),
            });
        }

        let mut plan = Cursor { next: program.end(), regions };
        plan.guard();
        // std's allocator (`sys/alloc/sgx.rs`) does not assume that fresh heap is zeroed.
        let heap = plan.place(manifest.heap_size, RW, Content::Unmeasured)?;
        if manifest.heap_growth_size > 0 {
            plan.guard();
        }
        let growth = plan.leave(manifest.heap_growth_size);
        for index in 0..manifest.threads {
            plan.guard();
            plan.place_thread(index == 0, program.entry, manifest)?;
        }
        plan.guard();
        let at_start = manifest.arena_at_start();
        let (arena, _) = plan.place(at_start, RWX, Content::Unmeasured)?;
        plan.leave(manifest.code_arena_size - at_start);
        let arena = (arena, manifest.code_arena_size);
        if manifest.memory_size > 0 || manifest.guard_size > 0 {
            plan.guard();
        }
        let memory = plan.place(manifest.memory_size, RW, Content::Unmeasured)?;
        let guard = plan.leave(manifest.guard_size);
        plan.guard();
        let (used, regions) = (plan.next, plan.regions);

        let elrange = used.max(manifest.elrange).next_power_of_two();
        if elrange > MAX_ELRANGE {
            return Err(Error::ElrangeTooLarge { needed: used, limit: MAX_ELRANGE });
        }
        let nothing_is_at_zero = |(offset, size)| if size == 0 { (0, 0) } else { (offset, size) };
        let [growth, arena, memory, guard] = [growth, arena, memory, guard].map(nothing_is_at_zero);
        let mut patches = edp_patches(program, heap, used, elrange, manifest.debug);
        patches.extend(layout_patches(program, growth, arena, at_start, memory, guard));
        Ok(Layout { regions, patches, elrange, heap, growth, arena, memory, guard })
    }
}

struct Cursor<'a> {
    next: u64,
    regions: Vec<Region<'a>>,
}

impl<'a> Cursor<'a> {
    fn guard(&mut self) {
        self.next += GUARD;
    }

    /// Leaves out addresses, which get no pages.
    fn leave(&mut self, size: u64) -> (u64, u64) {
        let offset = self.next;
        self.next += size;
        (offset, size)
    }

    fn place(
        &mut self,
        size: u64,
        permissions: SecinfoFlags,
        content: Content<'a>,
    ) -> Result<(u64, u64), Error> {
        self.push(size, Some(permissions), content)
    }

    fn push(
        &mut self,
        size: u64,
        permissions: Option<SecinfoFlags>,
        content: Content<'a>,
    ) -> Result<(u64, u64), Error> {
        let offset = self.next;
        self.next += size;
        if self.next > MAX_ELRANGE {
            return Err(Error::ElrangeTooLarge { needed: self.next, limit: MAX_ELRANGE });
        }
        if size > 0 {
            self.regions.push(Region { offset, size, skew: 0, permissions, content });
        }
        Ok((offset, size))
    }

    /// Places one thread's memory as `std`'s `entry.S` expects it: the TLS page directly above the
    /// stack, and FS and GS on that page.
    fn place_thread(&mut self, main: bool, entry: u64, manifest: &Manifest) -> Result<(), Error> {
        let stack_size = if main { manifest.stack_size } else { manifest.thread_stack_size };
        // Compiled code writes a stack slot before it reads it; `entry.S` pushes the first values.
        let (stack, _) = self.place(stack_size, RW, Content::Unmeasured)?;
        let top = stack + stack_size;
        let (tls, _) = self.place(PAGE, RW, Content::Page(tls_page(top - ENTRY_ROOM, main)))?;
        let ssa_size = u64::from(manifest.ssa_frames) * u64::from(SSA_FRAME_PAGES) * PAGE;
        let tcs = Tcs {
            ossa: tls + 2 * PAGE,
            nssa: manifest.ssa_frames,
            oentry: entry,
            ofsbasgx: tls,
            ogsbasgx: tls,
            fslimit: PAGE as u32 - 1,
            gslimit: PAGE as u32 - 1,
            ..Tcs::default()
        };
        let mut page = Box::new([0; PAGE as usize]);
        page.copy_from_slice(tcs.as_ref());
        self.push(PAGE, None, Content::Page(page))?;
        // The frames are measured, although the processor fills a frame before the enclave sees it.
        // An exit that reports no exception leaves EXINFO unchanged, and a handler must not find
        // values there that the host wrote before the enclave began.
        self.place(ssa_size, RW, Content::Zeros)?;
        Ok(())
    }
}

/// The bytes at the top of each stack that stay free. When an aborted enclave is entered again,
/// `entry.S` aligns with `orq $8, %rsp`, which at the very top would reach into the TLS page.
const ENTRY_ROOM: u64 = 16;

/// Returns the first page that FS and GS reach: `tcsls_*` in `entry.S`. It must be measured: with a
/// nonzero `last_rsp`, a first entry would look like a return from a host call. Its unused part is
/// zero, and the program's own stub may use it.
fn tls_page(top_of_stack: u64, main: bool) -> Box<[u8; PAGE as usize]> {
    const TOS: usize = 0x00;
    const FLAGS: usize = 0x08;
    const FLAG_SECONDARY: u8 = 1;

    let mut page = Box::new([0; PAGE as usize]);
    page[TOS..TOS + 8].copy_from_slice(&top_of_stack.to_le_bytes());
    page[FLAGS] = if main { 0 } else { FLAG_SECONDARY };
    page
}

fn check_layout_symbols(program: &Program<'_>, manifest: &Manifest) -> Result<(), Error> {
    let needs = [
        ("TWINE_GROWTH_BASE", "heap-growth-size", manifest.heap_growth_size),
        ("TWINE_GROWTH_SIZE", "heap-growth-size", manifest.heap_growth_size),
        ("TWINE_ARENA_BASE", "code-arena-size", manifest.code_arena_size),
        ("TWINE_ARENA_SIZE", "code-arena-size", manifest.code_arena_size),
        (
            "TWINE_ARENA_AT_START",
            "code-arena-at-start",
            manifest.code_arena_size - manifest.arena_at_start(),
        ),
        ("TWINE_MEMORY_BASE", "memory-size", manifest.memory_size),
        ("TWINE_MEMORY_SIZE", "memory-size", manifest.memory_size),
        ("TWINE_GUARD_BASE", "guard-size", manifest.guard_size),
        ("TWINE_GUARD_SIZE", "guard-size", manifest.guard_size),
    ];
    match needs.into_iter().find(|(name, _, size)| *size > 0 && !program.symbols.contains_key(name))
    {
        Some((name, key, _)) => Err(Error::MissingLayoutSymbol { name, key }),
        None => Ok(()),
    }
}

/// Returns patches with the values that `std` reads at run time. Removes code that must not run
/// inside.
fn edp_patches(
    program: &Program<'_>,
    heap: (u64, u64),
    used: u64,
    elrange: u64,
    debug: bool,
) -> Vec<Patch> {
    let value = |name: &str| match name {
        "HEAP_BASE" => heap.0,
        "HEAP_SIZE" => heap.1,
        "RELA" => program.relocations.0,
        "RELACOUNT" => program.relocations.1,
        "ENCLAVE_SIZE" => elrange,
        "CFGDATA_BASE" => used,
        "DEBUG" => debug.into(),
        "TEXT_BASE" => program.text.start,
        "TEXT_SIZE" => program.text.size,
        "EH_FRM_HDR_OFFSET" => program.eh_frame_hdr.start,
        "EH_FRM_HDR_LEN" => program.eh_frame_hdr.size,
        "EH_FRM_OFFSET" => program.eh_frame.start,
        "EH_FRM_LEN" => program.eh_frame.size,
        _ => unreachable!("every name in EDP_SYMBOLS has its line above"),
    };
    let mut patches = Vec::new();
    for (name, size) in EDP_SYMBOLS {
        let bytes = value(name).to_le_bytes()[..size as usize].to_vec();
        patches.push(Patch { address: program.symbols[name], bytes });
    }
    let zeros =
        |field: &Extent| Patch { address: field.start, bytes: vec![0; field.size as usize] };
    patches.extend(program.section_fields.iter().map(zeros));
    const INT3: u8 = 0xcc;
    let removed = program.text_no_sgx;
    patches.push(Patch { address: removed.start, bytes: vec![INT3; removed.size as usize] });
    patches
}

fn layout_patches(
    program: &Program<'_>,
    growth: (u64, u64),
    arena: (u64, u64),
    arena_at_start: u64,
    memory: (u64, u64),
    guard: (u64, u64),
) -> Vec<Patch> {
    [
        ("TWINE_GROWTH_BASE", growth.0),
        ("TWINE_GROWTH_SIZE", growth.1),
        ("TWINE_ARENA_BASE", arena.0),
        ("TWINE_ARENA_SIZE", arena.1),
        ("TWINE_ARENA_AT_START", arena_at_start),
        ("TWINE_MEMORY_BASE", memory.0),
        ("TWINE_MEMORY_SIZE", memory.1),
        ("TWINE_GUARD_BASE", guard.0),
        ("TWINE_GUARD_SIZE", guard.1),
    ]
    .into_iter()
    .filter_map(|(name, value)| {
        let address = *program.symbols.get(name)?;
        Some(Patch { address, bytes: value.to_le_bytes().to_vec() })
    })
    .collect()
}
