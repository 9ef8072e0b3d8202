//! A storage whose calls fail when a test asks for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twine_volume::{MemoryStorage, Operation, Storage, StorageError};

#[derive(Debug, Default)]
struct Plan {
    calls: u64,
    fail_at: u64,
    for_calls: u64,
    error: Option<StorageError>,
    /// The calls that failed.
    failed: Vec<Operation>,
}

/// A storage that can fail. Clones share the plan and the bytes.
#[derive(Debug, Clone)]
pub struct Faulty {
    pub memory: MemoryStorage,
    plan: Arc<Mutex<Plan>>,
}

impl Faulty {
    pub fn new(memory: MemoryStorage) -> Self {
        Faulty { memory, plan: Arc::default() }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn calls(&self) -> u64 {
        self.plan().calls
    }

    /// Makes `calls` calls fail, from call number `at` on.
    pub fn fail(&self, at: u64, calls: u64, error: StorageError) {
        let mut plan = self.plan();
        plan.fail_at = at;
        plan.for_calls = calls;
        plan.error = Some(error);
    }

    pub fn failed(&self) -> Vec<Operation> {
        self.plan().failed.clone()
    }

    fn call(&self, operation: Operation) -> Result<(), StorageError> {
        let mut plan = self.plan();
        plan.calls += 1;
        let due = (plan.fail_at..plan.fail_at.saturating_add(plan.for_calls)).contains(&plan.calls);
        // Only calls that take space can fail for lack of space.
        let fits = match plan.error {
            Some(StorageError::NoSpace) => {
                matches!(operation, Operation::Write | Operation::SetSize)
            }
            _ => true,
        };
        match plan.error {
            Some(error) if due && fits => {
                plan.failed.push(operation);
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

impl Storage for Faulty {
    fn size(&mut self) -> Result<u64, StorageError> {
        self.call(Operation::Size)?;
        self.memory.size()
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        self.call(Operation::SetSize)?;
        self.memory.set_size(size)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.call(Operation::Read)?;
        self.memory.read(offset, bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        if let Err(error) = self.call(Operation::Write) {
            // Some of the bytes may have been written.
            self.memory.write(offset, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.memory.write(offset, bytes)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.call(Operation::Sync)?;
        self.memory.sync()
    }
}
