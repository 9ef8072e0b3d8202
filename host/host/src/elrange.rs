//! The address range of a loaded enclave.

use sgxs::loader::MappingInfo;
use std::ffi::c_void;

/// The addresses of a loaded enclave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elrange {
    pub base: usize,
    pub size: usize,
}

impl MappingInfo for Elrange {
    fn address(&self) -> *mut c_void {
        self.base as *mut c_void
    }

    fn size(&self) -> usize {
        self.size
    }
}
