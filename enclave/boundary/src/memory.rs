//! Host memory, with the ways in which the enclave may access it.

use std::arch::asm;
use std::ops::Range;
use twine_protocol::calls::HostRange;

/// Why an address from the host was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointerError {
    /// The pointer is null.
    #[error("it is null")]
    Null,
    /// The pointer is not a multiple of 8.
    #[error("it is not aligned to 8 bytes")]
    Unaligned,
    /// The range ends beyond the address space, or in its upper half.
    #[error("it reaches beyond the address space")]
    Wraps,
    /// The range reaches into the enclave.
    #[error("it reaches into the enclave")]
    Inside,
    /// The range exceeds the limit.
    #[error("it has {length} bytes where at most {most} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: u64,
        /// The limit in bytes.
        most: u64,
    },
}

/// The end of user addresses of x86-64 Linux with four-level paging.
const USER_END: u64 = 1 << 47;

/// A range of host memory. It was checked to be outside the enclave, up to the next multiple of 8
/// bytes. Its contents can change at any time.
#[derive(Debug, Clone, Copy)]
pub struct HostSlice {
    address: usize,
    length: usize,
}

impl HostSlice {
    /// Checks a range that the host gave, for an enclave at `enclave`. At most `most` bytes are
    /// allowed.
    ///
    /// # Errors
    /// The range is null, unaligned, longer than `most`, outside the address space, or reaches into
    /// the enclave.
    pub fn check(
        HostRange { pointer, length }: HostRange,
        most: u64,
        enclave: &Range<usize>,
    ) -> Result<Self, PointerError> {
        if pointer == 0 {
            return Err(PointerError::Null);
        }
        if !pointer.is_multiple_of(8) {
            return Err(PointerError::Unaligned);
        }
        if length > most {
            return Err(PointerError::TooLong { length, most });
        }
        let end = length
            .checked_next_multiple_of(8)
            .and_then(|padded| pointer.checked_add(padded))
            .filter(|&end| pointer < USER_END && end <= USER_END)
            .ok_or(PointerError::Wraps)?;
        let word = |number: u64| usize::try_from(number).map_err(|_| PointerError::Wraps);
        let slice = HostSlice { address: word(pointer)?, length: word(length)? };
        // An empty range counts as its first byte, so that it cannot point into the enclave either.
        let end = word(end)?.max(slice.address + 1);
        if slice.address < enclave.end && end > enclave.start {
            return Err(PointerError::Inside);
        }
        Ok(slice)
    }

    /// Returns its first `length` bytes, or all of it if it is shorter.
    pub fn first(&self, length: usize) -> Self {
        HostSlice { address: self.address, length: self.length.min(length) }
    }

    /// Returns its `length` bytes from `offset` on. `None` if it does not have them, or if `offset`
    /// is not a multiple of 8.
    pub fn part(&self, offset: u64, length: usize) -> Option<Self> {
        let offset = usize::try_from(offset).ok().filter(|offset| offset.is_multiple_of(8))?;
        let inside = offset.checked_add(length)? <= self.length;
        inside.then(|| HostSlice { address: self.address + offset, length })
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Its address, to pass to the host.
    pub fn address(&self) -> u64 {
        self.address as u64
    }

    /// Copies the range into `bytes`, and reads each byte once.
    ///
    /// Reads only whole aligned words, so that no stale data of the CPU's buffers are exposed
    /// (Intel-SA-00657).
    ///
    /// # Panics
    /// If `bytes` is not as long as the range. Only an error in the caller causes this, never the
    /// host.
    pub fn copy_in(&self, bytes: &mut [u8]) {
        assert_eq!(bytes.len(), self.length);
        let source = self.address as *const u64;
        let (words, rest) = bytes.as_chunks_mut::<8>();
        // SAFETY: `check` found the range, padded to words, outside the enclave and aligned, so
        // this reads no enclave memory. If the host unmaps it, the enclave leaves by AEX. If the
        // host writes to it, the enclave reads some value, once. `words` is written whole.
        unsafe { copy_words(source, words.as_mut_ptr().cast(), words.len()) };
        if !rest.is_empty() {
            // SAFETY: as above; the last, partial word is within the padded range.
            let word = unsafe { source.add(words.len()).read_volatile() }.to_le_bytes();
            rest.iter_mut().zip(word).for_each(|(byte, read)| *byte = read);
        }
    }

    /// Returns the first `N` words of the range, each read once. `None` if it is shorter.
    pub fn words<const N: usize>(&self) -> Option<[u64; N]> {
        let source = self.address as *const u64;
        // SAFETY: `check` found the range outside the enclave and aligned, and it has these words.
        let word = |at| unsafe { source.add(at).read_volatile() };
        (self.length / 8 >= N).then(|| std::array::from_fn(word))
    }

    /// Copies `bytes` into the range, then zeros up to the next whole word.
    ///
    /// Writes only whole aligned words (Intel-SA-00615).
    ///
    /// # Panics
    /// If `bytes` is not as long as the range. Only an error in the caller causes this, never the
    /// host.
    pub fn copy_out(&self, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.length);
        let target = self.address as *mut u64;
        let (words, rest) = bytes.as_chunks::<8>();
        // SAFETY: `check` found the range, padded to words, outside the enclave and aligned, so
        // this writes no enclave memory. `words` is read whole.
        unsafe { copy_words(words.as_ptr().cast(), target, words.len()) };
        if !rest.is_empty() {
            let mut word = [0; 8];
            word.iter_mut().zip(rest).for_each(|(byte, written)| *byte = *written);
            // SAFETY: as above; the last, partial word is within the padded range.
            unsafe { target.add(words.len()).write_volatile(u64::from_le_bytes(word)) };
        }
    }
}

