//! A storage in which one read goes wrong, once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twine_volume::{BLOCK_BYTES, MemoryStorage, Storage, StorageError};

/// The read that goes wrong, and how.
#[derive(Debug, Clone, Copy)]
pub enum Wrong {
    /// The read with this number fails.
    Read(u64),
    /// The first read that covers this block fails.
    Block(u64),
    /// The first read that covers this block returns zeros for it.
    Zeros(u64),
}

#[derive(Debug)]
struct Plan {
    wrong: Option<Wrong>,
    reads: u64,
}

/// A storage with one wrong read. Clones share the plan and the bytes.
#[derive(Debug, Clone)]
pub struct Flaky {
    memory: MemoryStorage,
    plan: Arc<Mutex<Plan>>,
}

impl Flaky {
    pub fn new(memory: MemoryStorage, wrong: Wrong) -> Self {
        Flaky { memory, plan: Arc::new(Mutex::new(Plan { wrong: Some(wrong), reads: 0 })) }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the read went wrong.
    pub fn happened(&self) -> bool {
        self.plan().wrong.is_none()
    }
}

impl Storage for Flaky {
    fn size(&mut self) -> Result<u64, StorageError> {
        self.memory.size()
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        self.memory.set_size(size)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.memory.read(offset, bytes)?;
        let mut plan = self.plan();
        plan.reads += 1;
        let first = offset / BLOCK_BYTES as u64;
        let blocks = first..first + (bytes.len() / BLOCK_BYTES) as u64;
        match plan.wrong {
            Some(Wrong::Read(number)) if number == plan.reads => {
                plan.wrong = None;
                Err(StorageError::Io)
            }
            Some(Wrong::Block(block)) if blocks.contains(&block) => {
                plan.wrong = None;
                Err(StorageError::Io)
            }
            Some(Wrong::Zeros(block)) if blocks.contains(&block) => {
                plan.wrong = None;
                let start = (block - first) as usize * BLOCK_BYTES;
                bytes[start..start + BLOCK_BYTES].fill(0);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.memory.write(offset, bytes)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.memory.sync()
    }
}
