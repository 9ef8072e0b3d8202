//! The limits of a run. A limiter enforces those on memories and tables when they are made and
//! grown.

use wasmtime::ResourceLimiter;

/// Limits of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limit on the size of all linear memories together, in bytes.
    pub memory: Option<u64>,
    /// Limit on fuel, in wasmtime's units: about one for each instruction.
    pub fuel: Option<u64>,
    /// Whether an [`Interrupter`](crate::Interrupter) may interrupt the program. Loops and calls
    /// then check for it.
    pub interruptible: bool,
}

/// Limit on the elements of one table. A table takes enclave memory as soon as it is made.
pub const MAX_TABLE_ELEMENTS: usize = 10_000_000;

/// Enforces the limit on the size of all memories of a program together.
#[derive(Debug)]
pub(crate) struct Limiter {
    most: u64,
    used: u64,
    /// The value that `used` would have after the first refused request, if one was refused.
    pub(crate) refused: Option<u64>,
    /// Number of elements of the first refused table, if one was refused.
    pub(crate) refused_table: Option<usize>,
}

impl Limiter {
    pub(crate) fn new(most: Option<u64>) -> Self {
        Limiter { most: most.unwrap_or(u64::MAX), used: 0, refused: None, refused_table: None }
    }

    pub(crate) fn most(&self) -> u64 {
        self.most
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add((desired - current) as u64);
        if used > self.most {
            self.refused.get_or_insert(used);
            return Ok(false);
        }
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.used = used;
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= MAX_TABLE_ELEMENTS;
        if !fits {
            self.refused_table.get_or_insert(desired);
        }
        Ok(fits)
    }
}
