//! Checks both copies of the header, and of the entry that names the newest root.

use super::Check;
use crate::format::block::{BlockNo, Bytes, HEADER_COPIES, HEADER_START, zeroed};
use crate::log;

impl Check<'_> {
    /// Checks both copies of each. A damaged copy, or one that an interrupted change left behind,
    /// does no harm while the other is intact.
    pub(super) fn copies(&mut self) {
        let header = self.engine.header().encode(self.engine.volume_key());
        for copy in 0..HEADER_COPIES {
            self.copy(HEADER_START + copy, "header", |_, bytes| *bytes == *header);
        }
        let volume = self.engine.header().volume;
        for (block, tag) in self.engine.root_entry().to_vec() {
            self.copy(block, "newest root", |check, bytes| {
                let sealer = check.engine.store_mut().sealer_mut();
                log::is_entry(sealer, &volume, bytes, &tag).unwrap_or(false)
            });
        }
    }

    fn copy(
        &mut self,
        block: BlockNo,
        what: &str,
        is_whole: impl FnOnce(&mut Self, &Bytes) -> bool,
    ) {
        let mut bytes = zeroed();
        let fault = match self.engine.store_mut().read(block, &mut bytes[..]) {
            Ok(()) if is_whole(self, &bytes) => return,
            Ok(()) => "is damaged, or of another time".to_string(),
            Err(error) => format!("can't be read: {error}"),
        };
        self.find(None, false, format!("block {block}: a copy of the {what} {fault}"));
    }
}
