//! Page faults inside an enclave, handled as Linux does (`sgx_vma_fault`).

use super::{Event, Fault};
use crate::enclave::{Changes, Enclave};
use crate::epcm::{Entry, PAGE, Permissions};
use crate::exception::{Exception, PF_FETCH, PF_WRITE, vector};

/// Adds a page (EAUG) where the driver's file is mapped without a page, if the mapping allows the
/// access. Returns whether to retry the access.
pub(crate) fn page_fault(
    enclave: &Enclave,
    changes: &mut Changes<'_>,
    exception: &Exception,
) -> bool {
    let Some(driver) = enclave.driver.as_ref().filter(|driver| driver.augments()) else {
        return false;
    };
    if exception.vector != vector::PF || !enclave.contains(exception.address) {
        return false;
    }
    let page = enclave.page(exception.address);
    let entry = changes.entry(page);
    let allowed = entry.mapped() && entry.table().contains(needed(exception));
    if entry.valid() || !allowed {
        return false;
    }
    let offset = (page * PAGE) as u64;
    let event = Event::Augment(offset..offset + PAGE as u64);
    if matches!(driver.injected(&event), Some(Fault::Refused(_))) || !driver.take_page() {
        return false;
    }
    changes.update(page, Entry::augmented().with_table(entry.table())).is_ok()
}

fn needed(exception: &Exception) -> Permissions {
    match exception.error_code {
        code if code & PF_WRITE != 0 => Permissions::W,
        code if code & PF_FETCH != 0 => Permissions::X,
        _ => Permissions::R,
    }
}
