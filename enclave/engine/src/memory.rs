//! Linear memories: on the heap, or with guards if the environment makes those.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType, format_err};

/// Records whether a memory could not be made. Wasmtime's error says it only in text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusals(Arc<AtomicBool>);

impl Refusals {
    /// Whether a memory was refused since the last call.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes every linear memory an allocation of the heap, so that the code memory of the enclave only
/// holds code. New bytes are zero: the allocator clears them.
struct HeapMemory;

/// The size of a page. It is enough for every vector type.
const ALIGNMENT: usize = 4096;

/// One linear memory.
struct Allocation {
    /// Points to `capacity` bytes, or dangles if that is 0.
    base: NonNull<u8>,
    size: usize,
    capacity: usize,
    maximum: Option<usize>,
}

// SAFETY: an `Allocation` owns its bytes; the pointer is only accessible through it.
unsafe impl Send for Allocation {}
// SAFETY: as above; `&Allocation` only returns the pointer, and wasmtime orders the accesses.
unsafe impl Sync for Allocation {}

fn allocate(capacity: usize) -> Option<NonNull<u8>> {
    let layout = Layout::from_size_align(capacity, ALIGNMENT).ok()?;
    if capacity == 0 {
        return Some(layout.dangling_ptr());
    }
    // SAFETY: the layout's size is not 0.
    NonNull::new(unsafe { alloc_zeroed(layout) })
}

impl Allocation {
    fn free(&mut self) {
        if self.capacity != 0 {
            let layout = Layout::from_size_align(self.capacity, ALIGNMENT)
                .expect("it was valid when the memory was allocated");
            // SAFETY: `base` came from `allocate` with the same layout.
            unsafe { dealloc(self.base.as_ptr(), layout) };
        }
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.free();
    }
}

// SAFETY: `byte_size` bytes from `as_ptr` on are always allocated, and zeroed when new. They are
// only freed on drop, and the base only moves in `grow_to`.
unsafe impl LinearMemory for Allocation {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        if size > self.capacity {
            // Half as much again, so that growing page by page copies each byte only a few times.
            // If the heap has less, just the requested size.
            let generous = (self.capacity / 2).saturating_add(self.capacity).max(size);
            let generous = generous.min(self.maximum.unwrap_or(usize::MAX)).max(size);
            let (base, capacity) = allocate(generous)
                .map(|base| (base, generous))
                .or_else(|| allocate(size).map(|base| (base, size)))
                .ok_or_else(|| format_err!("no enclave memory for {size} bytes"))?;
            // SAFETY: both are valid for `self.size` bytes, and are different allocations.
            unsafe { base.copy_from_nonoverlapping(self.base, self.size) };
            self.free();
            self.base = base;
            self.capacity = capacity;
        }
        self.size = size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }
}

// SAFETY: memories have the requested size, are zeroed, and only wasmtime uses them. No guard is
// requested (checked), so compiled code checks every bound itself.
unsafe impl MemoryCreator for HeapMemory {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if guard != 0 {
            return Err(format!("heap memories have no guard of {guard} bytes"));
        }
        let capacity = minimum.max(reserved.unwrap_or(0));
        let base =
            allocate(capacity).ok_or_else(|| format!("no enclave memory for {capacity} bytes"))?;
        Ok(Box::new(Allocation { base, size: minimum, capacity, maximum }))
    }
}

/// Makes memories with guards if the environment can, else on the heap. Records refused memories.
pub(crate) struct Memories {
    pub(crate) guarded: Option<Arc<dyn MemoryCreator>>,
    pub(crate) refusals: Refusals,
}

// SAFETY: both creators keep the contract.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        ty: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let memory = match &self.guarded {
            Some(guarded) if guard > 0 => guarded.new_memory(ty, minimum, maximum, reserved, guard),
            _ => HeapMemory.new_memory(ty, minimum, maximum, reserved, guard),
        };
        memory.inspect_err(|_| self.refusals.note())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::MemoryTypeBuilder;

    fn memory(minimum: usize, maximum: Option<usize>) -> Box<dyn LinearMemory> {
        let ty = MemoryTypeBuilder::default().min(0).build().unwrap();
        HeapMemory.new_memory(ty, minimum, maximum, None, 0).unwrap()
    }

    fn bytes(memory: &mut dyn LinearMemory) -> &mut [u8] {
        // SAFETY: the memory has this many bytes, and is borrowed for as long.
        unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.byte_size()) }
    }

    #[test]
    fn growing_keeps_what_was_written_and_adds_zeros() {
        let mut memory = memory(0, None);
        for step in 1..200 {
            memory.grow_to(step * 1000).unwrap();
            let bytes = bytes(&mut *memory);
            assert!(bytes[(step - 1) * 1000..].iter().all(|&byte| byte == 0));
            assert!(bytes[..(step - 1) * 1000].iter().all(|&byte| byte == 0xa5));
            bytes.fill(0xa5);
        }
    }

    #[test]
    fn capacity_stays_within_the_maximum() {
        let mut memory = memory(1000, Some(1400));
        memory.grow_to(1100).unwrap();
        assert_eq!(memory.byte_capacity(), 1400);
    }

    #[test]
    fn a_failed_allocation_is_an_error_and_loses_nothing() {
        let mut memory = memory(1000, None);
        bytes(&mut *memory).fill(7);
        assert!(memory.grow_to(usize::MAX / 2).is_err());
        assert_eq!(memory.byte_size(), 1000);
        assert!(bytes(&mut *memory).iter().all(|&byte| byte == 7));
    }
}
