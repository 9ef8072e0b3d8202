//! An enclave between ECREATE and EINIT: its pages, and the processor's checks of them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use sgx_isa::{
    Attributes, AttributesFlags, Miscselect, PageType, SecinfoFlags, Sigstruct, Tcs as TcsPage,
};

use crate::enclave::{Enclave, Reservation, Secs, ThreadControl};
use crate::epcm::{Entry, Epcm, PAGE, Permissions};
use crate::error::Error;
use crate::kernel::Driver;
use crate::leaf::key::Platform;
use crate::quick_exits::QuickExits;
use crate::stream::CHUNK;
use crate::xsave;
use crate::{registry, sigstruct, ssa};

/// The permissions that the owner of the device gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) provision_key: bool,
    pub(crate) quick_exits: bool,
}

/// The fields of SECS that ECREATE uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Create {
    /// The size of one SSA frame, in pages.
    pub(crate) ssaframesize: u32,
    pub(crate) size: u64,
    pub(crate) attributes: Attributes,
    pub(crate) miscselect: Miscselect,
}

/// An enclave between ECREATE and EINIT.
pub(crate) struct Builder {
    range: Reservation,
    epcm: Epcm,
    create: Create,
    ssa_frame: usize,
    /// Runs of consecutive pages that were added.
    runs: Vec<Range<usize>>,
    threads: Vec<ThreadControl>,
    /// The parts of the reservation that are writable now, as page numbers.
    windows: Vec<Range<usize>>,
}

/// The number of pages made writable at a time. With fewer, the system calls would cost more than
/// the copies.
const WINDOW: usize = 1024;

impl Create {
    /// Makes ECREATE's checks of SECS, and returns the size of ELRANGE.
    pub(crate) fn check(&self) -> Result<usize, Error> {
        check_attributes(self.attributes)?;
        if !(Miscselect::EXINFO.contains(self.miscselect)) {
            return Err(Error::Create("MISCSELECT asks for more than EXINFO"));
        }
        let size = usize::try_from(self.size).map_err(|_| Error::Create("SIZE"))?;
        if !size.is_power_of_two() || size < 2 * PAGE || size >> 47 != 0 {
            return Err(Error::Create("SIZE is not a power of two of at least two pages"));
        }
        if self.frame() < ssa::smallest_frame(self.attributes.xfrm)? {
            return Err(Error::Create("SSAFRAMESIZE is too small for XFRM"));
        }
        Ok(size)
    }

    /// Returns the size of an SSA frame, in bytes.
    fn frame(&self) -> usize {
        self.ssaframesize as usize * PAGE
    }
}

impl Builder {
    /// Makes an enclave without pages in `range`, which must have the size in `create`.
    pub(crate) fn new(create: Create, range: Reservation) -> Result<Self, Error> {
        Ok(Builder {
            epcm: Epcm::new(range.size / PAGE)?,
            ssa_frame: create.frame(),
            range,
            create,
            runs: Vec::new(),
            threads: Vec::new(),
            windows: Vec::new(),
        })
    }

    /// Returns the first address of ELRANGE.
    pub(crate) fn base(&self) -> usize {
        self.range.base
    }

