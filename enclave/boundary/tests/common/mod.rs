//! A host that answers as a test says, and memory that stands for the enclave.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::cell::RefCell;
use std::ops::Range;
use twine_boundary::Boundary;
use twine_protocol::calls::RawCall;
use twine_protocol::wire::TRANSFER_BUFFER_SIZE;

/// A host that answers calls with a function.
pub struct Host<F>(pub F);

impl<F: Fn(u64, [u64; 4]) -> (u64, u64)> RawCall for Host<F> {
    fn raw_call(&self, number: u64, arguments: [u64; 4]) -> (u64, u64) {
        (self.0)(number, arguments)
    }
}

pub fn boundary<F: Fn(u64, [u64; 4]) -> (u64, u64)>(
    enclave: &Range<usize>,
    answer: F,
) -> Boundary<Host<F>> {
    Boundary::new(Host(answer), enclave.clone())
}

/// Memory that stands for the enclave. Each word is the secret.
pub struct Enclave {
    pub words: Vec<u64>,
}

/// The value of each word of the enclave.
pub const SECRET: u64 = 0x5ec2_e75e_c2e7_5ec2;

impl Enclave {
    pub fn new() -> Self {
        Enclave { words: vec![SECRET; 1 << 14] }
    }

    pub fn range(&self) -> Range<usize> {
        let start = self.words.as_ptr() as usize;
        start..start + self.words.len() * 8
    }

    /// Pointers that the boundary must refuse: null, unaligned, inside the enclave, across either
    /// edge, beyond the user address space, in the kernel's half.
    pub fn bad_pointers(&self, length: u64) -> Vec<u64> {
        let (start, end) = (self.range().start as u64, self.range().end as u64);
        let mut pointers = vec![
            0,
            1,
            start,
            start + 8,
            start + 1,
            end - 8,
            end - 4,
            u64::MAX,
            u64::MAX - 7,
            1 << 47,
            0xffff_8000_0000_0000,
        ];
        if length > 8 {
            pointers.extend([start - 8, (1 << 47) - 8]);
        }
        pointers
    }

    pub fn assert_untouched(&self) {
        assert!(self.words.iter().all(|&word| word == SECRET), "the enclave's memory was written");
    }
}

/// A transfer buffer that the test can read and write.
pub struct Shared(pub RefCell<Vec<u64>>);

impl Shared {
    pub fn new() -> Self {
        Shared(RefCell::new(vec![0; TRANSFER_BUFFER_SIZE as usize / 8]))
    }

    pub fn answer(&self) -> (u64, u64) {
        (self.0.borrow().as_ptr() as u64, TRANSFER_BUFFER_SIZE)
    }

    pub fn holds_secret(&self) -> bool {
        self.0.borrow().contains(&SECRET)
    }
}