/// Copies whole words, each read and written once, in a way that the compiler neither splits nor
/// repeats. One side is memory that others write to at the same time.
///
/// # Safety
/// `count` words at `from` can be read, and at `to` written, or are outside the enclave. The ranges
/// do not overlap. The range outside the enclave is aligned to words.
unsafe fn copy_words(from: *const u64, to: *mut u64, count: usize) {
    // SAFETY: the caller promises the same. Rust keeps the direction flag clear between
    // instructions.
    unsafe {
        asm!(
            "rep movsq",
            inout("rcx") count => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCLAVE: Range<usize> = 0x10_0000..0x20_0000;

    fn check(pointer: u64, length: u64) -> Result<(), PointerError> {
        HostSlice::check((pointer, length).into(), 1 << 40, &ENCLAVE).map(drop)
    }

    #[test]
    fn ranges_that_touch_the_enclave_are_refused() {
        assert_eq!(check(0xf_fff8, 8), Ok(()));
        assert_eq!(check(0xf_fff8, 9), Err(PointerError::Inside));
        assert_eq!(check(0x10_0000, 0), Err(PointerError::Inside));
        assert_eq!(check(0x10_0000, 1), Err(PointerError::Inside));
        assert_eq!(check(0x1f_fff8, 8), Err(PointerError::Inside));
        assert_eq!(check(0x20_0000, 8), Ok(()));
        assert_eq!(check(8, 0x30_0000), Err(PointerError::Inside));
    }

    #[test]
    fn null_unaligned_long_and_wrapping_ranges_are_refused() {
        assert_eq!(check(0, 8), Err(PointerError::Null));
        assert_eq!(check(0x20_0004, 8), Err(PointerError::Unaligned));
        assert_eq!(check(u64::MAX - 7, 16), Err(PointerError::Wraps));
        assert_eq!(check(0x7fff_ffff_fff8, 9), Err(PointerError::Wraps));
        assert_eq!(check(0xffff_8000_0000_0000, 8), Err(PointerError::Wraps));
        assert_eq!(
            HostSlice::check((8, 17).into(), 16, &ENCLAVE).map(drop),
            Err(PointerError::TooLong { length: 17, most: 16 })
        );
        assert_eq!(
            HostSlice::check((8, u64::MAX).into(), u64::MAX, &ENCLAVE).map(drop),
            Err(PointerError::Wraps)
        );
    }

    #[test]
    fn words_are_read_only_where_the_range_has_them() {
        let memory = [1_u64, 2, 3];
        for (length, wanted) in [(0, None), (15, None), (16, Some([1, 2])), (24, Some([1, 2]))] {
            let address = memory.as_ptr() as u64;
            let slice = HostSlice::check((address, length).into(), 64, &(0..8)).unwrap();
            assert_eq!(slice.words::<2>(), wanted);
        }
    }

    #[test]
    fn copies_of_every_length_carry_the_bytes_and_nothing_else() {
        for length in 0..40 {
            let memory = [0xaaaa_aaaa_aaaa_aaaa_u64; 6];
            let address = memory.as_ptr() as u64;
            let slice = HostSlice::check((address, length as u64).into(), 64, &(0..8)).unwrap();
            let bytes: Vec<u8> = (0..length as u8).collect();
            slice.copy_out(&bytes);
            let mut back = vec![0; length];
            slice.copy_in(&mut back);
            assert_eq!(back, bytes);
        }
    }
}
