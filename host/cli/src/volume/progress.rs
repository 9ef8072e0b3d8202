//! Shows the progress of an operation on one line of the terminal.

use std::io::{Write, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use twine_host::Progress;
use twine_protocol::wire::Unit;

/// The shortest time between two updates.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Clears the line from the cursor on (ECMA-48, EL).
const CLEAR: &str = "\x1b[K";

/// The progress line. It is cleared when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct ProgressLine {
    last: Mutex<Option<Instant>>,
}

impl Progress for ProgressLine {
    fn progress(&self, done: u64, total: Option<u64>, unit: Unit) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < MIN_INTERVAL) {
            return;
        }
        *last = Some(Instant::now());
        // The cursor returns to the start of the line, so that a message overwrites the progress.
        let _ = write!(stderr(), "{CLEAR}{}\r", text(done, total, unit));
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.last.get_mut().is_ok_and(|last| last.is_some()) {
            let _ = write!(stderr(), "{CLEAR}");
        }
    }
}

fn text(done: u64, total: Option<u64>, unit: Unit) -> String {
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
    fn progress_has_a_unit_and_a_percentage_if_the_total_is_known() {
        assert_eq!(text(3 << 19, Some(3 << 20), Unit::Bytes), " 50%  1.5 MiB of 3.0 MiB");
        assert_eq!(text(12, None, Unit::Files), "12 files");
        assert_eq!(text(9, Some(3), Unit::Blocks), "100%  9 blocks of 3 blocks");
    }
}
