//! Limits of one run, and those that are enforced where memories and tables are made and grown.

use wasmtime::ResourceLimiter;

/// Limits of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limit on the bytes of all linear memories together.
    pub memory: Option<u64>,
    /// Units of fuel (wasmtime's: about one for each instruction).
    pub fuel: Option<u64>,
    /// Whether an [`Interrupter`](crate::Interrupter) may interrupt the program: loops and calls
    /// then check for it.
    pub interruptible: bool,
}

/// Limit on the elements of one table: a table takes enclave memory as soon as it is made.
pub const MAX_TABLE_ELEMENTS: usize = 10_000_000;

/// Holds all memories of a program together to a number of bytes.
#[derive(Debug)]
pub(crate) struct Limiter {
    most: u64,
    used: u64,
    /// What the first refused request would have made of `used`, if one was refused.
    pub(crate) refused: Option<u64>,
    /// Elements of the first table that was refused, if one was.
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
