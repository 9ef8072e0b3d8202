//! What a fuzzer sets for its own thread, and what the rest of the crate asks for.

use crate::format::block::Kind;
use std::cell::{Cell, RefCell};

/// Changes what is about to be sealed.
type Change = Box<dyn FnMut(Kind, &mut [u8])>;

thread_local! {
    static NUMBERS: Cell<Option<u64>> = const { Cell::new(None) };
    static CHANGE: RefCell<Option<Change>> = const { RefCell::new(None) };
}

/// Runs `work` with random bytes that are the same each time, so that an input does the same
/// each time.
pub(crate) fn predictably<T>(work: impl FnOnce() -> T) -> T {
    NUMBERS.set(Some(1));
    let result = work();
    NUMBERS.set(None);
    result
}

/// Has `change` see and change all that is sealed while `work` runs, in the clear.
pub(crate) fn changing<T>(
    change: impl FnMut(Kind, &mut [u8]) + 'static,
    work: impl FnOnce() -> T,
) -> T {
    CHANGE.set(Some(Box::new(change)));
    let result = work();
    CHANGE.set(None);
    result
}

/// Fills `bytes` if they are to be predictable; whether they are.
pub(crate) fn fill(bytes: &mut [u8]) -> bool {
    let Some(mut state) = NUMBERS.get() else { return false };
    for byte in bytes {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *byte = (state >> 56) as u8;
    }
    NUMBERS.set(Some(state));
    true
}

/// Tells that `bytes` are about to be sealed.
pub(crate) fn before_seal(kind: Kind, bytes: &mut [u8]) {
    CHANGE.with_borrow_mut(|change| {
        if let Some(change) = change {
            change(kind, bytes);
        }
    });
}
