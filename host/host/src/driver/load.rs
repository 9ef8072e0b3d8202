//! Loads an enclave: CREATE, ADD_PAGES, the mappings, INIT.

use super::pages::{Memory, Reserved};
use super::{EnclaveFile, Kernel, abi};
use sgx_isa::{Attributes, PageType, Secinfo, SecinfoFlags, Secs, Sigstruct};
use std::io::{self, Read};
use std::ops::Range;
use std::ptr;
use twine_image::Pages;

/// The step of loading that failed, with the system's error.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The device can't be opened.
    Open(io::Error),
    /// The image can't be read, or is malformed.
    Image(twine_image::Error),
    /// There is no memory for the buffer of pages.
    Memory,
    /// The address range can't be reserved.
    Addresses { size: u64, error: io::Error },
    /// CREATE.
    Create(Refusal),
    /// ADD_PAGES, at an offset.
    Add { offset: u64, refusal: Refusal },
    /// The mapping of pages at an offset.
    Map { offset: u64, refusal: Refusal },
    /// INIT.
    Init(Refusal),
    /// The check for SGX2.
    Probe(Refusal),
}

/// An error of a driver.
#[derive(Debug)]
pub(crate) struct Refusal {
    error: io::Error,
    /// The line of the kernel's log about it, if it is known.
    log: Option<String>,
}

impl Refusal {
    pub(super) fn of(file: &dyn EnclaveFile) -> impl Fn(io::Error) -> Refusal {
        move |error| Refusal { error, log: file.log() }
    }

    /// Whether the log has a line about the error. It has none about a lack of EPC.
    pub(crate) fn is_logged(&self) -> bool {
        self.log.is_some()
    }

    /// Returns the error's `errno`, if it has one.
    pub(crate) fn errno(&self) -> Option<i32> {
        self.error.raw_os_error()
    }

    /// Whether this process or the driver ran out of memory.
    pub(crate) fn is_of_memory(&self) -> bool {
        self.error.kind() == io::ErrorKind::OutOfMemory
    }

    /// Returns the line of the log, or `call` with the error.
    pub(crate) fn what(&self, call: &str) -> String {
        match &self.log {
            Some(log) => log.clone(),
            None => format!("{call}: {}", self.error),
        }
    }
}

/// A page in memory, aligned for ADD_PAGES.
#[repr(C, align(4096))]
#[derive(Clone, Copy)]
pub(super) struct Page([u8; PAGE]);

const PAGE: usize = 4096;

/// Limit on the pages that one call adds: 256 KiB, which fit into the processor's caches.
const MAX_PAGES: usize = 64;

/// Limit on the bytes of the pages that one call adds.
pub(super) const BATCH: usize = MAX_PAGES * PAGE;

const EMPTY: Page = Page([0; PAGE]);

/// The source of pages without content.
static ZEROS: [Page; MAX_PAGES] = [EMPTY; MAX_PAGES];

/// A loaded enclave.
pub(crate) struct Loaded {
    pub memory: Memory,
    /// The addresses of its TCSs, in the order of the image.
    pub threads: Vec<usize>,
}

/// Loads an enclave from the image `sgxs`.
pub(crate) fn load(
    kernel: &dyn Kernel,
    sgxs: impl Read,
    sigstruct: &Sigstruct,
    attributes: Attributes,
) -> Result<Loaded, LoadError> {
    let mut pages = Pages::new(sgxs).map_err(LoadError::Image)?;
    let file = kernel.open().map_err(LoadError::Open)?;
    let size = pages.elrange();
    let reserved = usize::try_from(size)
        .map_err(|_| io::ErrorKind::OutOfMemory.into())
        .and_then(Reserved::new)
        .map_err(|error| LoadError::Addresses { size, error })?;
    let secs = Secs {
        baseaddr: reserved.base() as u64,
        size,
        ssaframesize: pages.ssa_frame_pages(),
        miscselect: sigstruct.miscselect,
        attributes,
        ..Secs::default()
    };
    let mut create = abi::Create { secs: &raw const secs };
    // SAFETY: the request's structure, with a SECS.
    unsafe { uninterrupted(&*file, abi::CREATE, (&raw mut create).cast()) }
        .map_err(|error| LoadError::Create(Refusal::of(&*file)(error)))?;

    let mut adding = Adding::new(&*file)?;
    let mut threads = Vec::new();
    while let Some(page) = pages.next().map_err(LoadError::Image)? {
        if page.flags.page_type() == PageType::Tcs as u8 {
            threads.push(reserved.base() + page.offset as usize);
        }
        adding.add(&page)?;
    }
    for (range, protection) in adding.finish()? {
        let address = reserved.base() + range.start as usize;
        let length = (range.end - range.start) as usize;
        // SAFETY: addresses that were reserved for the enclave just now.
        unsafe { file.map(address, length, protection) }.map_err(|error| LoadError::Map {
            offset: range.start,
            refusal: Refusal::of(&*file)(error),
        })?;
    }

    let mut init = abi::Init { sigstruct: ptr::from_ref(sigstruct) };
    // SAFETY: the request's structure, with a SIGSTRUCT.
    unsafe { uninterrupted(&*file, abi::INIT, (&raw mut init).cast()) }
        .map_err(|error| LoadError::Init(Refusal::of(&*file)(error)))?;
    let memory = Memory::new(file, reserved).map_err(LoadError::Probe)?;
    Ok(Loaded { memory, threads })
}

