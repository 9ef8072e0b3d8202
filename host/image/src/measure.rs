//! Reads an SGXS stream, record by record, and computes its MRENCLAVE.
//!
//! The stream consists of the records that ECREATE, EADD and EEXTEND put into the measurement (SDM
//! Vol. 3D, "Enclave Measurement"). Each record of EEXTEND is followed by the 256 bytes that it
//! measures. Data that is loaded but not measured is in records of the same form under another tag.
//! MRENCLAVE is SHA-256 of all other records.
//!
//! The `sgxs` crate writes images, and this reader reads them, so that each would reveal an error
//! of the other.

use std::fmt;
use std::io::{self, BufReader, Read};

use openssl::hash::{Hasher, MessageDigest};
use sgx_isa::{MEAS_EADD, MEAS_ECREATE, MEAS_EEXTEND, PageType, SecinfoFlags};
use sgxs::sgxs::{MEAS_UNMEASRD, MEAS_UNSIZED};

use crate::Error;
use crate::manifest::PAGE;

/// Declares a SHA-256 value that is shown as hexadecimal digits.
macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

digest! {
    /// The measurement of an enclave: of its layout, permissions and initial content.
    Mrenclave
}

digest! {
    /// The identity of a signer: SHA-256 of the modulus of their key.
    Mrsigner
}

impl Mrenclave {
    /// Ends a SHA-256 computation over measured records.
    pub(crate) fn finish(mut hasher: Hasher) -> Result<Mrenclave, Error> {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&hasher.finish()?);
        Ok(Mrenclave(bytes))
    }
}

/// Computes MRENCLAVE of an image. It accepts any canonical SGXS stream.
pub fn measure(sgxs: impl Read) -> Result<Mrenclave, Error> {
    let mut records = Records::new(sgxs);
    let mut measurement = Measurement::new()?;
    while records.next()?.is_some() {
        measurement.add(&records)?;
    }
    measurement.finish()
}

/// A computation of MRENCLAVE.
pub(crate) struct Measurement(Hasher);

impl Measurement {
    pub(crate) fn new() -> Result<Measurement, Error> {
        Ok(Measurement(Hasher::new(MessageDigest::sha256())?))
    }

    /// Adds the record that was read last.
    pub(crate) fn add<R>(&mut self, records: &Records<R>) -> Result<(), Error> {
        Ok(self.0.update(&records.buffer[..records.measured])?)
    }

    pub(crate) fn finish(self) -> Result<Mrenclave, Error> {
        Mrenclave::finish(self.0)
    }
}

/// A record of a stream, which has been checked.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    /// ECREATE: the SSA frame size in pages and the size of ELRANGE.
    Create { ssa_frame_pages: u32, elrange: u64 },
    /// EADD: a page.
    Page { offset: u64, flags: SecinfoFlags },
    /// 256 bytes of the last page's content, measured by EEXTEND or not.
    Chunk { index: usize, measured: bool, data: &'a [u8] },
}

const HEADER: usize = 64;
pub(crate) const CHUNK: usize = 256;
pub(crate) const CHUNKS_PER_PAGE: usize = PAGE as usize / CHUNK;

/// Reads records, and checks that the stream is canonical: it begins with the only ECREATE; pages
/// are in ascending order, inside ELRANGE; content follows its page, and no part occurs twice.
#[derive(Debug)]
pub(crate) struct Records<R> {
    input: BufReader<R>,
    buffer: [u8; HEADER + CHUNK],
    /// The number of bytes of the buffer that are measured.
    measured: usize,
    position: u64,
    elrange: Option<u64>,
    page: Option<u64>,
    chunks_seen: u16,
}

impl<R: Read> Records<R> {
    pub(crate) fn new(input: R) -> Records<R> {
        Records {
            input: BufReader::with_capacity(1 << 16, input),
            buffer: [0; HEADER + CHUNK],
            measured: 0,
            position: 0,
            elrange: None,
            page: None,
            chunks_seen: 0,
        }
    }

