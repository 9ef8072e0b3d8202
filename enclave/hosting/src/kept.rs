//! The output of a program that is kept for clients.

use std::collections::VecDeque;
use twine_channel::WINDOW;
use twine_channel::frame::{MAX_PIECE, part};

/// Output that is kept: the last bytes of all that was written.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    bytes: VecDeque<u8>,
    /// The number of bytes that were written.
    pub(crate) written: u64,
    /// The number of bytes that the attached client has acknowledged.
    pub(crate) acknowledged: u64,
}

impl Kept {
    /// The place of the first byte that is kept.
    pub(crate) fn start(&self) -> u64 {
        self.written - self.bytes.len() as u64
    }

    /// How many bytes can be written without a loss.
    pub(crate) fn room(&self) -> usize {
        let waiting = usize::try_from(self.written - self.acknowledged.max(self.start()));
        WINDOW.saturating_sub(waiting.unwrap_or(WINDOW))
    }

    /// Keeps bytes. The oldest are dropped.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let last = bytes.get(bytes.len().saturating_sub(WINDOW)..).unwrap_or_default();
        let excess = (self.bytes.len() + last.len()).saturating_sub(WINDOW);
        self.bytes.drain(..excess);
        self.bytes.extend(last);
        self.written += bytes.len() as u64;
    }

    /// Returns the next piece to send after the place `sent`, in two parts, and moves that on. Empty
    /// if everything was sent.
    pub(crate) fn next_piece(&self, sent: &mut u64) -> [&[u8]; 2] {
        *sent = self.nearest(*sent);
        let from = usize::try_from(*sent - self.start()).unwrap_or(usize::MAX);
        let parts = part(&self.bytes, from, MAX_PIECE);
        *sent += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        parts
    }

    /// The nearest place that is kept.
    pub(crate) fn nearest(&self, place: u64) -> u64 {
        place.clamp(self.start(), self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that tell their place.
    fn bytes(from: usize, length: usize) -> Vec<u8> {
        (from..from + length).map(|place| (place % 251) as u8).collect()
    }

    #[test]
    fn the_newest_output_is_kept_and_pieces_follow_each_other() {
        let mut kept = Kept::default();
        let mut written = 0;
        for length in [0, 1, 100, WINDOW - 50, 7, WINDOW, 3 * WINDOW + 5, 0, 9] {
            kept.push(&bytes(written, length));
            written += length;
            assert_eq!(kept.written, written as u64);
            let start = written.saturating_sub(WINDOW);
            assert_eq!(kept.start(), start as u64);
            // Whoever has got something else gets the nearest that there is.
            for place in [0, start.saturating_sub(1), start, start + 3, written, usize::MAX] {
                let mut sent = place as u64;
                let mut found = Vec::new();
                let begin = place.clamp(start, written);
                loop {
                    let piece = kept.next_piece(&mut sent).concat();
                    assert!(piece.len() <= MAX_PIECE);
                    if piece.is_empty() {
                        break;
                    }
                    found.extend(piece);
                }
                assert_eq!(sent, written as u64);
                assert!(found == bytes(begin, written - begin), "{written}, from {place}");
            }
        }
    }

    #[test]
    fn room_is_what_was_not_written_or_is_acknowledged() {
        let mut kept = Kept::default();
        assert_eq!(kept.room(), WINDOW);
        kept.push(&[0; 1000]);
        assert_eq!(kept.room(), WINDOW - 1000);
        kept.acknowledged = 400;
        assert_eq!(kept.room(), WINDOW - 600);
        kept.push(&vec![0; WINDOW - 600]);
        assert_eq!(kept.room(), 0);
        // What was dropped takes no room.
        kept.push(&vec![0; 5 * WINDOW]);
        assert_eq!(kept.room(), 0);
        kept.acknowledged = kept.written;
        assert_eq!(kept.room(), WINDOW);
    }
}
