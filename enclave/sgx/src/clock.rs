//! Clocks: the host's time, interpolated with the CPU's time stamp counter between the host's
//! answers.
//!
//! The host controls both, so the time is not trusted. Interpolation saves time: leaving the
//! enclave takes a hundred times as long as reading the counter.

use crate::exit::host;
use crate::interpolated_clock::InterpolatedClock;
use crate::page;
use std::arch::x86_64::_rdtsc;
use std::sync::{Mutex, PoisonError};
use twine_protocol::wire::{Clock, Status};

static REALTIME: Mutex<InterpolatedClock> = Mutex::new(InterpolatedClock::new(false));
static MONOTONIC: Mutex<InterpolatedClock> = Mutex::new(InterpolatedClock::new(true));

/// Returns the time of a clock, in nanoseconds.
///
/// # Errors
/// The host's status.
pub fn time(clock: Clock) -> Result<u64, Status> {
    let elapsed = match clock {
        Clock::Realtime => &REALTIME,
        Clock::Monotonic => &MONOTONIC,
        // CPU time does not advance evenly.
        _ => return host().time(clock),
    };
    // In an enclave, RDTSC is legal on machines with SGX2 (SDM Vol. 3D, Illegal Instructions), and
    // faults on others.
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
    // SAFETY: RDTSC only reads a register.
    unsafe { _rdtsc() }
}
