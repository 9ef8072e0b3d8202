//! MRENCLAVE (SDM Vol. 3D, ECREATE, EADD, EEXTEND): SHA-256 of the measured records of the
//! stream, computed on a thread of its own while the loader goes on.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::stream::Block;

/// A measurement in progress.
pub(crate) struct Measurement {
    full: Sender<Block>,
    hashed: Receiver<Block>,
    /// How many blocks there are.
    blocks: usize,
    thread: JoinHandle<[u8; 32]>,
}

impl Measurement {
    /// So many that the hash, which is slower, finds one whenever it looks: the loader fills the
    /// others while it wakes up. More would be more memory to touch for the first time.
    const BLOCKS: usize = 8;

    pub(crate) fn start() -> Result<Self, Error> {
        let (full, to_hash) = channel::<Block>();
        let (done, hashed) = channel();
        let hash = move || {
            let mut hash = Sha256::new();
            for block in to_hash {
                block.measured().for_each(|bytes| hash.update(bytes));
                // The loader takes no more blocks once the stream has ended.
                let _ = done.send(block);
            }
            hash.finalize().into()
        };
        let thread = thread::Builder::new().spawn(hash).map_err(Error::Thread)?;
        Ok(Measurement { full, hashed, blocks: 0, thread })
    }

    /// An empty block.
    pub(crate) fn block(&mut self) -> Result<Block, Error> {
        if self.blocks == Self::BLOCKS
            && let Ok(mut block) = self.hashed.recv()
        {
            block.clear();
            return Ok(block);
        }
        self.blocks += 1;
        Block::new()
    }

    /// Extends the measurement by what is measured of `block`.
    pub(crate) fn extend(&self, block: Block) {
        // It fails only if the thread has panicked, which `finish` passes on.
        let _ = self.full.send(block);
    }

    /// EINIT's final value.
    pub(crate) fn finish(self) -> [u8; 32] {
        drop(self.full);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_measured_is_hashed() {
        let part = |first: u8| (0..1000).map(|i| first.wrapping_add(i as u8)).collect::<Vec<_>>();
        let mut measurement = Measurement::start().unwrap();
        for first in 0..100 {
            let mut block = measurement.block().unwrap();
            assert!(block.bytes().is_empty());
            block.push(&part(first));
            for range in [0..64, 64..100, 900..1000] {
                block.measure(range);
            }
            measurement.extend(block);
        }
        let mrenclave = measurement.finish();
        let mut expected = Sha256::new();
        for first in 0..100 {
            expected.update(&part(first)[..100]);
            expected.update(&part(first)[900..]);
        }
        assert_eq!(mrenclave[..], expected.finalize()[..]);
    }
}
