//! Builds an enclave from an SGXS stream: ECREATE, EADD, EEXTEND and EINIT.

use std::sync::Arc;

use sgx_isa::{Attributes, Miscselect, PageType, Sigstruct};

use crate::builder::{self, Builder, Create, Policy};
use crate::enclave::{Enclave, Reservation};
use crate::epcm::PAGE;
use crate::error::Error;
use crate::leaf::key::Platform;
use crate::measure::Measurement;
use crate::stream::{CHUNK, Record, Source};

/// Loads an enclave and registers it.
pub(crate) fn load(
    source: impl Source,
    sig: &Sigstruct,
    attributes: Attributes,
    miscselect: Miscselect,
    policy: Policy,
    platform: Platform,
) -> Result<Arc<Enclave>, Error> {
    let mut measurement = Measurement::start();
    let create = |ssaframesize, size| {
        let create = Create { ssaframesize, size, attributes, miscselect };
        builder::check_provision_key(attributes, policy)?;
        let size = create.check()?;
        Ok(Stream { builder: Builder::new(create, Reservation::reserve(size)?)?, page: None })
    };
    let mut stream = read(source, &mut measurement, create)?;
    stream.end_page()?;
    stream.builder.init(sig, measurement.finish(), policy, platform, None)
}

/// Reads `source` to its end, measures it, and builds the enclave that its records describe.
fn read(
    mut source: impl Source,
    measurement: &mut Measurement,
    create: impl Fn(u32, u64) -> Result<Stream, Error>,
) -> Result<Stream, Error> {
    let mut stream: Option<Stream> = None;
    // The start of a record that continues in the next block.
    let mut rest = Vec::new();
    loop {
        let mut block = measurement.block()?;
        block.push(&rest);
        source.fill(&mut block)?;
        let mut at = 0;
        while let Some((record, length)) = Record::first(&block.bytes()[at..])? {
            let measured = record.measured();
            match (&mut stream, record) {
                (Some(stream), record) => stream.take(record)?,
                (None, Record::Create { ssaframesize, size }) => {
                    stream = Some(create(ssaframesize, size)?);
                }
                (None, _) => return Err(Error::NotCanonical("does not begin with ECREATE")),
            }
            if measured {
                block.measure(at..at + length);
            }
            at += length;
        }
        rest = block.bytes()[at..].to_vec();
        measurement.extend(block);
        if at == 0 {
            break;
        }
    }
    if !rest.is_empty() {
        return Err(Error::NotCanonical("it ends within a record"));
    }
    stream.ok_or(Error::NotCanonical("does not begin with ECREATE"))
}

/// The state of reading a stream. A stream that is not canonical is refused.
struct Stream {
    builder: Builder,
    page: Option<CurrentPage>,
}

/// The page of the last EADD.
struct CurrentPage {
    offset: u64,
    chunks_seen: u16,
    page_type: PageType,
}

impl Stream {
    fn take(&mut self, record: Record<'_>) -> Result<(), Error> {
        match record {
            Record::Add { offset, flags } => self.add(offset, flags),
            Record::Chunk { offset, data, .. } => self.put(offset, data),
            Record::Create { .. } => Err(Error::NotCanonical("a second ECREATE")),
        }
    }

    fn add(&mut self, offset: u64, flags: u64) -> Result<(), Error> {
        if self.page.as_ref().is_some_and(|last| offset <= last.offset) {
            return Err(Error::NotCanonical("pages are not in ascending order"));
        }
        let entry = self.builder.check_page(offset, flags)?;
        self.end_page()?;
        self.builder.add(offset as usize / PAGE, entry);
        let page_type = if entry.is(PageType::Tcs) { PageType::Tcs } else { PageType::Reg };
        self.page = Some(CurrentPage { offset, chunks_seen: 0, page_type });
        Ok(())
    }

    /// Writes the contents of a chunk of the last page.
    fn put(&mut self, offset: u64, data: &[u8; CHUNK]) -> Result<(), Error> {
        let page = self
            .page
            .as_mut()
            .filter(|page| offset & !(PAGE as u64 - 1) == page.offset)
            .ok_or(Error::NotCanonical("a chunk outside the page before it"))?;
        let within = (offset - page.offset) as usize;
        let bit = 1 << (within / CHUNK);
        if !within.is_multiple_of(CHUNK) || page.chunks_seen & bit != 0 {
            return Err(Error::NotCanonical("chunks overlap"));
        }
        page.chunks_seen |= bit;
        self.builder.put(offset as usize, data)
    }

    /// Ends the last page: its contents are complete.
    fn end_page(&mut self) -> Result<(), Error> {
        match &self.page {
            Some(CurrentPage { offset, page_type: PageType::Tcs, .. }) => {
                self.builder.add_thread(*offset as usize / PAGE)
            }
            _ => Ok(()),
        }
    }
}
