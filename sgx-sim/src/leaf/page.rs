//! EACCEPT, EACCEPTCOPY and EMODPE (SDM Vol. 3D): the enclave's half of changing its pages
//! (SGX2).

use sgx_isa::{ErrorCode, PageType, Secinfo};

use super::{all_zero, check, denied, field, read};
use crate::enclave::{Changes, Enclave};
use crate::epcm::{Entry, PAGE, Permissions};
use crate::exception::{Exception, GP};
use crate::memory;

/// A parsed SECINFO: the low 16 bits of FLAGS. The other bits are reserved.
struct PageInfo {
    flags: u64,
}

impl PageInfo {
    fn read(enclave: &Enclave, address: usize) -> Result<Self, Exception> {
        let bytes = read::<{ Secinfo::UNPADDED_SIZE }>(enclave, address, Secinfo::UNPADDED_SIZE)?;
        /// R, W, X, PENDING, MODIFIED, PR and PAGE_TYPE.
        const DEFINED: u64 = 0xff3f;
        let flags = u64::from_le_bytes(field(&bytes, 0));
        if flags & !DEFINED != 0 || !all_zero(&bytes[8..]) {
            return Err(GP);
        }
        Ok(PageInfo { flags })
    }

    fn permissions(&self) -> Permissions {
        Permissions::from_bits_truncate(self.flags)
    }

    fn is(&self, page_type: PageType) -> bool {
        self.flags >> 8 == page_type as u64
    }

    fn state(&self) -> u32 {
        self.flags as u32 & (Entry::PENDING | Entry::MODIFIED | Entry::PR)
    }

    /// Whether EACCEPT takes this combination.
    fn acceptable(&self) -> bool {
        match self.state() {
            state if self.is(PageType::Reg) => state & Entry::MODIFIED == 0 && state != 0,
            state => {
                (self.is(PageType::Tcs) || self.is(PageType::Trim)) && state == Entry::MODIFIED
            }
        }
    }
}

/// Raises #GP unless the page's address is aligned and in ELRANGE.
fn check_page(enclave: &Enclave, address: usize) -> Result<usize, Exception> {
    if address.is_multiple_of(PAGE) && enclave.contains(address) {
        Ok(enclave.page(address))
    } else {
        Err(GP)
    }
}

/// Returns the exception if the page table cannot follow: the kernel is out of memory or of
/// mappings.
fn stuck(address: usize) -> impl Fn(crate::Error) -> Exception {
    move |_| denied(address, Permissions::R)
}

/// Executes ENCLU\[EACCEPT\]: RBX points to a SECINFO, RCX to the page, which must match it
/// exactly.
pub(super) fn eaccept(
    enclave: &Enclave,
    changes: &mut Changes<'_>,
    rbx: usize,
    rcx: usize,
) -> Result<Result<(), ErrorCode>, Exception> {
    let page = check_page(enclave, rcx)?;
    let expected = PageInfo::read(enclave, rbx)?;
    if !expected.acceptable() {
        return Err(GP);
    }
    let entry = changes.entry(page);
    if !entry.valid() {
        return Err(denied(rcx, Permissions::R));
    }
    if entry.secinfo_flags() != expected.flags {
        return Ok(Err(ErrorCode::PageAttributesMismatch));
    }
    if !entry.tracked() {
        return Ok(Err(ErrorCode::NotTracked));
    }
    changes.update(page, entry.with_state(0)).map_err(stuck(rcx))?;
    Ok(Ok(()))
}

/// Executes ENCLU\[EACCEPTCOPY\]: RBX points to a SECINFO, RCX to a page that awaits acceptance,
/// RDX to the page to copy.
pub(super) fn eacceptcopy(
    enclave: &Enclave,
    changes: &mut Changes<'_>,
    rbx: usize,
    rcx: usize,
    rdx: usize,
) -> Result<Result<(), ErrorCode>, Exception> {
    let page = check_page(enclave, rcx)?;
    check(enclave, rdx, PAGE, PAGE, Permissions::R)?;
    let wanted = PageInfo::read(enclave, rbx)?;
    if !wanted.is(PageType::Reg) || wanted.state() != 0 || wanted.permissions().writable_only() {
        return Err(GP);
    }
    let entry = changes.entry(page);
    if !entry.is(PageType::Reg) {
        return Err(denied(rcx, Permissions::RW));
    }
    if entry.state() != Entry::PENDING || entry.permissions() != Permissions::RW {
        return Ok(Err(ErrorCode::PageAttributesMismatch));
    }
    // The copy needs the permissions of a page just augmented; the page then gets those wanted.
    let accepted = entry.with_state(0);
    let writable = accepted.with_table(Permissions::RW);
    changes.update(page, writable).map_err(stuck(rcx))?;
    changes.apply().map_err(stuck(rcx))?;
    memory::copy(rcx, rdx, PAGE).map_err(|_| denied(rdx, Permissions::R))?;
    changes.update(page, accepted.with_permissions(wanted.permissions())).map_err(stuck(rcx))?;
    Ok(Ok(()))
}

/// Executes ENCLU\[EMODPE\]: RBX points to a SECINFO with permissions to add, RCX to the page.
pub(super) fn emodpe(
    enclave: &Enclave,
    changes: &mut Changes<'_>,
    rbx: usize,
    rcx: usize,
) -> Result<(), Exception> {
    let page = check_page(enclave, rcx)?;
    let added = PageInfo::read(enclave, rbx)?;
    let entry = changes.entry(page);
    if !entry.usable() {
        return Err(denied(rcx, Permissions::R));
    }
    let permissions = entry.permissions().union(added.permissions());
    if permissions.writable_only() {
        return Err(GP);
    }
    changes.update(page, entry.with_permissions(permissions)).map_err(stuck(rcx))?;
    if let Some(driver) = &enclave.driver {
        driver.extended(page, permissions);
    }
    Ok(())
}
