//! The driver's ioctls (Linux `arch/x86/include/uapi/asm/sgx.h`).

/// `SGX_MAGIC`, the type of the driver's ioctls.
const MAGIC: u64 = 0xa4;
const WRITE: u64 = 1;
const READ: u64 = 2;

/// `_IOC` for a structure `T`.
const fn number<T>(direction: u64, number: u64) -> u64 {
    direction << 30 | (size_of::<T>() as u64) << 16 | MAGIC << 8 | number
}

pub(super) const CREATE: u64 = number::<Create>(WRITE, 0);
pub(super) const ADD_PAGES: u64 = number::<AddPages>(READ | WRITE, 1);
pub(super) const INIT: u64 = number::<Init>(WRITE, 2);
pub(super) const RESTRICT_PERMISSIONS: u64 = number::<Change>(READ | WRITE, 5);
pub(super) const MODIFY_TYPES: u64 = number::<Change>(READ | WRITE, 6);
pub(super) const REMOVE_PAGES: u64 = number::<RemovePages>(READ | WRITE, 7);

/// `SGX_PAGE_MEASURE`.
pub(super) const PAGE_MEASURE: u64 = 1;

/// `struct sgx_enclave_create`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Create {
    pub(super) src: u64,
}

/// `struct sgx_enclave_add_pages`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct AddPages {
    pub(super) src: u64,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) secinfo: u64,
    pub(super) flags: u64,
    pub(super) count: u64,
}

/// `struct sgx_enclave_init`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Init {
    pub(super) sigstruct: u64,
}

/// `struct sgx_enclave_restrict_permissions`, and `struct sgx_enclave_modify_types`, which is
/// equal.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) offset: u64,
    pub(super) length: u64,
    /// The new permissions or page type.
    pub(super) to: u64,
    pub(super) result: u64,
    pub(super) count: u64,
}

/// `struct sgx_enclave_remove_pages`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RemovePages {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_numbers_are_those_of_linux() {
        assert_eq!(
            [CREATE, ADD_PAGES, INIT, RESTRICT_PERMISSIONS, MODIFY_TYPES, REMOVE_PAGES],
            [0x4008_a400, 0xc030_a401, 0x4008_a402, 0xc028_a405, 0xc028_a406, 0xc018_a407]
        );
    }
}
