//! An open file of the driver, which is an enclave after CREATE.

use std::io;
use std::ops::Range;
use std::os::raw::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sgx_isa::{ErrorCode, MEAS_EADD, MEAS_EEXTEND, PageType, Secinfo, Secs, Sigstruct};
use sgx_isa::{MEAS_ECREATE, Tcs as TcsPage};

use super::{Driver, Event, Fault, Version, abi, errno_of};
use crate::builder::{self, Builder, Create};
use crate::enclave::{Enclave, Reservation};
use crate::epcm::{Entry, PAGE, Permissions};
use crate::error::Error;
use crate::measure::Measurement;
use crate::stream::{Block, CHUNK, HEADER};

/// An open `/dev/sgx_enclave`.
///
/// The enclave lives as long as this value, which takes the place of the mappings' own references.
/// Its pages are in memory that the caller has reserved for it: an anonymous private mapping
/// without access, which the caller owns and must keep longer than this value.
pub struct EnclaveFile {
    driver: Driver,
    /// `SGX_ENCL_IOCTL`.
    busy: AtomicBool,
    state: Mutex<State>,
    /// The reason of the last refusal by the driver or the processor.
    log: Mutex<Option<String>>,
}

enum State {
    Open,
    Created(Box<Building>),
    Initialized(Arc<Enclave>),
    /// An error has destroyed the enclave.
    Dead,
}

struct Building {
    builder: Builder,
    measurement: Measurement,
    block: Block,
    create: Create,
}

impl std::fmt::Debug for EnclaveFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnclaveFile").finish_non_exhaustive()
    }
}

