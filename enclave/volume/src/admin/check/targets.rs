//! Checks the targets of symbolic links, piece by piece.

use crate::format::numbers::InodeNo;
use std::mem;

/// The symbolic link whose pieces are being read.
#[derive(Debug)]
pub(super) struct Target {
    inode: InodeNo,
    /// The first bytes of a character that continues in the next piece.
    begun: Vec<u8>,
    makes_sense: bool,
}

impl Target {
    /// The target of an inode, before its first piece.
    pub(super) fn new(inode: InodeNo) -> Self {
        Target { inode, begun: Vec::new(), makes_sense: true }
    }

    /// Adds the next piece of an inode. If the inode is a new one, returns the previous inode if
    /// its target is not UTF-8.
    pub(super) fn add(&mut self, inode: InodeNo, piece: &[u8]) -> Option<InodeNo> {
        let ended = (inode != self.inode).then(|| mem::replace(self, Target::new(inode)));
        self.begun.extend_from_slice(piece);
        match str::from_utf8(&self.begun) {
            Ok(_) => self.begun.clear(),
            Err(error) => {
                self.makes_sense &= error.error_len().is_none();
                drop(self.begun.drain(..error.valid_up_to()));
                self.begun.truncate(4);
            }
        }
        ended.and_then(Target::end)
    }

    /// Returns the inode if its target is not UTF-8.
    pub(super) fn end(self) -> Option<InodeNo> {
        (!self.makes_sense || !self.begun.is_empty()).then_some(self.inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_text(pieces: &[&[u8]]) -> bool {
        let mut target = Target::new(InodeNo(2));
        pieces.iter().for_each(|piece| assert_eq!(target.add(InodeNo(2), piece), None));
        target.end().is_none()
    }

    #[test]
    fn a_target_is_text_wherever_it_is_cut() {
        assert!(is_text(&[]));
        assert!(is_text(&[b"a", b"b"]));
        assert!(is_text(&["aß€".as_bytes()]));
        assert!(is_text(&[b"a\xf0", b"\x9f", b"", b"\x98\x80b"]));
        assert!(!is_text(&[b"a\xff"]));
        assert!(!is_text(&[b"\xff", b"later"]));
        assert!(!is_text(&[b"\xf0\x9f", b"later"]));
        assert!(!is_text(&[b"\xf0\x9f\x98"]));
        let mut target = Target::new(InodeNo(2));
        assert_eq!(target.add(InodeNo(2), b"\xc3"), None);
        assert_eq!(target.add(InodeNo(3), b"\x9f"), Some(InodeNo(2)));
        assert_eq!(target.end(), Some(InodeNo(3)));
    }
}
