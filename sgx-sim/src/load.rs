//! Building an enclave from an SGXS stream: ECREATE, EADD, EEXTEND and EINIT.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::thread;

use sgx_isa::{
    Attributes, AttributesFlags, Miscselect, PageType, SecinfoFlags, Sigstruct, Tcs as TcsPage,
};

use crate::enclave::{Enclave, Reservation, Secs, ThreadControl};
use crate::epcm::{Entry, Epcm, PAGE, Permissions};
use crate::error::Error;
use crate::exits::Exits;
use crate::leaf::key::Platform;
use crate::measure::Measurement;
use crate::stream::{CHUNK, Record, Source};
use crate::xsave;
use crate::{registry, sigstruct, ssa};

/// What the device allows.
pub(crate) struct Policy {
    pub(crate) provision_key: bool,
    pub(crate) quick_exits: bool,
}

/// Loads an enclave and makes it known.
pub(crate) fn load(
    source: impl Source,
    sig: &Sigstruct,
    attributes: Attributes,
    miscselect: Miscselect,
    policy: &Policy,
    platform: Platform,
) -> Result<Arc<Enclave>, Error> {
    let (built, mrsigner, mrenclave) = thread::scope(|scope| {
        let mut measurement = Measurement::start(scope)?;
        let create = |ssaframesize, size| {
            Builder::create(ssaframesize, size, attributes, miscselect, policy)
        };
        let builder = read(source, &mut measurement, create)?;
        let built = builder.finish()?;
        let mrsigner = sigstruct::authenticate(sig)?;
        Ok((built, mrsigner, measurement.finish()))
    })?;
    sigstruct::match_enclave(sig, &mrenclave, attributes, miscselect)?;
    let secs = Secs {
        base: built.range.base,
        size: built.range.size,
        ssa_frame: built.ssa_frame,
        miscselect,
        attributes: Attributes {
            flags: attributes.flags | AttributesFlags::INIT,
            xfrm: attributes.xfrm,
        },
        mrenclave,
        mrsigner,
        isvprodid: sig.isvprodid,
        isvsvn: sig.isvsvn,
        isvextprodid: sig.isvextprodid,
        isvfamilyid: sig.isvfamilyid,
        configid: [0; 64],
        configsvn: 0,
    };
    let exits = Exits::new(policy.quick_exits);
    let enclave = Enclave::new(secs, built.epcm, built.threads, platform, exits, built.range);
    registry::insert(&enclave)?;
    Ok(enclave)
}