fn errno(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// Reads the structure at `address`.
///
/// # Safety
/// The address is null, or that of a structure that consists of integers.
unsafe fn argument<T>(address: u64) -> io::Result<T> {
    let pointer = address as *const T;
    if pointer.is_null() {
        return Err(errno(libc::EFAULT));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { pointer.read_unaligned() })
}

/// Makes the driver's checks of a range of an enclave that has `size` bytes.
fn pages(offset: u64, length: u64, size: usize) -> io::Result<Range<usize>> {
    let page = PAGE as u64;
    let end = offset.checked_add(length).filter(|end| *end <= size as u64);
    let whole = offset.is_multiple_of(page) && length.is_multiple_of(page) && length != 0;
    match end {
        Some(end) if whole => Ok((offset / page) as usize..(end / page) as usize),
        _ => Err(errno(libc::EINVAL)),
    }
}

/// Returns `pages`, or as many of them as a fault allows; the result of the call; and whether
/// ETRACK follows.
fn limited(pages: Range<usize>, fault: Option<Fault>) -> (Range<usize>, io::Result<()>, bool) {
    match fault {
        None => (pages, Ok(()), true),
        Some(Fault::Untracked) => (pages, Ok(()), false),
        Some(Fault::Refused(error)) => (pages.start..pages.start, Err(errno(error)), true),
        Some(Fault::Restarted { pages: most }) => {
            (pages.start..pages.end.min(pages.start + most), Err(errno(libc::EBUSY)), true)
        }
        Some(Fault::Partly { pages: most, errno: error }) => {
            let end = pages.end.min(pages.start + most);
            let result = if error == 0 { Ok(()) } else { Err(errno(error)) };
            (pages.start..end, result, true)
        }
    }
}

fn bytes(pages: Range<usize>) -> u64 {
    (pages.len() * PAGE) as u64
}

impl EnclaveFile {
    pub(super) fn new(driver: Driver) -> Self {
        EnclaveFile {
            driver,
            busy: AtomicBool::new(false),
            state: Mutex::new(State::Open),
            log: Mutex::new(None),
        }
    }

    /// Does what `ioctl` does.
    ///
    /// # Errors
    /// The `errno` that Linux's driver returns.
    ///
    /// # Safety
    /// `argument` points to the structure of the request, and the pointers in it to the objects
    /// that the request expects; or they are null. The addresses in SECS are an anonymous private
    /// mapping that the caller keeps, and that nothing else uses, until this is dropped. No thread
    /// is inside the enclave then.
    pub unsafe fn ioctl(&self, request: u64, argument: *mut c_void) -> io::Result<()> {
        if self.busy.swap(true, Ordering::Acquire) {
            return Err(errno(libc::EBUSY));
        }
        let argument = argument as u64;
        // SAFETY: the caller's promise.
        let done = unsafe {
            match request {
                abi::CREATE => self.create(argument),
                abi::ADD_PAGES => self.add_pages(argument),
                abi::INIT => self.init(argument),
                _ if self.driver.version == Version::Sgx1 => Err(errno(libc::ENOTTY)),
                abi::RESTRICT_PERMISSIONS => self.restrict_permissions(argument),
                abi::MODIFY_TYPES => self.modify_types(argument),
                abi::REMOVE_PAGES => self.remove_pages(argument),
                _ => Err(errno(libc::ENOTTY)),
            }
        };
        self.busy.store(false, Ordering::Release);
        done
    }

    /// Does what `mmap` with MAP_SHARED and MAP_FIXED does, for addresses in ELRANGE.
    ///
    /// # Errors
    /// The errors of [`Self::ioctl`].
    pub fn map(&self, address: usize, length: usize, permissions: Permissions) -> io::Result<()> {
        self.change_mapping(address, length, Event::Map, permissions, |_| true)
    }

    /// Does what `mprotect` does, for addresses in ELRANGE. Unmapped addresses stay unmapped.
    ///
    /// # Errors
    /// The errors of [`Self::ioctl`].
    pub fn protect(
        &self,
        address: usize,
        length: usize,
        permissions: Permissions,
    ) -> io::Result<()> {
        self.change_mapping(address, length, Event::Protect, permissions, Entry::mapped)
    }

    /// Returns the reason of the last refusal, in the SDM's words, as a kernel's log would have it.
    pub fn last_refusal(&self) -> Option<String> {
        self.log().clone()
    }

    /// Returns MRENCLAVE, once the enclave is initialized.
    pub fn mrenclave(&self) -> Option<[u8; 32]> {
        match &*self.state() {
            State::Initialized(enclave) => Some(enclave.secs.mrenclave),
            _ => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Option<String>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the reason of a refusal, and returns the error of the system call.
    fn refuse(&self, error: Error, code: i32) -> io::Error {
        *self.log() = Some(error.to_string());
        match error {
            Error::System { .. } | Error::Memory { .. } | Error::TooManyEnclaves => errno_of(error),
            _ => errno(code),
        }
    }

    unsafe fn create(&self, at: u64) -> io::Result<()> {
        let mut state = self.state();
        if !matches!(*state, State::Open) {
            return Err(errno(libc::EINVAL));
        }
        // SAFETY: the caller's promise.
        let secs = unsafe { argument::<Secs>(argument::<abi::Create>(at)?.src)? };
        if let Some(Fault::Refused(error)) = self.driver.injected(&Event::Create) {
            return Err(errno(error));
        }
        if !secs.size.is_power_of_two() {
            return Err(errno(libc::EINVAL));
        }
        let create = Create {
            ssaframesize: secs.ssaframesize,
            size: secs.size,
            attributes: secs.attributes,
            miscselect: secs.miscselect,
        };
        let refuse = |error| self.refuse(error, libc::EIO);
        let size = create.check().map_err(refuse)?;
        let end = secs.baseaddr.checked_add(secs.size).filter(|end| end >> 47 == 0);
        if !secs.baseaddr.is_multiple_of(secs.size) || end.is_none() {
            return Err(refuse(Error::Create("BASEADDR is not a multiple of SIZE in user space")));
        }
        let range = Reservation::of_another(secs.baseaddr as usize, size);
        let mut measurement = Measurement::start();
        let mut block = measurement.block().map_err(refuse)?;
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MEAS_ECREATE.to_le_bytes());
        header[8..12].copy_from_slice(&create.ssaframesize.to_le_bytes());
        header[12..20].copy_from_slice(&create.size.to_le_bytes());
        block.push_measured(&header);
        let builder = Builder::new(create, range).map_err(refuse)?;
        *state = State::Created(Box::new(Building { builder, measurement, block, create }));
        Ok(())
    }

    unsafe fn add_pages(&self, at: u64) -> io::Result<()> {
        let mut state = self.state();
        let State::Created(building) = &mut *state else {
            return Err(errno(libc::EINVAL));
        };
        // SAFETY: the caller's promise.
        let mut add = unsafe { argument::<abi::AddPages>(at)? };
        if !add.src.is_multiple_of(PAGE as u64) {
            return Err(errno(libc::EINVAL));
        }
        let all = pages(add.offset, add.length, building.builder.size())?;
        // SAFETY: the caller's promise.
        let secinfo = unsafe { argument::<Secinfo>(add.secinfo)? };
        let reserved = secinfo._reserved1.iter().any(|byte| *byte != 0);
        let entry = building.builder.check_page(add.offset, secinfo.flags.bits());
        let (Ok(entry), false) = (entry, reserved) else {
            return Err(errno(libc::EINVAL));
        };
        let fault = self.driver.injected(&Event::Add(add.offset..add.offset + add.length));
        let (wanted, mut result, _) = limited(all, fault);
        let measured = add.flags & abi::PAGE_MEASURE != 0;
        let mut source = add.src as *const [u8; PAGE];
        let mut done = wanted.start;
        for page in wanted {
            // SAFETY: the source has as many pages, by the caller's promise.
            let content = unsafe { &*source };
            if let Err(error) = self.add_page(building, page, entry, content, measured) {
                result = Err(error);
                break;
            }
            done += 1;
            source = source.wrapping_add(1);
        }
        add.count = match fault {
            Some(Fault::Restarted { .. }) => 0,
            _ => bytes((add.offset / PAGE as u64) as usize..done),
        };
        if result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EIO)) {
            *state = State::Dead;
        }
        // SAFETY: the caller's structure.
        unsafe { (at as *mut abi::AddPages).write_unaligned(add) };
        result
    }

    fn add_page(
        &self,
        building: &mut Building,
        page: usize,
        entry: Entry,
        content: &[u8; PAGE],
        measured: bool,
    ) -> io::Result<()> {
        let Building { builder, measurement, block, .. } = building;
        if builder.entry(page).valid() {
            return Err(errno(libc::EBUSY));
        }
        if !self.driver.take_page() {
            return Err(errno(libc::ENOMEM));
        }
        let refuse = |error| self.refuse(error, libc::EIO);
        let mapped = builder.entry(page);
        builder.add(page, entry.mapped_as(mapped));
        let (chunks, _) = content.as_chunks::<CHUNK>();
        for (index, chunk) in chunks.iter().enumerate() {
            builder.put(page * PAGE + index * CHUNK, chunk).map_err(refuse)?;
        }
        if entry.is(PageType::Tcs) {
            const { assert!(size_of::<TcsPage>() == PAGE) };
            builder.add_thread(page).map_err(refuse)?;
        }

        if !block.has_room(HEADER + chunks.len() * (HEADER + CHUNK)) {
            let next = measurement.block().map_err(refuse)?;
            measurement.extend(std::mem::replace(block, next));
        }
        let offset = (page * PAGE) as u64;
        block.push_measured(&record(MEAS_EADD, offset, entry.secinfo_flags()));
        if measured {
            for (index, chunk) in chunks.iter().enumerate() {
                let offset = offset + (index * CHUNK) as u64;
                block.push_measured(&record(MEAS_EEXTEND, offset, 0));
                block.push_measured(chunk);
            }
        }
        Ok(())
    }

    unsafe fn init(&self, at: u64) -> io::Result<()> {
        let mut state = self.state();
        if !matches!(*state, State::Created(_)) {
            return Err(errno(libc::EINVAL));
        }
        // SAFETY: the caller's promise.
        let sigstruct = unsafe { argument::<Sigstruct>(argument::<abi::Init>(at)?.sigstruct)? };
        if let Some(Fault::Refused(error)) = self.driver.injected(&Event::Init) {
            return Err(errno(error));
        }
        let State::Created(building) = std::mem::replace(&mut *state, State::Dead) else {
            return Err(errno(libc::EINVAL));
        };
        let Building { builder, mut measurement, block, create } = *building;
        let (platform, policy) = (self.driver.platform.clone(), self.driver.policy);
        builder::check_provision_key(create.attributes, policy)
            .map_err(|error| self.refuse(error, libc::EACCES))?;
        measurement.extend(block);
        let mrenclave = measurement.finish();
        let driver = Some(self.driver.clone());
        let enclave = builder
            .init(&sigstruct, mrenclave, policy, platform, driver)
            .map_err(|error| self.refuse(error, libc::EPERM))?;
        *state = State::Initialized(enclave);
        Ok(())
    }

    /// Returns the enclave, for the ioctls that need SGX2.
    fn running(&self) -> io::Result<Arc<Enclave>> {
        if !self.driver.sgx2 {
            return Err(errno(libc::ENODEV));
        }
        match &*self.state() {
            State::Initialized(enclave) => Ok(enclave.clone()),
            _ => Err(errno(libc::EINVAL)),
        }
    }

    unsafe fn restrict_permissions(&self, at: u64) -> io::Result<()> {
        let known = |bits| {
            let permissions = Permissions::from_bits_truncate(bits);
            (permissions.bits() == bits && !permissions.writable_only()).then_some(permissions)
        };
        // SAFETY: the caller's promise.
        unsafe { self.change(at, Event::Restrict, known, Entry::restricted) }
    }

    unsafe fn modify_types(&self, at: u64) -> io::Result<()> {
        // PT_TCS is not modelled: an enclave's threads are those that it was loaded with.
        let known = |page_type| (page_type == PageType::Trim as u64).then_some(());
        // SAFETY: the caller's promise.
        unsafe { self.change(at, Event::ModifyTypes, known, |entry, ()| entry.trimmed()) }
    }

    /// Changes pages by what `known` makes of the request. `None` means that the request is
    /// invalid.
    unsafe fn change<T: Copy>(
        &self,
        at: u64,
        event: impl Fn(Range<u64>) -> Event,
        known: impl Fn(u64) -> Option<T>,
        changed: impl Fn(Entry, T) -> Entry,
    ) -> io::Result<()> {
        let enclave = self.running()?;
        // SAFETY: the caller's promise.
        let mut request = unsafe { argument::<abi::Change>(at)? };
        let all = pages(request.offset, request.length, enclave.secs.size)?;
        let to = known(request.to).ok_or(errno(libc::EINVAL))?;
        if request.result != 0 || request.count != 0 {
            return Err(errno(libc::EINVAL));
        }
        let event = event(request.offset..request.offset + request.length);
        let (wanted, result, tracked) = limited(all, self.driver.injected(&event));
        let change =
            |entry: Entry| modifiable(entry).map(|()| changed(entry, to).with_tracking(tracked));
        let paging = enclave.lock_paging();
        let (count, code, result) = apply(&enclave, wanted, result, change);
        drop(paging);
        (request.count, request.result) = (count, code);
        // SAFETY: the caller's structure.
        unsafe { (at as *mut abi::Change).write_unaligned(request) };
        result
    }

    unsafe fn remove_pages(&self, at: u64) -> io::Result<()> {
        let enclave = self.running()?;
        // SAFETY: the caller's promise.
        let mut request = unsafe { argument::<abi::RemovePages>(at)? };
        let all = pages(request.offset, request.length, enclave.secs.size)?;
        if request.count != 0 {
            return Err(errno(libc::EINVAL));
        }
        let event = Event::Remove(request.offset..request.offset + request.length);
        let (wanted, result, _) = limited(all, self.driver.injected(&event));
        let first = wanted.start;
        let change = |entry: Entry| match () {
            () if !entry.valid() => Err((libc::EFAULT, None)),
            () if !entry.is(PageType::Trim) || entry.state() != 0 => Err((libc::EPERM, None)),
            () => Ok(entry.removed()),
        };
        let _paging = enclave.lock_paging();
        let (count, _, result) = apply(&enclave, wanted, result, change);
        request.count = count;
        let gone = (count / PAGE as u64) as usize;
        enclave.clear(first..first + gone).map_err(errno_of)?;
        self.driver.give_back(gone);
        // SAFETY: the caller's structure.
        unsafe { (at as *mut abi::RemovePages).write_unaligned(request) };
        result
    }

    /// Maps a range, or changes its mapping, if every page in it was added with these permissions.
    fn change_mapping(
        &self,
        address: usize,
        length: usize,
        event: impl Fn(Range<u64>) -> Event,
        permissions: Permissions,
        concerns: impl Fn(Entry) -> bool,
    ) -> io::Result<()> {
        let state = self.state();
        let (base, size) = match &*state {
            State::Created(building) => (building.builder.base(), building.builder.size()),
            State::Initialized(enclave) => (enclave.secs.base, enclave.secs.size),
            State::Open | State::Dead => return Err(errno(libc::EINVAL)),
        };
        let offset = address.checked_sub(base).ok_or(errno(libc::EACCES))? as u64;
        let range = pages(offset, length as u64, size).map_err(|_| {
            errno(if offset as usize >= size { libc::EACCES } else { libc::EINVAL })
        })?;
        let injected = self.driver.injected(&event(offset..offset + length as u64));
        if let Some(Fault::Refused(error)) = injected {
            return Err(errno(error));
        }
        let allowed = |entry: Entry| !entry.valid() || entry.max().contains(permissions);
        let change = |entry: Entry| match concerns(entry) {
            true => entry.map(permissions),
            false => entry,
        };
        match &*state {
            State::Created(building) => {
                let builder = &building.builder;
                if !range.clone().all(|page| allowed(builder.entry(page))) {
                    return Err(errno(libc::EACCES));
                }
                range.for_each(|page| builder.set_entry(page, change(builder.entry(page))));
                Ok(())
            }
            State::Initialized(enclave) => {
                let _paging = enclave.lock_paging();
                if !range.clone().all(|page| allowed(enclave.epcm.get(page))) {
                    return Err(errno(libc::EACCES));
                }
                enclave.update_all(range, change).map_err(|error| self.refuse(error, libc::EIO))
            }
            State::Open | State::Dead => Err(errno(libc::EINVAL)),
        }
    }
}

