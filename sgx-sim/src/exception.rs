//! Exceptions, as the processor reports them.

use crate::epcm::PAGE;

/// Interrupt vectors (SDM Vol. 3A, "Exceptions and Interrupts").
pub(crate) mod vector {
    pub(crate) const DE: u8 = 0;
    pub(crate) const DB: u8 = 1;
    pub(crate) const BP: u8 = 3;
    pub(crate) const BR: u8 = 5;
    pub(crate) const UD: u8 = 6;
    pub(crate) const GP: u8 = 13;
    pub(crate) const PF: u8 = 14;
    pub(crate) const MF: u8 = 16;
    pub(crate) const AC: u8 = 17;
    pub(crate) const XM: u8 = 19;
}

/// #PF error code: the access was a write.
pub(crate) const PF_WRITE: u32 = 1 << 1;
/// #PF error code: from user mode.
pub(crate) const PF_USER: u32 = 1 << 2;
/// #PF error code: the access was an instruction fetch.
pub(crate) const PF_FETCH: u32 = 1 << 4;
/// #PF error code: the EPCM forbids the access.
pub(crate) const PF_SGX: u32 = 1 << 15;

/// An exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) vector: u8,
    pub(crate) error_code: u32,
    /// CR2 after #PF, otherwise zero.
    pub(crate) address: usize,
}

/// #GP(0).
pub(crate) const GP: Exception = Exception { vector: vector::GP, error_code: 0, address: 0 };

impl Exception {
    pub(crate) fn page_fault(address: usize, error_code: u32) -> Self {
        Exception { vector: vector::PF, error_code, address }
    }

    /// Returns the address that software outside sees, which is the page's (SDM Vol. 3D, "Synthetic
    /// State for MISC Features").
    pub(crate) fn reported_address(&self) -> u64 {
        (self.address & !(PAGE - 1)) as u64
    }

    /// Returns EXITINFO's fields VECTOR, EXIT_TYPE and VALID; zero for exceptions that are not
    /// reported inside (SDM Vol. 3D, "Exception Vectors" of EXITINFO).
    pub(crate) fn exitinfo(&self, with_exinfo: bool) -> u32 {
        const HARDWARE: u32 = 3 << 8;
        const SOFTWARE: u32 = 6 << 8;
        const VALID: u32 = 1 << 31;
        use vector::{AC, BP, BR, DB, DE, GP, MF, PF, UD, XM};
        let vector = u32::from(self.vector);
        match self.vector {
            BP => vector | SOFTWARE | VALID,
            DE | DB | BR | UD | MF | AC | XM => vector | HARDWARE | VALID,
            GP | PF if with_exinfo => vector | HARDWARE | VALID,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_faults_are_reported_inside_only_with_exinfo() {
        let fault = Exception::page_fault(0x1234, PF_USER);
        assert_eq!(fault.exitinfo(false), 0);
        assert_eq!(fault.exitinfo(true), 0x8000_030e);
        assert_eq!(fault.reported_address(), 0x1000);
    }
}
