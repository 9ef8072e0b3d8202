//! Permissions of the enclave's own pages: EACCEPT and EMODPE (SDM Vol. 3D, 38.4).

use crate::arena::PAGE;
use std::arch::asm;
use std::ops::Range;
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

/// A page does not have the permissions that the host says it has.
#[derive(Debug)]
pub(crate) struct NotAccepted;

/// Runs one ENCLU leaf of the EACCEPT family on a page; what it left in EAX.
///
/// # Safety
/// The page must be the caller's to change: nothing may rely on permissions that it loses.
unsafe fn enclu(leaf: u32, secinfo: &Secinfo, page: usize) -> u32 {
    let result;
    // SAFETY: ENCLU reads the SECINFO and changes the EPCM entry of `page`, which the
    // caller answers for. RBX is the compiler's, so it is swapped in and out.
    unsafe {
        asm!(
            "xchg {secinfo}, rbx",
            "enclu",
            "xchg {secinfo}, rbx",
            secinfo = inout(reg) secinfo => _,
            inlateout("eax") leaf => result,
            in("rcx") page,
            options(nostack),
        );
    }
    result
}

fn secinfo(flags: u64) -> Secinfo {
    Secinfo { flags, reserved: [0; 7] }
}

/// Checks with EACCEPT that the pages were restricted to exactly these permissions.
pub(crate) fn accept_restricted(pages: Range<usize>, permissions: u64) -> Result<(), NotAccepted> {
    let permissions = permissions & (READ | WRITE | EXECUTE);
    let secinfo = secinfo(permissions | PERMISSION_RESTRICTED | REGULAR);
    for page in pages.step_by(PAGE) {
        // SAFETY: EACCEPT changes nothing but the PR bit; it fails if anything differs.
        if unsafe { enclu(EACCEPT, &secinfo, page) } != 0 {
            return Err(NotAccepted);
        }
    }
    Ok(())
}

/// Accepts zeroed pages, readable and writable, that were added where there were none; how many
/// bytes of them, from the first on, are there now.
pub(crate) fn accept_added(pages: Range<usize>) -> usize {
    let secinfo = secinfo(READ | WRITE | PENDING | REGULAR);
    let length = pages.len();
    for page in pages.clone().step_by(PAGE) {
        // SAFETY: nothing of the program lies where there was no page.
        if unsafe { enclu(EACCEPT, &secinfo, page) } != 0 {
            return page - pages.start;
        }
    }
    length
}

/// Adds permissions to the pages with EMODPE.
pub(crate) fn extend(pages: Range<usize>, permissions: u64) {
    let secinfo = secinfo(permissions & (READ | WRITE | EXECUTE));
    for page in pages.step_by(PAGE) {
        // SAFETY: EMODPE only adds permissions, to pages of the arena, which are wasmtime's
        // to write code to and to run.
        unsafe { enclu(EMODPE, &secinfo, page) };
    }
}
