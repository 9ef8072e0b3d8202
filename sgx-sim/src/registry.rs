//! The address ranges of all simulated enclaves.
//!
//! Entry and fault handling look an enclave up by address without locks, in a fixed table of
//! address ranges. Functions that model the operating system take a lock and get a counted
//! reference, so that they may race with unloading.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::enclave::Enclave;
use crate::error::Error;

const CAPACITY: usize = 1024;

struct Registration {
    /// The base address, or zero if the registration is free.
    base: AtomicUsize,
    end: AtomicUsize,
    enclave: AtomicPtr<Enclave>,
}

static REGISTRATIONS: [Registration; CAPACITY] = [const {
    Registration {
        base: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        enclave: AtomicPtr::new(ptr::null_mut()),
    }
}; CAPACITY];
/// The registrations from here on were never used.
static USED: AtomicUsize = AtomicUsize::new(0);

static LOADED: Mutex<Vec<(usize, Weak<Enclave>)>> = Mutex::new(Vec::new());

/// Registers an enclave for entry and fault handling.
pub(crate) fn insert(enclave: &Arc<Enclave>) -> Result<(), Error> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let index = REGISTRATIONS
        .iter()
        .position(|registration| registration.base.load(Ordering::Relaxed) == 0)
        .ok_or(Error::TooManyEnclaves)?;
    let registration = &REGISTRATIONS[index];
    let secs = &enclave.secs;
    registration.enclave.store(Arc::as_ptr(enclave).cast_mut(), Ordering::Relaxed);
    registration.end.store(secs.base + secs.size, Ordering::Relaxed);
    registration.base.store(secs.base, Ordering::Release);
    USED.fetch_max(index + 1, Ordering::Release);
    loaded.push((secs.base, Arc::downgrade(enclave)));
    Ok(())
}

/// Removes the enclave at `base`, if it was registered.
pub(crate) fn remove(base: usize) {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded.retain(|(other, _)| *other != base);
    for registration in &REGISTRATIONS {
        if registration.base.load(Ordering::Relaxed) == base {
            registration.base.store(0, Ordering::Release);
            registration.end.store(0, Ordering::Release);
        }
    }
}

/// Returns the enclave that contains `address`. Only the caller knows that it is alive: because the
/// caller holds one of its TCSs, or runs inside it.
pub(crate) fn find(address: usize) -> Option<*const Enclave> {
    let used = USED.load(Ordering::Acquire);
    REGISTRATIONS[..used].iter().find_map(|registration| {
        let base = registration.base.load(Ordering::Acquire);
        if base == 0 || address < base || address >= registration.end.load(Ordering::Acquire) {
            return None;
        }
        let enclave = registration.enclave.load(Ordering::Acquire);
        // The registration may have been given to another enclave between these loads.
        (registration.base.load(Ordering::Acquire) == base).then_some(enclave.cast_const())
    })
}

/// Returns a counted reference to the enclave that contains `address`.
pub(crate) fn get(address: usize) -> Result<Arc<Enclave>, Error> {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded
        .iter()
        .filter_map(|(_, enclave)| enclave.upgrade())
        .find(|enclave| enclave.contains(address))
        .ok_or(Error::NotAnEnclave(address))
}

/// Whether `address` (of a TCS) belongs to a simulated enclave rather than to one of the processor.
/// Takes no lock and reads a few words.
pub fn owns_tcs(address: *const core::ffi::c_void) -> bool {
    find(address as usize).is_some()
}
