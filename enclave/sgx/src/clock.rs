//! The time: the host's, and between its answers by the CPU's time stamp counter.
//!
//! The host sets both, so there is nothing in it to trust; but leaving the enclave takes a
//! hundred times as long as reading the counter.

use crate::exit::host;
use crate::interpolated_clock::InterpolatedClock;
use crate::page;
use std::arch::x86_64::_rdtsc;
use std::sync::{Mutex, PoisonError};
use twine_protocol::wire::{Clock, Status};

static REALTIME: Mutex<InterpolatedClock> = Mutex::new(InterpolatedClock::new(false));
static MONOTONIC: Mutex<InterpolatedClock> = Mutex::new(InterpolatedClock::new(true));

/// The time of a clock, in nanoseconds.
///
/// # Errors
/// The host's.
pub fn time(clock: Clock) -> Result<u64, Status> {
    let elapsed = match clock {
        Clock::Realtime => &REALTIME,
        Clock::Monotonic => &MONOTONIC,
        // They don't go evenly.
        _ => return host().time(clock),
    };
    // RDTSC is legal in an enclave where there is SGX2 (SDM Vol. 3D, Illegal Instructions), and
    // faults elsewhere.
    if !page::has_sgx2() {
        return host().time(clock);
    }
    let mut elapsed = elapsed.lock().unwrap_or_else(PoisonError::into_inner);
    let before = counter();
    if let Some(time) = elapsed.at(before) {
        return Ok(time);
    }
    let time = host().time(clock)?;
    Ok(elapsed.told(time, before, counter()))
}

fn counter() -> u64 {
    // SAFETY: it reads a register.
    unsafe { _rdtsc() }
}
