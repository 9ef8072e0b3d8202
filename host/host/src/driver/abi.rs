//! The driver's ioctls (Linux `arch/x86/include/uapi/asm/sgx.h`).

/// `SGX_MAGIC`.
const MAGIC: u64 = 0xa4;

/// `_IOW(SGX_MAGIC, number, T)`.
const fn write<T>(number: u64) -> u64 {
    (1 << 30) | ((size_of::<T>() as u64) << 16) | (MAGIC << 8) | number
}

/// `_IOWR(SGX_MAGIC, number, T)`.
const fn read_write<T>(number: u64) -> u64 {
    (2 << 30) | write::<T>(number)
}

/// `SGX_IOC_ENCLAVE_CREATE`.
pub(super) const CREATE: u64 = write::<Create>(0);
/// `SGX_IOC_ENCLAVE_ADD_PAGES`.
pub(super) const ADD_PAGES: u64 = read_write::<AddPages>(1);
/// `SGX_IOC_ENCLAVE_INIT`.
pub(super) const INIT: u64 = write::<Init>(2);
/// `SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS`.
pub(super) const RESTRICT_PERMISSIONS: u64 = read_write::<RestrictPermissions>(5);

/// `SGX_PAGE_MEASURE`.
pub(super) const MEASURE: u64 = 1;

/// `struct sgx_enclave_create`.
#[repr(C)]
pub(super) struct Create {
    pub secs: *const sgx_isa::Secs,
}

/// `struct sgx_enclave_add_pages`.
#[repr(C)]
pub(super) struct AddPages {
    pub source: *const super::load::Page,
    pub offset: u64,
    pub length: u64,
    pub secinfo: *const sgx_isa::Secinfo,
    pub flags: u64,
    pub count: u64,
}

/// `struct sgx_enclave_init`.
#[repr(C)]
pub(super) struct Init {
    pub sigstruct: *const sgx_isa::Sigstruct,
}

/// `struct sgx_enclave_restrict_permissions`.
#[repr(C)]
#[derive(Default)]
pub(super) struct RestrictPermissions {
    pub offset: u64,
    pub length: u64,
    pub permissions: u64,
    pub result: u64,
    pub count: u64,
}