    /// Returns the size of ELRANGE, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.range.size
    }

    /// Returns the EPCM entry of a page.
    pub(crate) fn entry(&self, page: usize) -> Entry {
        self.epcm.get(page)
    }

    /// Sets the entry of a page, to record the mapping that Linux allows there.
    pub(crate) fn set_entry(&self, page: usize, entry: Entry) {
        self.epcm.set(page, entry);
    }

    /// Makes EADD's checks, and returns the entry of a mapped page.
    pub(crate) fn check_page(&self, offset: u64, flags: u64) -> Result<Entry, Error> {
        let refuse = |reason| Err(Error::Add { offset, reason });
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
        Ok(Entry::added(page_type, permissions))
    }

    /// Adds a page of zeros (EADD), which [`Self::put`] may fill. [`Self::add_thread`] checks a
    /// TCS.
    pub(crate) fn add(&mut self, page: usize, entry: Entry) {
        self.epcm.set(page, entry);
        match self.runs.last_mut() {
            Some(run) if run.end == page => run.end = page + 1,
            _ => self.runs.push(page..page + 1),
        }
    }

    /// Writes the contents of a chunk of a page that was added.
    pub(crate) fn put(&mut self, offset: usize, data: &[u8; CHUNK]) -> Result<(), Error> {
        // This looks at all words and does not branch for each byte.
        let (words, _) = data.as_chunks();
        if words.iter().fold(0, |bits, word| bits | u64::from_ne_bytes(*word)) == 0 {
            return Ok(());
        }
        self.make_writable(offset / PAGE)?;
        let target = (self.range.base + offset) as *mut u8;
        // SAFETY: these are 256 bytes inside a page of our reservation, which is writable now.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), target, CHUNK) };
        Ok(())
    }

    fn make_writable(&mut self, page: usize) -> Result<(), Error> {
        if self.windows.iter().rev().any(|window| window.contains(&page)) {
            return Ok(());
        }
        let window = page..(page + WINDOW).min(self.range.size / PAGE);
        self.range.protect(window.clone(), Permissions::RW)?;
        self.windows.push(window);
        Ok(())
    }

    /// Makes EADD's checks of a TCS, and those checks of EENTER whose result cannot change later.
    pub(crate) fn add_thread(&mut self, page: usize) -> Result<(), Error> {
        // A TCS without contents may lie outside the windows.
        self.make_writable(page)?;
        let address = self.range.base + page * PAGE;
        // SAFETY: this is a readable page of our reservation, and a structure of integers.
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
        let thread = ThreadControl {
            address,
            oentry: absolute(tcs.oentry),
            fs_base: absolute(tcs.ofsbasgx),
            gs_base: absolute(tcs.ogsbasgx),
            ossa: absolute(tcs.ossa),
            nssa: tcs.nssa,
            cssa: AtomicU32::new(0),
            busy: AtomicBool::new(false),
            enclave: std::ptr::null(),
        };
        let at = self.threads.partition_point(|other| other.address < address);
        self.threads.insert(at, thread);
        Ok(())
    }

    /// Makes EINIT's checks, sets the final page permissions, and registers the enclave.
    pub(crate) fn init(
        self,
        sig: &Sigstruct,
        mrenclave: [u8; 32],
        policy: Policy,
        platform: Platform,
        driver: Option<Driver>,
    ) -> Result<Arc<Enclave>, Error> {
        let Create { attributes, miscselect, .. } = self.create;
        let mrsigner = sigstruct::authenticate(sig)?;
        sigstruct::match_enclave(sig, &mrenclave, attributes, miscselect)?;
        self.range.protect_all(&self.windows, Permissions::NONE)?;
        let secs = Secs {
            base: self.range.base,
            size: self.range.size,
            ssa_frame: self.ssa_frame,
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
        let quick_exits = QuickExits::new(policy.quick_exits);
        let enclave =
            Enclave::new(secs, self.epcm, self.threads, platform, quick_exits, self.range, driver);
        for run in self.runs {
            enclave.update_all(run, |entry| entry)?;
        }
        registry::insert(&enclave)?;
        Ok(enclave)
    }
}

/// Checks Linux's rule for the provisioning key.
pub(crate) fn check_provision_key(attributes: Attributes, policy: Policy) -> Result<(), Error> {
    if attributes.flags.contains(AttributesFlags::PROVISIONKEY) && !policy.provision_key {
        return Err(Error::InvalidAttribute("this device does not grant the provisioning key"));
    }
    Ok(())
}

/// Checks the rules of ECREATE and EINIT for ATTRIBUTES.
fn check_attributes(attributes: Attributes) -> Result<(), Error> {
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
    if !xsave::layout()?.permits(attributes.xfrm) {
        return Err(Error::Create(
            "ATTRIBUTES.XFRM lacks x87 or SSE, or has what this processor does not enable",
        ));
    }
    Ok(())
}
