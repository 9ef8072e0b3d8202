//! Leaving the enclave for a host call.

use crate::layout;
use std::panic;
use std::sync::LazyLock;
use twine_boundary::Boundary;
use twine_protocol::calls::RawCall;

unsafe extern "C" {
    /// EDP's way out (`entry.S` of the target's `std`): leaves with EEXIT and comes back
    /// with two words of the host's. `abort` must be 0 to come back.
    fn usercall(number: u64, p1: u64, p2: u64, abort: u64, p3: u64, p4: u64) -> Words;
}

#[repr(C)]
struct Words(u64, u64);

/// The way out of this enclave.
#[derive(Debug)]
pub struct Outside(());

impl RawCall for Outside {
    fn raw_call(&self, number: u64, [a, b, c, d]: [u64; 4]) -> (u64, u64) {
        // SAFETY: `usercall` saves what the ABI says a callee saves and clears all other
        // registers on the way out; the numbers used here are those of `protocol`, none of
        // which ends the thread.
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

/// From now on, a panic tells the host where it happened. Its message stays inside.
pub fn report_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        host().panicked(&place);
    }));
}
