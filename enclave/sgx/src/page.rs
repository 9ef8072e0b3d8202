//! Permissions of the enclave's own pages: EACCEPT and EMODPE (SDM Vol. 3D, 38.4).

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

/// `SECINFO.FLAGS.PR`: permissions were restricted and wait for EACCEPT.
const PERMISSION_RESTRICTED: u64 = 1 << 5;
/// `SECINFO.FLAGS.PENDING`: the page was added and waits for EACCEPT.
const PENDING: u64 = 1 << 3;
/// `SECINFO.FLAGS.PT` of a regular page.
const REGULAR: u64 = 2 << 8;

const EACCEPT: u32 = 5;
const EMODPE: u32 = 6;
/// What EACCEPT leaves in EAX when the page was as expected.
const SUCCESS: u32 = 0;

/// An EACCEPT has succeeded.
static ACCEPTED: AtomicBool = AtomicBool::new(false);

/// Whether the CPU is known to have SGX2: it has done what that brought.
pub(crate) fn has_sgx2() -> bool {
    ACCEPTED.load(Ordering::Relaxed)
}

/// Runs one ENCLU leaf of the EACCEPT family on one page after the other, up to the first that
/// leaves something else in EAX than `done`; the address of that page, or the end.
///
/// The loop is all registers, so that software SGX can take it in one trap.
///
/// # Safety
/// The pages must be the caller's to change: nothing may rely on permissions that they lose.
unsafe fn enclu(leaf: u32, secinfo: &Secinfo, pages: Range<usize>, done: u32) -> usize {
    let mut page = pages.start;
    if pages.is_empty() {
        return page;
    }
    // SAFETY: ENCLU reads the SECINFO and changes the EPCM entries of `pages`, which the
    // caller answers for. RBX is the compiler's, so it is swapped in and out; operands have
    // registers by name, since one that the compiler chooses could be RBX.
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

/// Checks with EACCEPT that the pages were restricted to exactly these permissions; how many bytes of
/// them, from the first on, were.
pub(crate) fn accept_restricted(pages: Range<usize>, permissions: u64) -> usize {
    let permissions = permissions & (READ | WRITE | EXECUTE);
    let secinfo = secinfo(permissions | PERMISSION_RESTRICTED | REGULAR);
    // SAFETY: EACCEPT changes nothing but the PR bit; it fails if anything differs.
    let accepted = unsafe { enclu(EACCEPT, &secinfo, pages.clone(), SUCCESS) };
    ACCEPTED.fetch_or(accepted > pages.start, Ordering::Relaxed);
    accepted - pages.start
}

/// Accepts zeroed pages, readable and writable, that were added where there were none; how many
/// bytes of them, from the first on, are there now.
pub(crate) fn accept_added(pages: Range<usize>) -> usize {
    let secinfo = secinfo(READ | WRITE | PENDING | REGULAR);
    // SAFETY: nothing of the program lies where there was no page.
    let accepted = unsafe { enclu(EACCEPT, &secinfo, pages.clone(), SUCCESS) };
    ACCEPTED.fetch_or(accepted > pages.start, Ordering::Relaxed);
    accepted - pages.start
}

/// Adds permissions to the pages with EMODPE.
pub(crate) fn extend(pages: Range<usize>, permissions: u64) {
    let secinfo = secinfo(permissions & (READ | WRITE | EXECUTE));
    // SAFETY: EMODPE only adds permissions, to pages of the arena, which are wasmtime's
    // to write code to and to run. It leaves EAX as it was.
    unsafe { enclu(EMODPE, &secinfo, pages, EMODPE) };
}
