//! Leaves the enclave for host calls.

use crate::layout;
use std::panic;
use std::sync::LazyLock;
use twine_boundary::Boundary;
use twine_protocol::calls::RawCall;

unsafe extern "C" {
    /// EDP's exit (`entry.S` of the target's `std`). It leaves with EEXIT, and returns two words
    /// from the host. It returns only if `abort` is 0.
    fn usercall(number: u64, p1: u64, p2: u64, abort: u64, p3: u64, p4: u64) -> Words;
}

#[repr(C)]
struct Words(u64, u64);

/// The exit of this enclave, for host calls.
#[derive(Debug)]
pub struct Outside(());

impl RawCall for Outside {
    fn raw_call(&self, number: u64, [a, b, c, d]: [u64; 4]) -> (u64, u64) {
        // SAFETY: `usercall` preserves the callee-saved registers of the ABI, and clears all other
        // registers when it leaves. The numbers used here are those of `protocol`; none of them
        // ends the thread.
        let Words(first, second) = unsafe { usercall(number, a, b, 0, c, d) };
        (first, second)
    }
}

static HOST: LazyLock<Boundary<Outside>> =
    LazyLock::new(|| Boundary::new(Outside(()), layout::elrange()));

/// The host of this enclave.
pub fn host() -> &'static Boundary<Outside> {
    &HOST
}

/// Makes panics report their place in the source to the host. Their message stays in the enclave.
pub fn report_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        host().panicked(&place);
    }));
}
