//! A storage that records what was done since its last sync, so that a test can decide what of it
//! survives a crash.

use super::Random;
use std::sync::{Arc, Mutex, MutexGuard};
use twine_volume::{BLOCK_BYTES, Piece, Storage, StorageError};

/// A call that was not synced yet.
#[derive(Debug, Clone)]
enum Event {
    Write { offset: u64, bytes: Vec<u8> },
    Resize(u64),
}

#[derive(Debug, Default)]
struct Inner {
    /// The bytes that a reader sees.
    now: Vec<u8>,
    /// The bytes at the last sync.
    durable: Vec<u8>,
    unsynced: Vec<Event>,
    /// Number of writes, resizes and syncs so far.
    calls: u64,
    /// Number of calls that wrote several places together.
    together: u64,
    /// The call at which the storage stops.
    stop_at: u64,
    stopped: bool,
}

/// A storage that records calls. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Inner>>);

/// Number of bytes that a disk writes atomically.
const SECTOR: usize = 512;

impl Recorder {
    pub fn new(bytes: Vec<u8>) -> Self {
        let recorder = Recorder::default();
        {
            let mut inner = recorder.inner();
            inner.now = bytes.clone();
            inner.durable = bytes;
            inner.stop_at = u64::MAX;
        }
        recorder
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Returns the number of writes, resizes and syncs so far.
    pub fn calls(&self) -> u64 {
        self.inner().calls
    }

    /// Returns the number of calls that wrote several places together.
    pub fn together(&self) -> u64 {
        self.inner().together
    }

    /// Stops the storage for good at this call, which is done in part or not at all.
    pub fn stop_at(&self, call: u64) {
        self.inner().stop_at = call;
    }

    pub fn stopped(&self) -> bool {
        self.inner().stopped
    }

    /// Returns the present bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.inner().now.clone()
    }

    /// Returns bytes that may be left after a crash: synced bytes, and of each other write
    /// everything, nothing, or some of its sectors, in any order.
    pub fn crash(&self, random: &mut Random) -> Vec<u8> {
        let inner = self.inner();
        let mut left = inner.durable.clone();
        let mut events: Vec<&Event> = inner.unsynced.iter().collect();
        for at in (1..events.len()).rev() {
            if random.once_in(2) {
                events.swap(at, random.below(at as u64 + 1) as usize);
            }
        }
        let mood = random.below(4);
        for event in events {
            match event {
                Event::Resize(size) => {
                    if mood != 0 && !random.once_in(4) {
                        left.resize(*size as usize, 0);
                    }
                }
                Event::Write { offset, bytes } => {
                    let fate = match mood {
                        0 => 0,
                        1 => 1,
                        _ => random.below(3),
                    };
                    write_some(&mut left, *offset, bytes, fate, random);
                }
            }
        }
        left
    }

    /// Returns bytes that may be left after a kill: everything that was written, and of the last
    /// write nothing, everything, or some blocks.
    pub fn kill(&self, random: &mut Random) -> Vec<u8> {
        let inner = self.inner();
        let mut left = inner.now.clone();
        if let Some(Event::Write { offset, bytes }) =
            inner.unsynced.last().filter(|_| inner.stopped)
        {
            let blocks = bytes.len() / BLOCK_BYTES;
            let written = random.below(blocks as u64 + 1) as usize * BLOCK_BYTES;
            let start = *offset as usize;
            left[start..start + written].copy_from_slice(&bytes[..written]);
        }
        left
    }

    fn count(&self) -> Result<MutexGuard<'_, Inner>, StorageError> {
        let mut inner = self.inner();
        if inner.stopped {
            return Err(StorageError::Io);
        }
        inner.calls += 1;
        if inner.calls == inner.stop_at {
            inner.stopped = true;
        }
        Ok(inner)
    }
}

/// Writes nothing (fate 0), everything (1), or some sectors.
fn write_some(left: &mut Vec<u8>, offset: u64, bytes: &[u8], fate: u64, random: &mut Random) {
    if fate == 0 {
        return;
    }
    for (at, sector) in bytes.chunks(SECTOR).enumerate() {
        if fate == 1 || random.once_in(2) {
            let start = offset as usize + at * SECTOR;
            if left.len() < start + sector.len() {
                left.resize(start + sector.len(), 0);
            }
            left[start..start + sector.len()].copy_from_slice(sector);
        }
    }
}

impl Storage for Recorder {
    fn size(&mut self) -> Result<u64, StorageError> {
        Ok(self.inner().now.len() as u64)
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        let mut inner = self.count()?;
        if inner.stopped {
            return Err(StorageError::Io);
        }
        inner.now.resize(size as usize, 0);
        inner.unsynced.push(Event::Resize(size));
        Ok(())
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        let inner = self.inner();
        let start = offset as usize;
        let held = inner.now.get(start..start + bytes.len()).ok_or(StorageError::Short)?;
        bytes.copy_from_slice(held);
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let mut inner = self.count()?;
        let start = offset as usize;
        if inner.now.len() < start + bytes.len() {
            return Err(StorageError::Short);
        }
        inner.unsynced.push(Event::Write { offset, bytes: bytes.to_vec() });
        if inner.stopped {
            return Err(StorageError::Io);
        }
        inner.now[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn write_pieces(&mut self, pieces: &[Piece], bytes: &[u8]) -> Result<(), StorageError> {
        self.inner().together += 1;
        let parts = Piece::split(pieces, bytes)?;
        parts.into_iter().try_for_each(|(offset, bytes)| self.write(offset, bytes))
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let mut inner = self.count()?;
        if inner.stopped {
            return Err(StorageError::Io);
        }
        inner.durable = inner.now.clone();
        inner.unsynced.clear();
        Ok(())
    }

    /// Makes these bytes durable, and no earlier ones.
    fn write_through(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.write(offset, bytes)?;
        let mut inner = self.count()?;
        if inner.stopped {
            return Err(StorageError::Io);
        }
        inner.unsynced.pop();
        let end = offset as usize + bytes.len();
        if inner.durable.len() < end {
            inner.durable.resize(end, 0);
        }
        inner.durable[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }
}