/// Calls an ioctl, and repeats it if a signal interrupts it. An interrupted call has had no effect.
///
/// # Safety
/// The requirements of [`EnclaveFile::ioctl`].
unsafe fn uninterrupted(
    file: &dyn EnclaveFile,
    request: u64,
    argument: *mut libc::c_void,
) -> io::Result<()> {
    loop {
        // SAFETY: the caller's promise.
        match unsafe { file.ioctl(request, argument) } {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Adds pages to the enclave in batches, and collects the mappings for them.
struct Adding<'a> {
    file: &'a dyn EnclaveFile,
    /// The offset of the first page of the batch, and the kind of all its pages.
    offset: u64,
    kind: Option<Kind>,
    count: usize,
    content: Vec<Page>,
    mappings: Vec<(Range<u64>, i32)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    flags: SecinfoFlags,
    measured: bool,
    empty: bool,
}

impl<'a> Adding<'a> {
    fn new(file: &'a dyn EnclaveFile) -> Result<Self, LoadError> {
        let mut content = Vec::new();
        content.try_reserve_exact(MAX_PAGES).map_err(|_| LoadError::Memory)?;
        content.resize(MAX_PAGES, EMPTY);
        Ok(Adding { file, offset: 0, kind: None, count: 0, content, mappings: Vec::new() })
    }

    fn add(&mut self, page: &twine_image::Page<'_>) -> Result<(), LoadError> {
        let kind =
            Kind { flags: page.flags, measured: page.measured, empty: page.content.is_none() };
        let next = self.offset + (self.count * PAGE) as u64;
        if self.kind != Some(kind) || page.offset != next || self.count == MAX_PAGES {
            self.flush()?;
            (self.offset, self.kind) = (page.offset, Some(kind));
        }
        if let Some(content) = page.content {
            self.content[self.count].0 = *content;
        }
        self.count += 1;

        let protection = match page.flags.page_type() == PageType::Tcs as u8 {
            true => libc::PROT_READ | libc::PROT_WRITE,
            // The bits of SECINFO are those of PROT_*.
            false => (page.flags.bits() & 7) as i32,
        };
        let end = page.offset + PAGE as u64;
        match self.mappings.last_mut() {
            Some((range, same)) if *same == protection && range.end == page.offset => {
                range.end = end;
            }
            _ => self.mappings.push((page.offset..end, protection)),
        }
        Ok(())
    }

    /// Adds the pages of the batch.
    fn flush(&mut self) -> Result<(), LoadError> {
        let Some(kind) = self.kind.take() else { return Ok(()) };
        let secinfo = Secinfo { flags: kind.flags, ..Secinfo::default() };
        let source = if kind.empty { &ZEROS[..] } else { &self.content };
        let count = std::mem::take(&mut self.count);
        let mut done = 0;
        while done < count {
            let offset = self.offset + (done * PAGE) as u64;
            let mut add = abi::AddPages {
                source: source[done..].as_ptr(),
                offset,
                length: ((count - done) * PAGE) as u64,
                secinfo: &raw const secinfo,
                flags: if kind.measured { abi::MEASURE } else { 0 },
                count: 0,
            };
            // SAFETY: the request's structure, with as many pages as its length says.
            let added = unsafe { self.file.ioctl(abi::ADD_PAGES, (&raw mut add).cast()) };
            done += add.count as usize / PAGE;
            match added {
                // A signal interrupted the call. `count` says how many bytes were added before.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // If the call waited for EPC, the kernel may have restarted it after a signal, with
                // pages that were added before. EINIT checks all pages by their measurement.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && add.count == 0 => {
                    done += 1;
                }
                Ok(()) if add.count != 0 => {}
                Ok(()) => {
                    let refusal = Refusal::of(self.file)(io::Error::other("no page was added"));
                    return Err(LoadError::Add { offset, refusal });
                }
                Err(error) => {
                    let offset = self.offset + (done * PAGE) as u64;
                    return Err(LoadError::Add { offset, refusal: Refusal::of(self.file)(error) });
                }
            }
        }
        Ok(())
    }

    /// Adds the last pages. Returns the ranges to map, with their protection.
    fn finish(mut self) -> Result<Vec<(Range<u64>, i32)>, LoadError> {
        self.flush()?;
        Ok(self.mappings)
    }
}
