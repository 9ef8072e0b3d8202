//! Changes permissions of the enclave's own pages: EACCEPT and EMODPE (SDM Vol. 3D, 38.4).

use crate::arena::PAGE;
use std::arch::asm;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use twine_protocol::wire::permission::{EXECUTE, READ, WRITE};

/// SECINFO (SDM Vol. 3D, 34.11): flags, then reserved zeros; aligned to 64 bytes.
#[repr(C, align(64))]
struct Secinfo {
    flags: u64,
    reserved: [u64; 7],
}

/// `SECINFO.FLAGS.PR`: the page's permissions were restricted and wait for EACCEPT.
const PERMISSION_RESTRICTED: u64 = 1 << 5;
/// `SECINFO.FLAGS.PENDING`: the page was added and waits for EACCEPT.
const PENDING: u64 = 1 << 3;
/// `SECINFO.FLAGS.PT` of a regular page.
const REGULAR: u64 = 2 << 8;

const EACCEPT: u32 = 5;
const EMODPE: u32 = 6;
/// The value of EAX after an EACCEPT that found the page as expected.
const SUCCESS: u32 = 0;

/// Whether an EACCEPT has succeeded.
static ACCEPTED: AtomicBool = AtomicBool::new(false);

/// Whether the CPU is known to have SGX2, because an instruction of SGX2 has succeeded.
pub(crate) fn has_sgx2() -> bool {
    ACCEPTED.load(Ordering::Relaxed)
}

/// Runs an ENCLU leaf on one page after the other, until one leaves another value than `done` in
/// EAX. Returns the address of that page, or the end of the pages.
///
/// The loop uses only registers, so that software SGX can run all of it in one trap.
///
/// # Safety
/// The caller must own the pages: nothing may rely on permissions that they lose.
unsafe fn enclu(leaf: u32, secinfo: &Secinfo, pages: Range<usize>, done: u32) -> usize {
    let mut page = pages.start;
    if pages.is_empty() {
        return page;
    }
    // SAFETY: ENCLU reads the SECINFO and changes the EPCM entries of `pages`, which the caller
    // owns. The compiler reserves RBX, so it is swapped in and out. The operands are in named
    // registers, because the compiler could choose RBX for an operand.
    unsafe {
        asm!(
            "xchg r8, rbx",
            ".p2align 6",
            "2:",
            "mov eax, r10d",
            "enclu",
            "cmp eax, r11d",
            "jne 3f",
            "add rcx, {size}",
            "cmp rcx, r9",
            "jb 2b",
            "3:",
            "xchg r8, rbx",
            size = const PAGE,
            inout("rcx") page,
            inout("r8") secinfo => _,
            in("r9") pages.end,
            in("r10") leaf,
            in("r11") done,
            out("eax") _,
            options(nostack),
        );
    }
    page
}

fn secinfo(flags: u64) -> Secinfo {
    Secinfo { flags, reserved: [0; 7] }
}

/// Checks with EACCEPT that the pages were restricted to exactly these permissions. Returns how
/// many bytes of them, from the first page on, were.
pub(crate) fn accept_restricted(pages: Range<usize>, permissions: u64) -> usize {
    let permissions = permissions & (READ | WRITE | EXECUTE);
    let secinfo = secinfo(permissions | PERMISSION_RESTRICTED | REGULAR);
    // SAFETY: EACCEPT only clears the PR bit. It fails if anything differs.
    let accepted = unsafe { enclu(EACCEPT, &secinfo, pages.clone(), SUCCESS) };
    ACCEPTED.fetch_or(accepted > pages.start, Ordering::Relaxed);
    accepted - pages.start
}

/// Accepts added pages, which are zeroed, readable and writable. Returns how many bytes of them,
/// from the first page on, exist now.
pub(crate) fn accept_added(pages: Range<usize>) -> usize {
    let secinfo = secinfo(READ | WRITE | PENDING | REGULAR);
    // SAFETY: the enclave has no data at addresses that had no page.
    let accepted = unsafe { enclu(EACCEPT, &secinfo, pages.clone(), SUCCESS) };
    ACCEPTED.fetch_or(accepted > pages.start, Ordering::Relaxed);
    accepted - pages.start
}

/// Adds permissions to the pages with EMODPE.
pub(crate) fn extend(pages: Range<usize>, permissions: u64) {
    let secinfo = secinfo(permissions & (READ | WRITE | EXECUTE));
    // SAFETY: EMODPE only adds permissions, to pages of the arena. Wasmtime writes code to these
    // and runs it. EMODPE does not change EAX.
    unsafe { enclu(EMODPE, &secinfo, pages, EMODPE) };
}
