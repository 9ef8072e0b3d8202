//! The limits of a run. A limiter enforces those on memories and tables when they are made and
//! grown.

use wasmtime::ResourceLimiter;

/// Limits of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limit on the size of all linear memories together, in bytes.
    pub memory: Option<u64>,
    /// Limit on the elements of all tables together. Each table also has [`MAX_TABLE_ELEMENTS`].
    pub tables: Option<usize>,
    /// Limit on fuel, in wasmtime's units: about one for each instruction.
    pub fuel: Option<u64>,
    /// Whether an [`Interrupter`](crate::Interrupter) may interrupt the program. Loops and calls
    /// then check for it.
    pub interruptible: bool,
}

/// Limit on the elements of one table. A table takes enclave memory as soon as it is made.
pub const MAX_TABLE_ELEMENTS: usize = 10_000_000;

/// Enforces the limits on all memories and on all tables of a program.
#[derive(Debug)]
pub(crate) struct Limiter {
    most: u64,
    used: u64,
    /// The value that `used` would have after the first refused request, if one was refused.
    pub(crate) refused: Option<u64>,
    most_elements: usize,
    elements: usize,
    /// The number of elements, and their limit, of the first refused table.
    pub(crate) refused_table: Option<(usize, usize)>,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Limiter {
            most: limits.memory.unwrap_or(u64::MAX),
            used: 0,
            refused: None,
            most_elements: limits.tables.unwrap_or(usize::MAX),
            elements: 0,
            refused_table: None,
        }
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
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = self.elements.saturating_add(desired - current);
        let checks = [(desired, MAX_TABLE_ELEMENTS), (elements, self.most_elements)];
        if let Some(refused) = checks.into_iter().find(|(wanted, most)| wanted > most) {
            self.refused_table.get_or_insert(refused);
            return Ok(false);
        }
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.elements = elements;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tables_together_stay_within_their_limit() {
        let mut limiter = Limiter::new(&Limits { tables: Some(100), ..Limits::default() });
        let mut grow =
            |current, desired, maximum| limiter.table_growing(current, desired, maximum).unwrap();
        assert!(grow(0, 60, None));
        // The engine refuses what is above a table's own maximum.
        assert!(grow(0, 30, Some(20)));
        assert!(grow(0, 30, Some(30)));
        assert!(!grow(30, 41, None));
        assert!(grow(60, 70, None));
        assert!(!grow(0, 1, None));
        assert_eq!(limiter.refused_table, Some((101, 100)));
    }

    #[test]
    fn one_table_has_a_limit_of_its_own() {
        let mut limiter = Limiter::new(&Limits::default());
        let mut grow = |current, desired| limiter.table_growing(current, desired, None).unwrap();
        assert!(grow(0, MAX_TABLE_ELEMENTS));
        assert!(grow(0, MAX_TABLE_ELEMENTS));
        assert!(!grow(0, MAX_TABLE_ELEMENTS + 1));
        let refused = Some((MAX_TABLE_ELEMENTS + 1, MAX_TABLE_ELEMENTS));
        assert_eq!(limiter.refused_table, refused);
    }
}
