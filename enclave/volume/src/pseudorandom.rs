//! Pseudorandom numbers for tests. The sequence is always the same.

/// Returns a function that gives 31 bits at each call.
pub(crate) fn numbers() -> impl FnMut() -> usize {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize
    }
}
