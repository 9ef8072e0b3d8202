//! Host memory, as the enclave may touch it.

use std::arch::asm;
use std::ops::Range;
use twine_protocol::calls::HostRange;

/// Why an address of the host's was refused.
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
    /// Some of the range lies in the enclave.
    #[error("it reaches into the enclave")]
    Inside,
    /// The range is longer than allowed.
    #[error("it has {length} bytes where at most {most} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: u64,
        /// The most that is allowed.
        most: u64,
    },
}

/// User addresses of x86-64 Linux with four-level paging end here.
const USER_END: u64 = 1 << 47;

/// A range of host memory that was checked to lie outside the enclave, wholly, up to the
/// next multiple of 8 bytes. What it holds can change at any time.
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
    /// When the range is null, unaligned, too long, out of the address space or reaches
    /// into the enclave.
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
        // An empty range counts as its first byte, so that it can't point inside either.
        let end = word(end)?.max(slice.address + 1);
        if slice.address < enclave.end && end > enclave.start {
            return Err(PointerError::Inside);
        }
        Ok(slice)
    }

    /// The first `length` bytes of it, or all of it if it is shorter.
    pub fn first(&self, length: usize) -> Self {
        HostSlice { address: self.address, length: self.length.min(length) }
    }

    /// The `length` bytes of it from `offset` on, where it has them and they start at a
    /// whole word.
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

    /// Its address, to be given to the host.
    pub fn address(&self) -> u64 {
        self.address as u64
    }

    /// Copies the range into `bytes`, each byte read once.
    ///
    /// Whole aligned words only, so that no stale data of the CPU's buffers is exposed
    /// (Intel-SA-00657).
    ///
    /// # Panics
    /// When `bytes` is not as long as the range: the callers' own mistake, never the
    /// host's.
    pub fn copy_in(&self, bytes: &mut [u8]) {
        assert_eq!(bytes.len(), self.length);
        let source = self.address as *const u64;
        let (words, rest) = bytes.as_chunks_mut::<8>();
        // SAFETY: `check` found the range, padded to words, outside the enclave and aligned,
        // so no enclave memory is read. The host may unmap it or write to it: then the
        // enclave leaves by AEX or reads some value, each once. `words` is written whole.
        unsafe { copy_words(source, words.as_mut_ptr().cast(), words.len()) };
        if !rest.is_empty() {
            // SAFETY: as above; the last, partial word is within the padded range.
            let word = unsafe { source.add(words.len()).read_volatile() }.to_le_bytes();
            rest.iter_mut().zip(word).for_each(|(byte, read)| *byte = read);
        }
    }

    /// The first words of the range, each read once, where it has so many.
    pub fn words<const N: usize>(&self) -> Option<[u64; N]> {
        let source = self.address as *const u64;
        // SAFETY: `check` found the range outside the enclave and aligned, and it has these words.
        let word = |at| unsafe { source.add(at).read_volatile() };
        (self.length / 8 >= N).then(|| std::array::from_fn(word))
    }

    /// Copies `bytes` into the range, then zeros up to the next whole word.
    ///
    /// Whole aligned words only (Intel-SA-00615).
    ///
    /// # Panics
    /// When `bytes` is not as long as the range: the callers' own mistake, never the
    /// host's.
    pub fn copy_out(&self, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.length);
        let target = self.address as *mut u64;
        let (words, rest) = bytes.as_chunks::<8>();
        // SAFETY: `check` found the range, padded to words, outside the enclave and aligned,
        // so no enclave memory is written. `words` is read whole.
        unsafe { copy_words(words.as_ptr().cast(), target, words.len()) };
        if !rest.is_empty() {
            let mut word = [0; 8];
            word.iter_mut().zip(rest).for_each(|(byte, written)| *byte = *written);
            // SAFETY: as above; the last, partial word is within the padded range.
            unsafe { target.add(words.len()).write_volatile(u64::from_le_bytes(word)) };
        }
    }
}

/// Copies whole words, each read and written once, in a way that the compiler neither splits
/// nor repeats: one side is memory that others write to at the same time.
///
/// # Safety
/// `count` words at `from` can be read and at `to` written, or lie outside the enclave. The
/// ranges don't overlap. The side that is outside is aligned to words.
unsafe fn copy_words(from: *const u64, to: *mut u64, count: usize) {
    // SAFETY: as the caller says; the direction flag is clear between instructions of Rust's.
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
