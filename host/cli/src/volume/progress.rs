//! How far long work has come, on a line of the terminal that is written over.

use std::io::{Write, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use twine_host::Progress;
use twine_protocol::wire::Unit;

/// The line is written at most so often.
const EVERY: Duration = Duration::from_millis(100);

/// Clears what is behind the cursor on its line (ECMA-48, EL).
const CLEAR: &str = "\x1b[K";

/// The line; cleared when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Line {
    last: Mutex<Option<Instant>>,
}

impl Progress for Line {
    fn progress(&self, done: u64, total: Option<u64>, unit: Unit) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        *last = Some(Instant::now());
        // Back to the start of the line, so that a message takes its place.
        let _ = write!(stderr(), "{CLEAR}{}\r", words(done, total, unit));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.last.get_mut().is_ok_and(|last| last.is_some()) {
            let _ = write!(stderr(), "{CLEAR}");
        }
    }
}

fn words(done: u64, total: Option<u64>, unit: Unit) -> String {
    let amount = |count: u64| match unit {
        Unit::Bytes => format!("{:.1} MiB", count as f64 / f64::from(1 << 20)),
        Unit::Files => format!("{count} files"),
        Unit::Blocks => format!("{count} blocks"),
    };
    match total {
        Some(total @ 1..) => {
            let percent = u128::from(done.min(total)) * 100 / u128::from(total);
            format!("{percent:>3}%  {} of {}", amount(done), amount(total))
        }
        _ => amount(done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_with_its_unit_and_a_share_where_the_whole_is_known() {
        assert_eq!(words(3 << 19, Some(3 << 20), Unit::Bytes), " 50%  1.5 MiB of 3.0 MiB");
        assert_eq!(words(12, None, Unit::Files), "12 files");
        assert_eq!(words(9, Some(3), Unit::Blocks), "100%  9 blocks of 3 blocks");
    }
}