    /// Returns the next record, or `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, Error> {
        let at = self.position;
        let refuse = |reason| Error::Sgxs { at, reason };
        match self.fill(0, HEADER)? {
            0 if self.elrange.is_none() => return Err(refuse("it is empty")),
            0 => return Ok(None),
            HEADER => {}
            _ => return Err(refuse("it ends within a record")),
        }
        let tag = self.field(0);
        if self.elrange.is_none() != matches!(tag, MEAS_ECREATE | MEAS_UNSIZED) {
            return Err(refuse("ECREATE is not the first record and the only one of its kind"));
        }
        match tag {
            MEAS_ECREATE => self.create().map_err(refuse)?,
            MEAS_EADD => self.add().map_err(refuse)?,
            MEAS_EEXTEND | MEAS_UNMEASRD => {
                if self.fill(HEADER, CHUNK)? != CHUNK {
                    return Err(refuse("it ends within a record"));
                }
                self.extend().map_err(refuse)?;
                let measured = tag == MEAS_EEXTEND;
                self.measured = if measured { HEADER + CHUNK } else { 0 };
                let index = (self.field(8) % PAGE) as usize / CHUNK;
                return Ok(Some(Record::Chunk { index, measured, data: &self.buffer[HEADER..] }));
            }
            MEAS_UNSIZED => return Err(refuse("its address range has no size yet")),
            _ => return Err(refuse("the record's tag is not known")),
        }
        self.measured = HEADER;
        if tag == MEAS_ECREATE {
            let ssa_frame_pages = self.field(8) as u32;
            return Ok(Some(Record::Create { ssa_frame_pages, elrange: self.field(12) }));
        }
        let flags = SecinfoFlags::from_bits_truncate(self.field(16));
        Ok(Some(Record::Page { offset: self.field(8), flags }))
    }

    /// Returns the number of bytes that were read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    fn create(&mut self) -> Result<(), &'static str> {
        let (ssa_frame_pages, elrange) = (self.field(8) as u32, self.field(12));
        if ssa_frame_pages == 0 || elrange < 2 * PAGE || !elrange.is_power_of_two() {
            return Err("ECREATE would refuse these sizes");
        }
        self.reserved_from(20)?;
        self.elrange = Some(elrange);
        Ok(())
    }

    fn add(&mut self) -> Result<(), &'static str> {
        let (offset, flags) = (self.field(8), self.field(16));
        self.reserved_from(24)?;
        if !offset.is_multiple_of(PAGE) || self.elrange.is_some_and(|size| offset >= size) {
            return Err("the page does not lie on a page boundary inside the address range");
        }
        if self.page.is_some_and(|last| offset <= last) {
            return Err("the page does not follow the one before it");
        }
        let flags =
            SecinfoFlags::from_bits(flags).ok_or("the page has flags that are not known")?;
        let rwx = SecinfoFlags::R | SecinfoFlags::W | SecinfoFlags::X;
        match PageType::try_from(flags.page_type()) {
            Ok(PageType::Reg)
                if !flags.contains(SecinfoFlags::W) || flags.contains(SecinfoFlags::R) => {}
            Ok(PageType::Tcs) if !flags.intersects(rwx) => {}
            _ => return Err("EADD would refuse the page's type or permissions"),
        }
        self.page = Some(offset);
        self.chunks_seen = 0;
        Ok(())
    }

    fn extend(&mut self) -> Result<(), &'static str> {
        let offset = self.field(8);
        self.reserved_from(16)?;
        let Some(page) = self.page.filter(|page| offset / PAGE == page / PAGE) else {
            return Err("the content does not follow its page");
        };
        if !offset.is_multiple_of(CHUNK as u64) {
            return Err("the content does not lie on a boundary of 256 bytes");
        }
        let bit = 1 << ((offset - page) / CHUNK as u64);
        if self.chunks_seen & bit != 0 {
            return Err("the content is given twice");
        }
        self.chunks_seen |= bit;
        Ok(())
    }

    /// Reads into the buffer, and returns the number of bytes read.
    fn fill(&mut self, start: usize, size: usize) -> Result<usize, Error> {
        let mut count = 0;
        while count < size {
            match self.input.read(&mut self.buffer[start + count..start + size]) {
                Ok(0) => break,
                Ok(n) => count += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Error::Io { what: "reading the image".into(), source });
                }
            }
        }
        self.position += count as u64;
        Ok(count)
    }

    fn field(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.buffer[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    fn reserved_from(&self, at: usize) -> Result<(), &'static str> {
        match self.buffer[at..HEADER].iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err("a reserved field is not zero"),
        }
    }
}
