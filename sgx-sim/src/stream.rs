//! SGXS streams: their source and their records.
//!
//! A record has the 64 bytes that ECREATE, EADD or EEXTEND puts into the measurement (SDM Vol. 3D,
//! "Enclave Measurement"). After a record of EEXTEND come the 256 bytes that it measures. Page
//! contents that are loaded but not measured have the form of EEXTEND, under a tag of their own.

use std::io::{self, Read};
use std::ops::Range;

use sgx_isa::{MEAS_EADD, MEAS_ECREATE, MEAS_EEXTEND};
use sgxs::sgxs::{MEAS_UNMEASRD, MEAS_UNSIZED, Meas, SgxsRead};

use crate::error::Error;
use crate::memory::zeroed_slice;

pub(crate) const CHUNK: usize = 256;
pub(crate) const HEADER: usize = 64;
const LONGEST: usize = HEADER + CHUNK;

/// A record. Its reserved fields are zero.
pub(crate) enum Record<'a> {
    Create {
        ssaframesize: u32,
        size: u64,
    },
    Add {
        offset: u64,
        flags: u64,
    },
    /// The contents of a part of the last page.
    Chunk {
        offset: u64,
        measured: bool,
        data: &'a [u8; CHUNK],
    },
}

impl<'a> Record<'a> {
    /// Returns the first record of `bytes` and its length, or `None` if `bytes` end before it does.
    pub(crate) fn first(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, Error> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let mut words = words(header);
        let (record, reserved, length) = match words[0] {
            MEAS_EADD => (Record::Add { offset: words[1], flags: words[2] }, &words[3..], HEADER),
            tag @ (MEAS_EEXTEND | MEAS_UNMEASRD) => {
                let Some(data) = rest.first_chunk() else {
                    return Ok(None);
                };
                let measured = tag == MEAS_EEXTEND;
                (Record::Chunk { offset: words[1], measured, data }, &words[2..], LONGEST)
            }
            MEAS_ECREATE => {
                // SSAFRAMESIZE has 4 bytes; SIZE has the 8 bytes after them.
                let [_, low, high, ..] = words;
                let size = low >> 32 | high << 32;
                words[2] = high >> 32;
                (Record::Create { ssaframesize: low as u32, size }, &words[2..], HEADER)
            }
            MEAS_UNSIZED => return Err(Error::NotCanonical("the enclave has no size")),
            _ => return Err(Error::NotCanonical("a record's tag is not known")),
        };
        // The processor measures reserved fields as zero, whatever the stream contains.
        if reserved.iter().fold(0, |bits, word| bits | word) != 0 {
            return Err(Error::NotCanonical("a reserved field is not zero"));
        }
        Ok(Some((record, length)))
    }

    pub(crate) fn measured(&self) -> bool {
        !matches!(self, Record::Chunk { measured: false, .. })
    }
}

