//! Measures the progress of a copy.

use crate::console::Console;
use twine_protocol::wire::Unit;

/// A report of progress is a host call, so it is made only once in this many bytes or files.
const EVERY_BYTES: u64 = 1 << 20;
const EVERY_FILES: u64 = 256;

/// Counts the copied bytes and files.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The number of bytes to copy; 0 if it was not counted.
    pub(crate) total: u64,
    bytes: u64,
    files: u64,
    told_bytes: u64,
    told_files: u64,
}

impl Meter {
    pub(crate) fn bytes(&mut self, console: &mut dyn Console, count: u64) {
        self.bytes = self.bytes.saturating_add(count);
        if self.bytes - self.told_bytes >= EVERY_BYTES {
            self.tell(console);
        }
    }

    pub(crate) fn file(&mut self, console: &mut dyn Console) {
        self.files += 1;
        if self.files - self.told_files >= EVERY_FILES {
            self.tell(console);
        }
    }

    fn tell(&mut self, console: &mut dyn Console) {
        (self.told_bytes, self.told_files) = (self.bytes, self.files);
        if console.wants_progress() {
            // A file that grows while it is copied has more bytes than were counted.
            let total = if self.bytes > self.total { 0 } else { self.total };
            console.progress(self.bytes, total, Unit::Bytes);
        }
    }
}