/// The reason why a page cannot be changed: an `errno`, and the instruction's error code if it
/// gives one.
type Unchanged = (i32, Option<ErrorCode>);

/// Whether EMODPR and EMODT can change a page.
fn modifiable(entry: Entry) -> Result<(), Unchanged> {
    match () {
        () if !entry.valid() => Err((libc::EFAULT, None)),
        () if !entry.is(PageType::Reg) => Err((libc::EINVAL, None)),
        // The page waits for EACCEPT.
        () if !entry.usable() => Err((libc::EFAULT, Some(ErrorCode::PageNotModifiable))),
        () => Ok(()),
    }
}

/// Changes one page after the other, up to the first that cannot be changed. Returns the number of
/// changed bytes, the instruction's error code, and the result of the call, which is `result` if
/// all pages were changed. The caller holds [`Enclave::lock_paging`].
fn apply(
    enclave: &Enclave,
    pages: Range<usize>,
    result: io::Result<()>,
    change: impl Fn(Entry) -> Result<Entry, Unchanged>,
) -> (u64, u64, io::Result<()>) {
    let refused = |page: &usize| change(enclave.epcm.get(*page)).is_err();
    let end = pages.clone().find(refused).unwrap_or(pages.end);
    let done = pages.start..end;
    if let Err(error) = enclave.update_all(done.clone(), |entry| change(entry).unwrap_or(entry)) {
        return (0, 0, Err(errno_of(error)));
    }
    if end == pages.end {
        return (bytes(done), 0, result);
    }
    match change(enclave.epcm.get(end)) {
        Err((error, code)) => (bytes(done), code.map_or(0, |code| code as u64), Err(errno(error))),
        Ok(_) => (bytes(done), 0, result),
    }
}

/// Returns a record of the measurement (SDM Vol. 3D, EADD and EEXTEND).
fn record(tag: u64, offset: u64, flags: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&tag.to_le_bytes());
    header[8..16].copy_from_slice(&offset.to_le_bytes());
    header[16..24].copy_from_slice(&flags.to_le_bytes());
    header
}