fn words(header: &[u8; HEADER]) -> [u64; HEADER / 8] {
    let (words, _) = header.as_chunks();
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

/// A part of a stream, with the ranges of its measured bytes.
pub(crate) struct Block {
    bytes: Box<[u8]>,
    filled: usize,
    /// In ascending order, with gaps between them.
    measured: Vec<Range<usize>>,
}

impl Block {
    const SIZE: usize = 256 << 10;

    pub(crate) fn new() -> Result<Self, Error> {
        // SAFETY: zero is a valid byte.
        let bytes = unsafe { zeroed_slice(Self::SIZE) }?;
        Ok(Block { bytes, filled: 0, measured: Vec::new() })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    pub(crate) fn clear(&mut self) {
        self.filled = 0;
        self.measured.clear();
    }

    /// Appends `bytes`. The block must have room for them.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.filled..][..bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }

    /// Appends bytes that are measured, as [`Self::push`] does.
    pub(crate) fn push_measured(&mut self, bytes: &[u8]) {
        let start = self.filled;
        self.push(bytes);
        self.measure(start..self.filled);
    }

    /// Whether there is room for this many bytes.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.bytes.len() - self.filled >= bytes
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// Marks `range` as measured. It must not begin before any range marked earlier.
    pub(crate) fn measure(&mut self, range: Range<usize>) {
        match self.measured.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.measured.push(range),
        }
    }

    pub(crate) fn measured(&self) -> impl Iterator<Item = &[u8]> {
        self.measured.iter().map(|range| &self.bytes[range.clone()])
    }
}

/// The source of a stream.
pub(crate) trait Source {
    /// Appends to `block` until it is full or the stream ends.
    fn fill(&mut self, block: &mut Block) -> Result<(), Error>;
}

/// A stream of bytes.
pub(crate) struct Bytes<R>(pub(crate) R);

impl<R: Read> Source for Bytes<R> {
    fn fill(&mut self, block: &mut Block) -> Result<(), Error> {
        while !block.room().is_empty() {
            match self.0.read(block.room()) {
                Ok(0) => break,
                Ok(count) => block.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
        Ok(())
    }
}

/// A stream that arrives record by record, without reserved fields.
pub(crate) struct Records<'r, R>(pub(crate) &'r mut R);

impl<R: SgxsRead> Source for Records<'_, R> {
    fn fill(&mut self, block: &mut Block) -> Result<(), Error> {
        while block.room().len() >= LONGEST {
            let next = self.0.read_meas().map_err(|error| Error::Stream(format!("{error:#}")))?;
            let Some(record) = next else {
                return Ok(());
            };
            encode(&record, block)?;
        }
        Ok(())
    }
}

fn encode(record: &Meas, block: &mut Block) -> Result<(), Error> {
    let mut header = [0; HEADER];
    let mut put = |at: usize, value: u64| header[at..at + 8].copy_from_slice(&value.to_le_bytes());
    let data: &[u8] = match record {
        Meas::ECreate(create) | Meas::Unsized(create) => {
            let sized = matches!(record, Meas::ECreate(_));
            put(0, if sized { MEAS_ECREATE } else { MEAS_UNSIZED });
            put(8, create.ssaframesize.into());
            put(12, create.size);
            &[]
        }
        Meas::EAdd(add) => {
            put(0, MEAS_EADD);
            put(8, add.offset);
            put(16, add.secinfo.flags.bits());
            &[]
        }
        Meas::EExtend { header, data } => {
            put(0, MEAS_EEXTEND);
            put(8, header.offset);
            data
        }
        Meas::Unmeasured { header, data } => {
            put(0, MEAS_UNMEASRD);
            put(8, header.offset);
            data
        }
        Meas::BareEExtend(_) | Meas::BareUnmeasured(_) => {
            return Err(Error::NotCanonical("a chunk without its contents"));
        }
    };
    block.push(&header);
    block.push(data);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sgxs::sgxs::{MeasEAdd, MeasECreate, MeasEExtend, SecinfoTruncated, SgxsWrite};

    /// Returns a stream with one record of each kind.
    fn stream() -> Vec<u8> {
        let secinfo = SecinfoTruncated { flags: sgx_isa::PageType::Reg.into() };
        let header = || MeasEExtend { offset: 0x1100 };
        let mut stream = Vec::new();
        for record in [
            Meas::ECreate(MeasECreate { ssaframesize: 1, size: 0x10000 }),
            Meas::EAdd(MeasEAdd { offset: 0x1000, secinfo }),
            Meas::EExtend { header: header(), data: [1; CHUNK] },
            Meas::Unmeasured { header: header(), data: [2; CHUNK] },
        ] {
            stream.write_meas(&record).unwrap();
        }
        stream
    }

    #[test]
    fn records_read_one_by_one_are_the_bytes_of_the_stream() {
        let stream = stream();
        let (mut bytes, mut records) = (Block::new().unwrap(), Block::new().unwrap());
        Bytes(&stream[..]).fill(&mut bytes).unwrap();
        Records(&mut &stream[..]).fill(&mut records).unwrap();
        assert_eq!(bytes.bytes(), stream);
        assert_eq!(records.bytes(), stream);
    }

    #[test]
    fn an_incomplete_record_waits_for_more_bytes() {
        let stream = stream();
        assert!(Record::first(&stream[..HEADER - 1]).unwrap().is_none());
        let chunk = &stream[2 * HEADER..];
        assert!(Record::first(&chunk[..LONGEST - 1]).unwrap().is_none());
        assert!(Record::first(chunk).unwrap().is_some());
    }

    #[test]
    fn every_bit_of_a_header_is_tag_value_or_refused() {
        for (start, values) in [(0, 8..20), (64, 8..24), (128, 8..16), (128 + LONGEST, 8..16)] {
            for bit in 0..HEADER * 8 {
                let mut stream = stream();
                stream[start + bit / 8] ^= 1 << (bit % 8);
                let accepted = Record::first(&stream[start..]).is_ok();
                assert_eq!(accepted, values.contains(&(bit / 8)), "bit {bit} at {start}");
            }
        }
    }
}
