//! MRENCLAVE (SDM Vol. 3D, ECREATE, EADD, EEXTEND): SHA-256 of the measured records of the stream.
//! A thread of its own computes it while the loader continues, if one can be started.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::stream::Block;

/// A measurement in progress.
pub(crate) struct Measurement {
    hash: Hash,
    /// The number of blocks that exist.
    blocks: usize,
}

/// The computation of the hash.
enum Hash {
    /// Another thread hashes, and returns each block. It ends when it gets no more.
    Elsewhere { full: Sender<Block>, hashed: Receiver<Block>, thread: Thread },
    /// This thread hashes, because no other can be started.
    Here { hash: Box<Sha256>, hashed: Vec<Block> },
}

impl Measurement {
    /// The number of blocks. The hash, which is slower than the loader, always finds a full one:
    /// the loader fills the others while the thread wakes up. More blocks would be more memory to
    /// touch.
    const BLOCKS: usize = 8;

    pub(crate) fn start() -> Self {
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
        let hash = match thread::Builder::new().spawn(hash) {
            Ok(thread) => Hash::Elsewhere { full, hashed, thread: Thread(Some(thread)) },
            Err(_) => Hash::here(),
        };
        Measurement { hash, blocks: 0 }
    }

    /// Returns an empty block.
    pub(crate) fn block(&mut self) -> Result<Block, Error> {
        let used = match &mut self.hash {
            Hash::Elsewhere { hashed, .. } if self.blocks == Self::BLOCKS => hashed.recv().ok(),
            Hash::Elsewhere { .. } => None,
            Hash::Here { hashed, .. } => hashed.pop(),
        };
        match used {
            Some(mut block) => {
                block.clear();
                Ok(block)
            }
            None => {
                self.blocks += 1;
                Block::new()
            }
        }
    }

    /// Extends the measurement by the measured bytes of `block`.
    pub(crate) fn extend(&mut self, block: Block) {
        match &mut self.hash {
            // This fails only if the thread has panicked, which `finish` passes on.
            Hash::Elsewhere { full, .. } => drop(full.send(block)),
            Hash::Here { hash, hashed } => {
                block.measured().for_each(|bytes| hash.update(bytes));
                hashed.push(block);
            }
        }
    }

    /// Returns EINIT's final value.
    pub(crate) fn finish(self) -> [u8; 32] {
        match self.hash {
            Hash::Elsewhere { full, mut thread, .. } => {
                drop(full);
                match thread.join() {
                    Some(Ok(hash)) => hash,
                    Some(Err(panic)) => std::panic::resume_unwind(panic),
                    None => unreachable!("it is joined here and when this is dropped"),
                }
            }
            Hash::Here { hash, .. } => hash.finalize().into(),
        }
    }
}

/// A thread. Dropping this waits for its end.
struct Thread(Option<JoinHandle<[u8; 32]>>);

impl Thread {
    fn join(&mut self) -> Option<thread::Result<[u8; 32]>> {
        self.0.take().map(JoinHandle::join)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // The caller that wants its result passes its panic on.
        let _ = self.join();
    }
}

impl Hash {
    fn here() -> Self {
        Hash::Here { hash: Box::default(), hashed: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_measured_records_are_hashed() {
        let part = |first: u8| (0..1000).map(|i| first.wrapping_add(i as u8)).collect::<Vec<_>>();
        let measured = |mut measurement: Measurement| {
            for first in 0..100 {
                let mut block = measurement.block().unwrap();
                assert!(block.bytes().is_empty());
                block.push(&part(first));
                for range in [0..64, 64..100, 900..1000] {
                    block.measure(range);
                }
                measurement.extend(block);
            }
            measurement.finish()
        };
        let mrenclave = measured(Measurement::start());
        assert_eq!(mrenclave, measured(Measurement { hash: Hash::here(), blocks: 0 }));
        let mut expected = Sha256::new();
        for first in 0..100 {
            expected.update(&part(first)[..100]);
            expected.update(&part(first)[900..]);
        }
        assert_eq!(mrenclave[..], expected.finalize()[..]);
    }
}
