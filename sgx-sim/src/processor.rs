//! The behaviour of ENCLU on this machine, outside of hardware enclaves.

use std::fmt;
use std::io;
use std::ptr;

use crate::exception::vector;

/// The exception that ENCLU raises outside of hardware enclaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncluException {
    /// #UD: the processor has no SGX.
    InvalidOpcode,
    /// #GP: it has SGX, which is switched off, hidden, or on (EEXIT is for enclaves only).
    GeneralProtection,
    /// Another exception, by its vector. The simulator also takes #PF of an operand for ENCLU, and
    /// no other.
    Other(u8),
}

impl fmt::Display for EncluException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncluException::InvalidOpcode => f.write_str("#UD"),
            EncluException::GeneralProtection => f.write_str("#GP"),
            EncluException::Other(vector::PF) => f.write_str("#PF"),
            EncluException::Other(vector) => write!(f, "exception {vector}"),
        }
    }
}

/// The exit codes of the child that are no vector: one below all vectors, one above.
const NOTHING_RAISED: i32 = 0;
const NO_HANDLER: i32 = 255;

/// Executes ENCLU\[EEXIT\] in a child process, to find the exception that it raises here.
///
/// # Errors
/// An error if no child could be started, or if it did not end by an exception.
pub fn enclu_exception() -> io::Result<EncluException> {
    // SAFETY: the child calls only functions that are safe after a fork, and ends.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(io::Error::last_os_error()),
        0 => in_child(),
        child => {
            let status = wait(child)?;
            let code = libc::WEXITSTATUS(status);
            match u8::try_from(code) {
                _ if !libc::WIFEXITED(status) || [NOTHING_RAISED, NO_HANDLER].contains(&code) => {
                    Err(io::Error::other(format!("the child that executes ENCLU: {status:#x}")))
                }
                Ok(vector::UD) => Ok(EncluException::InvalidOpcode),
                Ok(vector::GP) => Ok(EncluException::GeneralProtection),
                Ok(vector) => Ok(EncluException::Other(vector)),
                Err(_) => Err(io::Error::other("no exit code")),
            }
        }
    }
}

fn wait(child: libc::pid_t) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: waits for a child of this function, and fills the status.
        if unsafe { libc::waitpid(child, &mut status, 0) } == child {
            return Ok(status);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn in_child() -> ! {
    unsafe extern "C" fn tell(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the third argument of an SA_SIGINFO handler is its context.
        unsafe {
            let registers = &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
            libc::_exit(registers[libc::REG_TRAPNO as usize] as i32)
        }
    }
    // SAFETY: the handlers are the child's alone; ENCLU outside of an enclave raises an exception,
    // whose handler ends the child.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = tell as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        for signal in [libc::SIGILL, libc::SIGSEGV, libc::SIGBUS] {
            if libc::sigaction(signal, &action, ptr::null_mut()) != 0 {
                libc::_exit(NO_HANDLER);
            }
        }
        std::arch::asm!(
            "mov {saved}, rbx",
            "xor ebx, ebx",
            "enclu",
            "mov rbx, {saved}",
            saved = out(reg) _,
            in("eax") sgx_isa::Enclu::EExit as u32,
            in("rcx") 0u64,
        );
        libc::_exit(NOTHING_RAISED)
    }
}
