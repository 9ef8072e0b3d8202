//! Linux's operations on the pages of a running enclave (Linux `Documentation/arch/x86/sgx.rst`,
//! SGX2 ioctls; SDM Vol. 3D, EAUG, EMODPR, EMODT, EREMOVE).
//!
//! Each of these is only the operating system's half: the enclave must accept the change, or it
//! meets a fault.

use std::ops::Range;
use std::sync::Arc;

use sgx_isa::PageType;

use crate::enclave::Enclave;
use crate::epcm::{Entry, PAGE, Permissions};
use crate::error::Error;
use crate::registry;

/// Restricts the permissions of pages, as `SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS` (EMODPR): the new
/// permissions are those that `permissions` and the EPCM both allow. The enclave must EACCEPT them,
/// with SECINFO.FLAGS.PR set.
pub fn restrict_permissions(
    address: usize,
    len: usize,
    permissions: Permissions,
) -> Result<(), Error> {
    if !permissions.contains(Permissions::R) {
        return Err(Error::Permissions { address, reason: "EMODPR needs at least R" });
    }
    change(
        address,
        len,
        |entry| {
            if entry.usable() {
                Ok(())
            } else {
                Err("not a regular page that the enclave has accepted")
            }
        },
        |entry| entry.restricted(permissions),
    )
}

/// Sets the page tables' permissions, as `mprotect` on an enclave's mapping. They cannot exceed the
/// permissions that the page was added with, and the EPCM's restrictions stay in force.
pub fn protect(address: usize, len: usize, permissions: Permissions) -> Result<(), Error> {
    change(
        address,
        len,
        |entry| {
            if !entry.valid() || entry.max().contains(permissions) {
                Ok(())
            } else {
                Err("more than the page was added with")
            }
        },
        |entry| {
            if entry.valid() { entry.with_table(permissions) } else { entry }
        },
    )
}

/// Adds zeroed pages to a running enclave (EAUG). They are readable and writable once the enclave
/// has accepted them, with SECINFO.FLAGS.PENDING set.
///
/// Linux adds pages when they are first touched; here the caller must ask for them.
pub fn augment(address: usize, len: usize) -> Result<(), Error> {
    let (enclave, pages) = pages(address, len)?;
    let _paging = enclave.lock_paging();
    require(
        &enclave,
        &pages,
        |entry| {
            if entry.valid() { Err("there is a page already") } else { Ok(()) }
        },
    )?;
    enclave.clear(pages.clone())?;
    enclave.update_all(pages, |_| Entry::augmented())
}

/// Marks pages for removal, as `SGX_IOC_ENCLAVE_MODIFY_TYPES` with PT_TRIM (EMODT). The enclave
/// must EACCEPT that.
pub fn trim(address: usize, len: usize) -> Result<(), Error> {
    change(
        address,
        len,
        |entry| {
            if entry.usable() {
                Ok(())
            } else {
                Err("not a regular page that the enclave has accepted")
            }
        },
        Entry::trimmed,
    )
}

/// Removes trimmed pages that the enclave has accepted, as `SGX_IOC_ENCLAVE_REMOVE_PAGES`
/// (EREMOVE).
pub fn remove(address: usize, len: usize) -> Result<(), Error> {
    let (enclave, pages) = pages(address, len)?;
    let _paging = enclave.lock_paging();
    require(&enclave, &pages, |entry| {
        if entry.is(PageType::Trim) && entry.state() == 0 {
            Ok(())
        } else {
            Err("not a trimmed page that the enclave has accepted")
        }
    })?;
    for page in pages.clone() {
        enclave.epcm.remove(page);
    }
    enclave.clear(pages)
}

fn change(
    address: usize,
    len: usize,
    check: impl Fn(Entry) -> Result<(), &'static str>,
    new: impl FnMut(Entry) -> Entry,
) -> Result<(), Error> {
    let (enclave, pages) = pages(address, len)?;
    let _paging = enclave.lock_paging();
    require(&enclave, &pages, check)?;
    enclave.update_all(pages, new)
}

fn require(
    enclave: &Enclave,
    pages: &Range<usize>,
    check: impl Fn(Entry) -> Result<(), &'static str>,
) -> Result<(), Error> {
    pages.clone().try_for_each(|page| {
        check(enclave.epcm.get(page)).map_err(|reason| Error::Permissions {
            address: enclave.secs.base + page * PAGE,
            reason,
        })
    })
}

/// Returns the enclave that contains the range, and the range's page numbers.
fn pages(address: usize, len: usize) -> Result<(Arc<Enclave>, Range<usize>), Error> {
    let enclave = registry::get(address)?;
    if !address.is_multiple_of(PAGE) || !len.is_multiple_of(PAGE) {
        return Err(Error::Permissions { address, reason: "not whole pages" });
    }
    if !enclave.contains_range(address, len) {
        return Err(Error::Permissions { address, reason: "the range leaves the enclave" });
    }
    let first = enclave.page(address);
    Ok((enclave, first..first + len / PAGE))
}