/// Reads `source` to its end, measures it and builds what its records say.
fn read(
    mut source: impl Source,
    measurement: &mut Measurement<'_>,
    create: impl Fn(u32, u64) -> Result<Builder, Error>,
) -> Result<Builder, Error> {
    let mut builder: Option<Builder> = None;
    // What the last block held of a record that goes on in the next one.
    let mut rest = Vec::new();
    loop {
        let mut block = measurement.block()?;
        block.push(&rest);
        source.fill(&mut block)?;
        let mut at = 0;
        while let Some((record, length)) = Record::first(&block.bytes()[at..])? {
            let measured = record.measured();
            match (&mut builder, record) {
                (Some(builder), record) => builder.take(record)?,
                (None, Record::Create { ssaframesize, size }) => {
                    builder = Some(create(ssaframesize, size)?);
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
    builder.ok_or(Error::NotCanonical("does not begin with ECREATE"))
}

/// An enclave between ECREATE and EINIT.
struct Builder {
    range: Reservation,
    epcm: Epcm,
    ssa_frame: usize,
    /// Consecutive pages of equal type and permissions.
    runs: Vec<Run>,
    threads: Vec<usize>,
    /// Parts of the reservation that are writable for the time being, as page numbers.
    windows: Vec<std::ops::Range<usize>>,
    /// The page of the last EADD.
    page: Option<CurrentPage>,
}

struct Run {
    start: usize,
    end: usize,
    entry: Entry,
}

struct CurrentPage {
    offset: u64,
    chunks_seen: u16,
}

struct Built {
    range: Reservation,
    epcm: Epcm,
    ssa_frame: usize,
    threads: Vec<ThreadControl>,
}

/// Pages made writable at a time: system calls would cost more than the copies otherwise.
const WINDOW: usize = 1024;

impl Builder {
    /// ECREATE's checks of SECS, and those of Linux' driver.
    fn create(
        ssaframesize: u32,
        size: u64,
        attributes: Attributes,
        miscselect: Miscselect,
        policy: &Policy,
    ) -> Result<Self, Error> {
        check_attributes(attributes, policy)?;
        if !(Miscselect::EXINFO.contains(miscselect)) {
            return Err(Error::Create("MISCSELECT asks for more than EXINFO"));
        }
        let size = usize::try_from(size).map_err(|_| Error::Create("SIZE"))?;
        if !size.is_power_of_two() || size < 2 * PAGE || size >> 47 != 0 {
            return Err(Error::Create("SIZE is not a power of two of at least two pages"));
        }
        let ssa_frame = ssaframesize as usize * PAGE;
        if ssa_frame < ssa::smallest_frame(attributes.xfrm)? {
            return Err(Error::Create("SSAFRAMESIZE is too small for XFRM"));
        }
        Ok(Builder {
            epcm: Epcm::new(size / PAGE)?,
            range: Reservation::reserve(size)?,
            ssa_frame,
            runs: Vec::new(),
            threads: Vec::new(),
            windows: Vec::new(),
            page: None,
        })
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), Error> {
        match record {
            Record::Add { offset, flags } => self.add(offset, flags),
            Record::Chunk { offset, data, .. } => self.put(offset, data),
            Record::Create { .. } => Err(Error::NotCanonical("a second ECREATE")),
        }
    }

    /// EADD.
    fn add(&mut self, offset: u64, flags: u64) -> Result<(), Error> {
        let refuse = |reason| Err(Error::Add { offset, reason });
        if self.page.as_ref().is_some_and(|last| offset <= last.offset) {
            return Err(Error::NotCanonical("pages are not in ascending order"));
        }
        if !offset.is_multiple_of(PAGE as u64) || offset >= self.range.size as u64 {
            return refuse("not a page of ELRANGE");
        }
        let known = SecinfoFlags::R | SecinfoFlags::W | SecinfoFlags::X | SecinfoFlags::PT_MASK;
        let Some(flags) = SecinfoFlags::from_bits(flags).filter(|flags| known.contains(*flags))
        else {
            return refuse("reserved SECINFO.FLAGS");
        };
        let permissions = Permissions::from_bits_truncate(flags.bits());
        let page_type = match flags.page_type() {
            t if t == PageType::Reg as u8 => PageType::Reg,
            t if t == PageType::Tcs as u8 => PageType::Tcs,
            _ => return refuse("SECINFO.FLAGS.PT is neither PT_REG nor PT_TCS"),
        };
        if page_type == PageType::Reg && permissions.writable_only() {
            return refuse("writable but not readable");
        }
        if page_type == PageType::Tcs && permissions != Permissions::NONE {
            return refuse("a TCS with access permissions");
        }

        self.page = Some(CurrentPage { offset, chunks_seen: 0 });
        let page = offset as usize / PAGE;
        if page_type == PageType::Tcs {
            self.threads.push(page);
        }
        self.extend_run(page, Entry::added(page_type, permissions));
        Ok(())
    }

    fn extend_run(&mut self, page: usize, entry: Entry) {
        self.epcm.set(page, entry);
        match self.runs.last_mut() {
            Some(run) if run.end == page && run.entry == entry => run.end = page + 1,
            _ => self.runs.push(Run { start: page, end: page + 1, entry }),
        }
    }

    /// Contents for a chunk of the last page.
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
        if data.iter().all(|b| *b == 0) {
            return Ok(());
        }
        self.make_writable(offset as usize / PAGE)?;
        let target = (self.range.base + offset as usize) as *mut u8;
        // SAFETY: 256 bytes inside a page of our reservation, which is writable now.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), target, CHUNK) };
        Ok(())
    }

    /// Pages come in ascending order, so that only the last window matters.
    fn make_writable(&mut self, page: usize) -> Result<(), Error> {
        if self.windows.last().is_some_and(|window| page < window.end) {
            return Ok(());
        }
        let window = page..(page + WINDOW).min(self.range.size / PAGE);
        self.range.protect(window.clone(), Permissions::RW)?;
        self.windows.push(window);
        Ok(())
    }

    /// The thread control structures and the final page permissions.
    fn finish(mut self) -> Result<Built, Error> {
        let mut threads = Vec::with_capacity(self.threads.len());
        for page in std::mem::take(&mut self.threads) {
            threads.push(self.thread(page)?);
        }
        for window in &self.windows {
            self.range.protect(window.clone(), Permissions::NONE)?;
        }
        for run in &self.runs {
            self.range.protect(run.start..run.end, run.entry.effective())?;
        }
        Ok(Built { range: self.range, epcm: self.epcm, ssa_frame: self.ssa_frame, threads })
    }

    /// EADD's checks of a TCS, and those of EENTER that do not change afterwards.
    fn thread(&mut self, page: usize) -> Result<ThreadControl, Error> {
        self.make_readable(page)?;
        let address = self.range.base + page * PAGE;
        // SAFETY: a page of our reservation, readable, and a structure of integers.
        let tcs = unsafe { &*(address as *const TcsPage) };
        let offset = (page * PAGE) as u64;
        let refuse = |reason| Err(Error::Add { offset, reason });
        let size = self.range.size as u64;
        let inside = |field: u64| field < size;
        let aligned = |field: u64| field.is_multiple_of(PAGE as u64);
        let reserved_clear = tcs._reserved1 == 0
            && tcs._reserved2 == 0
            && tcs._reserved3.iter().all(|b| *b == 0)
            && tcs.flags.bits() == 0;
        if !reserved_clear {
            return refuse("TCS: a reserved field, STATE, AEP or FLAGS is not zero");
        }
        if tcs.cssa != 0 {
            return refuse("TCS.CSSA is not zero");
        }
        if !inside(tcs.oentry) {
            return refuse("TCS.OENTRY is outside ELRANGE");
        }
        if ![tcs.ofsbasgx, tcs.ogsbasgx].iter().all(|field| inside(*field) && aligned(*field)) {
            return refuse("TCS.OFSBASGX or OGSBASGX is not a page of ELRANGE");
        }
        let frames = u64::from(tcs.nssa).saturating_mul(self.ssa_frame as u64);
        if !aligned(tcs.ossa) || !inside(tcs.ossa) || frames > size - tcs.ossa {
            return refuse("TCS.OSSA: the SSA frames are not pages of ELRANGE");
        }
        let absolute = |field: u64| self.range.base + field as usize;
        Ok(ThreadControl {
            address,
            oentry: absolute(tcs.oentry),
            fs_base: absolute(tcs.ofsbasgx),
            gs_base: absolute(tcs.ogsbasgx),
            ossa: absolute(tcs.ossa),
            nssa: tcs.nssa,
            cssa: AtomicU32::new(0),
            busy: AtomicBool::new(false),
            enclave: std::ptr::null(),
        })
    }

    /// A TCS without contents may lie outside the windows.
    fn make_readable(&mut self, page: usize) -> Result<(), Error> {
        if self.windows.iter().any(|window| window.contains(&page)) {
            return Ok(());
        }
        self.range.protect(page..page + 1, Permissions::RW)?;
        self.windows.push(page..page + 1);
        Ok(())
    }
}

/// ECREATE's and EINIT's rules for ATTRIBUTES.
fn check_attributes(attributes: Attributes, policy: &Policy) -> Result<(), Error> {
    let flags = attributes.flags;
    let supported = AttributesFlags::DEBUG
        | AttributesFlags::MODE64BIT
        | AttributesFlags::PROVISIONKEY
        | AttributesFlags::EINITTOKENKEY
        | AttributesFlags::KSS;
    if flags.contains(AttributesFlags::INIT) {
        return Err(Error::Create("ATTRIBUTES.INIT is EINIT's to set"));
    }
    if flags.bits() & !supported.bits() != 0 {
        return Err(Error::Create("reserved or unsupported ATTRIBUTES.FLAGS"));
    }
    if !flags.contains(AttributesFlags::MODE64BIT) {
        return Err(Error::Create("ATTRIBUTES.MODE64BIT is not set"));
    }
    if flags.contains(AttributesFlags::PROVISIONKEY) && !policy.provision_key {
        return Err(Error::InvalidAttribute("this device does not grant the provisioning key"));
    }
    if !xsave::layout()?.permits(attributes.xfrm) {
        return Err(Error::Create(
            "ATTRIBUTES.XFRM lacks x87 or SSE, or has what this processor does not enable",
        ));
    }
    Ok(())
}
