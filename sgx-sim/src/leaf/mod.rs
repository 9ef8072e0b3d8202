//! The ENCLU leaves that run inside (SDM Vol. 3D, "Intel SGX User Leaf Function Reference").

pub(crate) mod key;
mod page;
pub(crate) mod report;

use sgx_isa::{Enclu, ErrorCode};

use crate::enclave::{Changes, Enclave};
use crate::epcm::{PAGE, Permissions};
use crate::exception::{Exception, GP, PF_USER, PF_WRITE};
use crate::kernel::Driver;
use crate::memory;

/// The general registers, in the order of `ucontext_t`.
pub(crate) type Registers = [i64; 23];

/// Executes the leaf in EAX, other than EEXIT.
pub(crate) fn execute(
    enclave: &Enclave,
    changes: &mut Changes<'_>,
    registers: &mut Registers,
) -> Result<(), Exception> {
    let operand = |register: i32| registers[register as usize] as usize;
    let (rbx, rcx, rdx) = (operand(libc::REG_RBX), operand(libc::REG_RCX), operand(libc::REG_RDX));
    let leaf = Enclu::try_from(operand(libc::REG_RAX) as u32);
    let sgx2 = enclave.driver.as_ref().is_none_or(Driver::sgx2);
    if !sgx2 && matches!(leaf, Ok(Enclu::EAccept | Enclu::EModpe | Enclu::EAcceptcopy)) {
        return Err(GP);
    }
    let result = match leaf {
        Ok(Enclu::EReport) => return report::ereport(enclave, rbx, rcx, rdx),
        Ok(Enclu::EGetkey) => key::egetkey(enclave, rbx, rcx)?,
        Ok(Enclu::EAccept) => page::eaccept(enclave, changes, rbx, rcx)?,
        Ok(Enclu::EModpe) => return page::emodpe(enclave, changes, rbx, rcx),
        Ok(Enclu::EAcceptcopy) => page::eacceptcopy(enclave, changes, rbx, rcx, rdx)?,
        _ => return Err(GP),
    };
    set_result(registers, result);
    Ok(())
}

/// Whether the leaf in EAX changes a page. Loops execute such a leaf for one page after the other.
pub(crate) fn changes_page(registers: &Registers) -> bool {
    matches!(
        Enclu::try_from(registers[libc::REG_RAX as usize] as u32),
        Ok(Enclu::EAccept | Enclu::EModpe | Enclu::EAcceptcopy)
    )
}

/// Sets RAX to the error code, and ZF if there is one. Clears the other status flags.
fn set_result(registers: &mut Registers, result: Result<(), ErrorCode>) {
    /// CF, PF, AF, ZF, SF and OF.
    const STATUS: i64 = 0x8d5;
    const ZF: i64 = 1 << 6;
    let flags = &mut registers[libc::REG_EFL as usize];
    *flags &= !STATUS;
    if result.is_err() {
        *flags |= ZF;
    }
    let code = match result {
        Ok(()) => ErrorCode::Success,
        Err(code) => code,
    };
    registers[libc::REG_RAX as usize] = code as i64;
}

/// Checks a memory operand of `size` bytes: #GP unless aligned and in ELRANGE, #PF unless its
/// pages allow the access.
fn check(
    enclave: &Enclave,
    address: usize,
    size: usize,
    align: usize,
    access: Permissions,
) -> Result<(), Exception> {
    if !address.is_multiple_of(align) || !enclave.contains_range(address, size) {
        return Err(GP);
    }
    let first = address & !(PAGE - 1);
    for page in (first..address + size).step_by(PAGE) {
        if !enclave.entry(page).effective().contains(access) {
            return Err(denied(page.max(address), access));
        }
    }
    Ok(())
}

fn denied(address: usize, access: Permissions) -> Exception {
    let write = if access.contains(Permissions::RW) { PF_WRITE } else { 0 };
    Exception::page_fault(address, PF_USER | write)
}

/// Reads an operand with alignment `align`.
fn read<const SIZE: usize>(
    enclave: &Enclave,
    address: usize,
    align: usize,
) -> Result<[u8; SIZE], Exception> {
    check(enclave, address, SIZE, align, Permissions::R)?;
    // SAFETY: bytes have no invalid values.
    unsafe { memory::read(address) }.map_err(|_| denied(address, Permissions::R))
}

/// Writes an operand, which [`check`] has checked for writing.
fn write(address: usize, value: &[u8]) -> Result<(), Exception> {
    memory::copy(address, value.as_ptr() as usize, value.len())
        .map_err(|_| denied(address, Permissions::RW))
}

/// Returns a part of a structure with a fixed size.
fn field<const SIZE: usize>(bytes: &[u8], offset: usize) -> [u8; SIZE] {
    let mut value = [0; SIZE];
    value.copy_from_slice(&bytes[offset..offset + SIZE]);
    value
}

fn all_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0)
}
