//! The functions that the fuzz targets in `fuzz/` call.
//!
//! Each function takes any bytes. It panics if the loader does, or if an unsigned enclave was
//! loaded. Only fuzzers need the feature of this module.

use crate::device::Device;
use crate::error::Error;
use crate::sigstruct;
use crate::stream::{CHUNK, HEADER, Record};
use sgx_isa::{
    Attributes, AttributesFlags, MEAS_EADD, MEAS_ECREATE, MEAS_EEXTEND, Miscselect, Sigstruct,
};
use sgxs::sgxs::MEAS_UNMEASRD;
use std::sync::{LazyLock, Mutex, PoisonError};
use twine_fuzz_input::Input;

/// The most records of one stream.
const MAX_RECORDS: usize = 64;

/// The machine on which all enclaves are loaded.
static DEVICE: LazyLock<Option<Mutex<Device>>> =
    LazyLock::new(|| Device::throwaway().ok().map(Mutex::new));

/// Builds the records that an input describes, each by a kind and fields, or takes the bytes as
/// they are.
fn records(mut input: Input<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..MAX_RECORDS {
        if input.is_empty() {
            break;
        }
        let mut record = [0; HEADER + CHUNK];
        let kind = input.number::<1>();
        let mut put =
            |at: usize, value: u64| record[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let length = match kind % 6 {
            0 => {
                put(0, MEAS_ECREATE);
                put(8, input.number::<1>());
                put(12, 1 << (input.number::<1>() % 64));
                HEADER
            }
            1 | 2 => {
                put(0, MEAS_EADD);
                put(8, input.number::<2>() << 12);
                put(16, input.number::<2>());
                HEADER
            }
            3 | 4 => {
                put(0, if kind % 6 == 3 { MEAS_EEXTEND } else { MEAS_UNMEASRD });
                put(8, input.number::<3>() << 8);
                let at = HEADER + input.number::<1>() as usize % CHUNK;
                let length = input.number::<1>() as usize % 32;
                for (place, byte) in record[at..].iter_mut().zip(input.bytes(length)) {
                    *place = *byte;
                }
                HEADER + CHUNK
            }
            _ => {
                let length = input.number::<1>() as usize;
                let bytes = input.bytes(length);
                record[..bytes.len()].copy_from_slice(bytes);
                bytes.len()
            }
        };
        stream.extend_from_slice(&record[..length]);
    }
    stream
}

/// Loads an unsigned stream: the loader reads it to its end, adds the pages, and then refuses it.
pub fn stream(bytes: &[u8]) {
    let stream = records(Input::new(bytes));
    let canonical = split(&stream);
    let signed = Sigstruct::try_copy_from(&[0; Sigstruct::UNPADDED_SIZE]);
    let signed = signed.expect("the array has the size of a SIGSTRUCT");
    let attributes = Attributes { flags: AttributesFlags::MODE64BIT, xfrm: 3 };
    let device = DEVICE.as_ref().expect("the system has random bytes");
    let mut device = device.lock().unwrap_or_else(PoisonError::into_inner);
    match device.load_stream(&stream[..], &signed, attributes, Miscselect::empty()) {
        Ok(_) => panic!("an enclave was loaded that nobody has signed"),
        Err(Error::InvalidSigStruct(_)) => assert!(canonical),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Whether a stream consists of whole records.
fn split(stream: &[u8]) -> bool {
    let mut rest = stream;
    while !rest.is_empty() {
        match Record::first(rest) {
            Ok(Some((record, length))) => {
                assert!(length == HEADER || length == HEADER + CHUNK);
                assert!(record.measured() || length == HEADER + CHUNK);
                rest = &rest[length..];
            }
            Ok(None) => return false,
            Err(_) => return false,
        }
    }
    true
}

/// Parses a SIGSTRUCT. Returns MRSIGNER, if EINIT would accept all of it.
pub fn sigstruct(bytes: &[u8]) -> Option<[u8; 32]> {
    let sigstruct = Sigstruct::try_copy_from(bytes)?;
    sigstruct::authenticate(&sigstruct).ok()
}

/// Returns inputs for the target: enclaves of a few pages.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let create = [0, 1, 16];
    let page = |number: u8, flags: u16| [1, number, 0, flags as u8, (flags >> 8) as u8];
    let (code, tcs) = (page(2, 0x205), page(3, 0x100));
    let content = |chunk: u8, kind: u8| [kind, chunk, 0, 0, 8, 4, 1, 2, 3, 4];
    // These are OSSA, CSSA and NSSA, OENTRY, and the limits of FS and GS.
    let thread: Vec<u8> = [
        [3, 0x30, 0, 0, 16, 12].as_slice(),
        &[0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[3, 0x30, 0, 0, 28, 12],
        &[1, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let frame = page(4, 0x203);
    let all = [&create[..], &page(0, 0x201), &content(0, 4), &code, &content(0x20, 3)].concat();
    let threads = [&all[..], &tcs, &thread, &frame].concat();
    let raw = [&create[..], &[5, 16], b"EADD\0\0\0\0\0\x10\0\0\0\0\0\0"].concat();
    [create.to_vec(), all, threads, raw].into_iter().map(|seed| ("stream", seed)).collect()
}
