//! The model of Linux's driver: its checks and answers, and pages that are added at faults. The
//! expected results are those of `arch/x86/kernel/cpu/sgx` in Linux.

mod common;

use std::os::raw::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use common::{EENTER, EEXIT, ERESUME, Entry, Exit, PAGE, Spec, at, device, enter};
use openssl::hash::Hasher;
use sgx_isa::{Attributes, ErrorCode, PageType, SecinfoFlags, Secs, Sigstruct};
use sgx_sim::{EnclaveFile, Event, Fault, Kernel, Permissions};
use sgxs::sgxs::{CanonicalSgxsWriter, MeasECreate, SecinfoTruncated};
use sgxs::sigstruct::{EnclaveHash, Signer};

const CREATE: u64 = 0x4008_a400;
const ADD: u64 = 0xc030_a401;
const INIT: u64 = 0x4008_a402;
const RESTRICT: u64 = 0xc028_a405;
const MODIFY: u64 = 0xc028_a406;
const REMOVE: u64 = 0xc018_a407;

const EACCEPT: u32 = 5;

const R: u64 = 1;
const W: u64 = 2;
const X: u64 = 4;
const PENDING: u64 = 8;
const MODIFIED: u64 = 16;
const PR: u64 = 32;
const REG: u64 = 0x200;
const TRIM: u64 = 0x400;

/// The error code of a page fault that the EPCM caused.
const PF_SGX: u16 = 1 << 15;
const PAGE_FAULT: u16 = 14;

/// The offset of addresses without pages.
const EMPTY: u64 = 0x3_0000;

#[repr(C, align(4096))]
struct Aligned([u8; PAGE as usize]);

#[repr(C)]
struct AddPages {
    src: *const Aligned,
    offset: u64,
    length: u64,
    secinfo: *const [u64; 8],
    flags: u64,
    count: u64,
}

/// `struct sgx_enclave_restrict_permissions`, and `_modify_types`, whose third field is a type.
#[repr(C)]
#[derive(Clone, Copy)]
struct Change {
    offset: u64,
    length: u64,
    what: u64,
    result: u64,
    count: u64,
}

fn ioctl<T>(file: &EnclaveFile, request: u64, argument: &mut T) -> Result<(), i32> {
    let argument = std::ptr::from_mut(argument).cast::<c_void>();
    // SAFETY: every test passes the structure of the request.
    unsafe { file.ioctl(request, argument) }.map_err(|error| error.raw_os_error().unwrap())
}

fn errno(result: std::io::Result<()>) -> Result<(), i32> {
    result.map_err(|error| error.raw_os_error().unwrap())
}

/// Addresses for an enclave, aligned to its size.
struct Addresses(u64);

impl Addresses {
    fn new() -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let size = 2 * at::SIZE as usize;
        // SAFETY: this is a new mapping, which is never unmapped.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        Addresses((start as u64).next_multiple_of(at::SIZE))
    }
}

/// A page of an image.
struct Page {
    offset: u64,
    flags: u64,
    content: Aligned,
}

/// Returns the pages of the enclave that `spec` describes, all of them measured.
fn pages(spec: &Spec) -> Vec<Page> {
    let mut pages = Vec::new();
    let mut stream = &spec.image()[..];
    let mut reader = sgxs::sgxs::PageReader::new(&mut stream).unwrap().1;
    while let Some((add, _, data)) = reader.read_page().unwrap() {
        pages.push(Page {
            offset: add.offset,
            flags: add.secinfo.flags.bits(),
            content: Aligned(data),
        });
    }
    pages
}

fn sign(spec: &Spec, pages: &[Page]) -> Sigstruct {
    let mut image = Vec::new();
    let create = MeasECreate { ssaframesize: spec.ssaframesize, size: at::SIZE };
    let mut writer = CanonicalSgxsWriter::new(&mut image, create, true).unwrap();
    for page in pages {
        let secinfo = SecinfoTruncated { flags: SecinfoFlags::from_bits_truncate(page.flags) };
        writer.write_page(Some(&mut &page.content.0[..]), Some(page.offset), secinfo).unwrap();
    }
    let hash = EnclaveHash::from_stream::<_, Hasher>(&mut &image[..]).unwrap();
    let mut signer = Signer::new(hash);
    signer
        .attributes_flags(spec.attributes.flags, !0)
        .attributes_xfrm(spec.attributes.xfrm, !0)
        .miscselect(spec.miscselect, !0);
    signer.sign::<_, Hasher>(&**common::key()).unwrap()
}

fn create(file: &EnclaveFile, spec: &Spec, base: u64, size: u64) -> Result<(), i32> {
    let Attributes { flags, xfrm } = spec.attributes;
    let secs = Secs {
        size,
        baseaddr: base,
        ssaframesize: spec.ssaframesize,
        miscselect: spec.miscselect,
        attributes: Attributes { flags, xfrm },
        ..Secs::default()
    };
    ioctl(file, CREATE, &mut std::ptr::from_ref(&secs))
}

/// Makes ADD_PAGES of one page. Also returns how many bytes the driver reports as added.
fn add(file: &EnclaveFile, page: &Page) -> (Result<(), i32>, u64) {
    let secinfo = [page.flags, 0, 0, 0, 0, 0, 0, 0];
    let mut add = AddPages {
        src: &raw const page.content,
        offset: page.offset,
        length: PAGE,
        secinfo: &raw const secinfo,
        flags: 1,
        count: 0,
    };
    let added = ioctl(file, ADD, &mut add);
    (added, add.count)
}

fn init(file: &EnclaveFile, sigstruct: &Sigstruct) -> Result<(), i32> {
    ioctl(file, INIT, &mut std::ptr::from_ref(sigstruct))
}

/// An enclave on a kernel. Its entry executes leaves.
struct Loaded {
    base: u64,
    file: EnclaveFile,
}

fn load(kernel: &Kernel, entry: Entry, spare: u64) -> Loaded {
    let mut spec = Spec::new(entry);
    spec.spare = SecinfoFlags::from_bits_truncate(spare);
    let Addresses(base) = Addresses::new();
    let file = kernel.open().unwrap();
    create(&file, &spec, base, at::SIZE).unwrap();
    let pages = pages(&spec);
    for page in &pages {
        assert_eq!(add(&file, page), (Ok(()), PAGE));
        let tcs = page.flags >> 8 == PageType::Tcs as u64;
        let permissions = if tcs { Permissions::RW } else { bits(page.flags) };
        file.map((base + page.offset) as usize, PAGE as usize, permissions).unwrap();
    }
    let sigstruct = sign(&spec, &pages);
    init(&file, &sigstruct).unwrap();
    assert_eq!(file.mrenclave(), Some(sigstruct.enclavehash));
    Loaded { base, file }
}

fn bits(permissions: u64) -> Permissions {
    Permissions::from_bits_truncate(permissions)
}

impl Loaded {
    fn on(kernel: &Kernel) -> Self {
        load(kernel, Entry::Leaf, R | W)
    }

    fn tcs(&self) -> u64 {
        self.base + at::THREADS
    }

    fn page(&self, offset: u64) -> u64 {
        self.base + offset
    }

    /// Executes EACCEPT of the page at an offset. Returns RAX, or the fault's vector and error
    /// code.
    fn accept(&self, offset: u64, flags: u64) -> Result<u64, (u16, u16)> {
        let secinfo = self.tcs() + at::DATA + 64;
        // SAFETY: this is a page of the enclave, which simulated hardware does not hide.
        unsafe { (secinfo as *mut [u64; 8]).write_volatile([flags, 0, 0, 0, 0, 0, 0, 0]) };
        let exit = self.enter([EACCEPT.into(), secinfo, self.page(offset), 0, 0]);
        self.answer(exit).map(|exit| exit.rdi)
    }

    /// Writes to a page, which faults. Returns the vector and error code. The thread stays there.
    fn touch(&self, offset: u64) -> (u16, u16) {
        let exit = self.enter([1, self.page(offset), 7, 0, 0]);
        assert_eq!((exit.result, exit.function), (0, ERESUME));
        (exit.vector, exit.error_code)
    }

    fn enter(&self, registers: [u64; 5]) -> Exit {
        enter(self.tcs(), EENTER, registers)
    }

    /// Returns the exit, or the fault, after which the thread is ready again.
    fn answer(&self, exit: Exit) -> Result<Exit, (u16, u16)> {
        assert_eq!(exit.result, 0);
        if exit.function == EEXIT {
            return Ok(exit);
        }
        let handled = self.enter([3, 0, 0, 0, 0]);
        assert_eq!((handled.result, handled.function), (0, EEXIT));
        enter(self.tcs(), ERESUME, [0; 5]);
        Err((exit.vector, exit.error_code))
    }

    fn map(&self, offset: u64, pages: u64, permissions: u64) -> Result<(), i32> {
        let (address, length) = (self.page(offset) as usize, (pages * PAGE) as usize);
        errno(self.file.map(address, length, bits(permissions)))
    }

    fn protect(&self, offset: u64, permissions: u64) -> Result<(), i32> {
        errno(self.file.protect(self.page(offset) as usize, PAGE as usize, bits(permissions)))
    }

    fn change(
        &self,
        request: u64,
        offset: u64,
        pages: u64,
        what: u64,
    ) -> (Result<(), i32>, Change) {
        let mut change = Change { offset, length: pages * PAGE, what, result: 0, count: 0 };
        let done = ioctl(&self.file, request, &mut change);
        (done, change)
    }

    fn remove(&self, offset: u64) -> (Result<(), i32>, u64) {
        let mut request = [offset, PAGE, 0];
        let done = ioctl(&self.file, REMOVE, &mut request);
        (done, request[2])
    }
}

fn kernel() -> Kernel {
    Kernel::new(&device())
}

/// Returns a kernel with one fault, which replaces the first event that `at` accepts.
fn with_fault(fault: Fault, at: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Kernel {
    let armed = AtomicBool::new(true);
    kernel().inject(Arc::new(move |event| {
        (at(event) && armed.swap(false, Ordering::Relaxed)).then_some(fault)
    }))
}

#[test]
fn requests_out_of_order_or_malformed_are_refused_as_by_linux() {
    let (spec, kernel) = (Spec::new(Entry::Leaf), kernel());
    let Addresses(base) = Addresses::new();
    let file = kernel.open().unwrap();
    let all = pages(&spec);
    let sigstruct = sign(&spec, &all);
    assert_eq!(add(&file, &all[0]).0, Err(libc::EINVAL), "before CREATE");
    assert_eq!(init(&file, &sigstruct), Err(libc::EINVAL), "before CREATE");
    assert_eq!(create(&file, &spec, base, 3 * PAGE), Err(libc::EINVAL), "no power of two");
    assert_eq!(create(&file, &spec, base + PAGE, at::SIZE), Err(libc::EIO), "not aligned");
    assert!(file.last_refusal().unwrap().contains("BASEADDR"));
    let null: *const c_void = std::ptr::null();
    assert_eq!(ioctl(&file, CREATE, &mut { null }), Err(libc::EFAULT));
    create(&file, &spec, base, at::SIZE).unwrap();
    assert_eq!(create(&file, &spec, base, at::SIZE), Err(libc::EINVAL), "twice");

    let secinfo = |flags| [flags, 0, 0, 0, 0, 0, 0, 0];
    let wrong = |source: usize, offset, length, secinfo: [u64; 8]| {
        let src = ((&raw const all[0].content) as usize + source) as *const Aligned;
        let mut add =
            AddPages { src, offset, length, secinfo: &raw const secinfo, flags: 1, count: 0 };
        ioctl(&file, ADD, &mut add)
    };
    let good = secinfo(REG | R);
    for (source, offset, length, secinfo) in [
        (8, 0, PAGE, good),
        (0, 8, PAGE, good),
        (0, 0, 0, good),
        (0, 0, PAGE + 8, good),
        (0, at::SIZE, PAGE, good),
        (0, u64::MAX - 0xfff, PAGE, good),
        (0, 0, PAGE, secinfo(REG | W)),
        (0, 0, PAGE, secinfo(TRIM)),
        (0, 0, PAGE, secinfo(REG | R | PENDING)),
        (0, 0, PAGE, secinfo(0x100 | R)),
        (0, 0, PAGE, [REG | R, 0, 0, 1, 0, 0, 0, 0]),
    ] {
        assert_eq!(wrong(source, offset, length, secinfo), Err(libc::EINVAL), "{offset:#x}");
    }
    for page in &all {
        assert_eq!(add(&file, page), (Ok(()), PAGE));
    }
    assert_eq!(add(&file, &all[0]), (Err(libc::EBUSY), 0), "twice");
    let mut early = Change { offset: 0, length: PAGE, what: R, result: 0, count: 0 };
    assert_eq!(ioctl(&file, RESTRICT, &mut early), Err(libc::EINVAL), "before INIT");
    assert_eq!(ioctl(&file, 0xa408, &mut early), Err(libc::ENOTTY));
    init(&file, &sigstruct).unwrap();
    assert_eq!(init(&file, &sigstruct), Err(libc::EINVAL), "twice");
    assert_eq!(add(&file, &all[0]).0, Err(libc::EINVAL), "after INIT");
}

#[test]
fn every_error_of_einit_is_eperm_on_linux() {
    let spec = Spec::new(Entry::Leaf);
    let all = pages(&spec);
    let good = sign(&spec, &all);
    for (part, word) in [(0, "SIG_STRUCT"), (1, "MEASUREMENT"), (2, "SIGNATURE")] {
        let mut sigstruct = good.clone();
        let mut count = all.len();
        match part {
            0 => sigstruct.header[0] ^= 1,
            1 => count -= 1,
            _ => sigstruct.signature[5] ^= 1,
        }
        let Addresses(base) = Addresses::new();
        let file = kernel().open().unwrap();
        create(&file, &spec, base, at::SIZE).unwrap();
        all[..count].iter().for_each(|page| add(&file, page).0.unwrap());
        assert_eq!(init(&file, &sigstruct), Err(libc::EPERM));
        assert!(file.last_refusal().unwrap().contains(word), "{:?}", file.last_refusal());
        assert_eq!(file.mrenclave(), None);
    }
}

#[test]
fn a_tcs_that_eadd_refuses_takes_the_enclave_apart() {
    let mut spec = Spec::new(Entry::Leaf);
    spec.tcs = |tcs| tcs.cssa = 1;
    let all = pages(&spec);
    let file = kernel().open().unwrap();
    create(&file, &spec, Addresses::new().0, at::SIZE).unwrap();
    let refused = all.iter().find_map(|page| add(&file, page).0.err());
    assert_eq!(refused, Some(libc::EIO));
    assert_eq!(init(&file, &sign(&spec, &all)), Err(libc::EINVAL));
}

#[test]
fn nothing_is_mapped_with_more_than_it_was_added_with() {
    let loaded = Loaded::on(&kernel());
    assert_eq!(loaded.map(at::SPARE, 1, R | W | X), Err(libc::EACCES));
    assert_eq!(loaded.protect(at::SPARE, R | X), Err(libc::EACCES));
    assert_eq!(loaded.protect(at::SPARE, R), Ok(()));
    assert_eq!(loaded.map(at::SIZE, 1, R), Err(libc::EACCES), "beyond ELRANGE");
    assert_eq!(loaded.map(at::SIZE - PAGE, 2, R), Err(libc::EINVAL));
    assert_eq!(loaded.map(EMPTY, 1, R | W | X), Ok(()), "there is no page");
}

#[test]
fn pages_are_added_when_the_enclave_touches_them() {
    let loaded = Loaded::on(&kernel());
    let accept = |offset| loaded.accept(offset, REG | R | W | PENDING);
    let nothing = accept(EMPTY).unwrap_err();
    assert_eq!((nothing.0, nothing.1 & PF_SGX), (PAGE_FAULT, 0), "nothing is mapped");
    loaded.map(EMPTY, 3, R | W).unwrap();
    assert_eq!(accept(EMPTY), Ok(0));
    assert_eq!(accept(EMPTY), Ok(ErrorCode::PageAttributesMismatch as u64), "it is there");
    assert_eq!(accept(EMPTY + PAGE), Ok(0));
    assert!(accept(EMPTY + 3 * PAGE).is_err(), "beyond the mapping");
    // An access to a page that was not accepted adds it, and faults.
    for (mapped, cause) in [(R, 0), (R | W, PF_SGX)] {
        let touching = load(&kernel(), Entry::Touch, R | W);
        touching.map(EMPTY, 1, mapped).unwrap();
        let fault = touching.touch(EMPTY);
        assert_eq!((fault.0, fault.1 & PF_SGX), (PAGE_FAULT, cause));
    }
}

#[test]
fn without_sgx2_nothing_is_added_or_changed() {
    let old = Loaded::on(&kernel().before_sgx2());
    assert_eq!(old.change(RESTRICT, at::SPARE, 1, R).0, Err(libc::ENOTTY));
    let small = Loaded::on(&kernel().without_sgx2());
    assert_eq!(small.change(RESTRICT, at::SPARE, 1, R).0, Err(libc::ENODEV));
    assert_eq!(
        small.change(RESTRICT, 0, 0, 0).0,
        Err(libc::ENODEV),
        "before the range is looked at"
    );
    assert_eq!(small.remove(at::SPARE).0, Err(libc::ENODEV));
    let accepted = |loaded: &Loaded| {
        loaded.map(EMPTY, 1, R | W).unwrap();
        loaded.accept(EMPTY, REG | R | W | PENDING).unwrap_err()
    };
    let fault = accepted(&old);
    assert_eq!((fault.0, fault.1 & PF_SGX), (PAGE_FAULT, 0), "nothing is added");
    assert_eq!(accepted(&small).0, 13, "there is no such leaf");
}

#[test]
fn permissions_are_restricted_page_by_page_up_to_the_first_failure() {
    let loaded = Loaded::on(&kernel());
    for (offset, pages, what) in
        [(1, 1, R), (at::SPARE, 0, R), (at::SPARE, 1, 8), (at::SPARE, 1, W)]
    {
        assert_eq!(loaded.change(RESTRICT, offset, pages, what).0, Err(libc::EINVAL));
    }
    let (done, change) = loaded.change(RESTRICT, at::SPARE, 2, R);
    assert_eq!((done, change.count, change.result), (Ok(()), 2 * PAGE, 0));
    let mut counted = Change { count: 1, ..change };
    assert_eq!(ioctl(&loaded.file, RESTRICT, &mut counted), Err(libc::EINVAL));
    assert_eq!(loaded.accept(at::SPARE, REG | R | PR), Ok(0));
    assert_eq!(loaded.accept(at::SPARE + PAGE, REG | R | PR), Ok(0));
    // After the spare pages there are none.
    let (done, change) = loaded.change(RESTRICT, at::SPARE + 3 * PAGE, 2, R);
    assert_eq!((done, change.count, change.result), (Err(libc::EFAULT), PAGE, 0));
    assert_eq!(loaded.change(RESTRICT, at::THREADS, 1, R).0, Err(libc::EINVAL), "a TCS");
    // EMODPR does not change a page that waits for EACCEPT.
    let touching = load(&kernel(), Entry::Touch, R | W);
    touching.map(EMPTY, 1, R | W).unwrap();
    touching.touch(EMPTY);
    let (done, change) = touching.change(RESTRICT, EMPTY, 1, R);
    let not_modifiable = ErrorCode::PageNotModifiable as u64;
    assert_eq!((done, change.count, change.result), (Err(libc::EFAULT), 0, not_modifiable));
}

#[test]
fn a_page_is_removed_once_the_enclave_has_accepted_it() {
    let loaded = Loaded::on(&kernel());
    let spare = at::SPARE;
    assert_eq!(loaded.remove(spare), (Err(libc::EPERM), 0), "it was not trimmed");
    assert_eq!(loaded.change(MODIFY, spare, 1, 1 << 8).0, Err(libc::EINVAL));
    assert_eq!(loaded.change(MODIFY, spare, 1, PageType::Reg as u64).0, Err(libc::EINVAL));
    // SAFETY: this is a page of the enclave, which simulated hardware does not hide.
    unsafe { (loaded.page(spare) as *mut u64).write_volatile(7) };
    let (done, change) = loaded.change(MODIFY, spare, 1, PageType::Trim as u64);
    assert_eq!((done, change.count), (Ok(()), PAGE));
    assert_eq!(loaded.remove(spare), (Err(libc::EPERM), 0), "it was not accepted");
    assert_eq!(loaded.accept(spare, TRIM | MODIFIED), Ok(0));
    assert_eq!(loaded.remove(spare), (Ok(()), PAGE));
    assert_eq!(loaded.remove(spare), (Err(libc::EFAULT), 0));
    assert_eq!(loaded.accept(spare, REG | R | W | PENDING), Ok(0), "it is still mapped");
    // SAFETY: as above.
    assert_eq!(unsafe { (loaded.page(spare) as *const u64).read_volatile() }, 0);
}

#[test]
fn a_change_that_was_not_tracked_is_not_accepted() {
    let loaded =
        Loaded::on(&with_fault(Fault::Untracked, |event| matches!(event, Event::Restrict(_))));
    loaded.change(RESTRICT, at::SPARE, 1, R).0.unwrap();
    let accept = || loaded.accept(at::SPARE, REG | R | PR);
    assert_eq!(accept(), Ok(ErrorCode::NotTracked as u64));
    loaded.change(RESTRICT, at::SPARE, 1, R).0.unwrap();
    assert_eq!(accept(), Ok(0));
}

#[test]
fn one_call_at_a_time_is_made_for_an_enclave() {
    let barrier = Arc::new(Barrier::new(2));
    let inside = barrier.clone();
    let armed = AtomicBool::new(true);
    let kernel = kernel().inject(Arc::new(move |event: &Event| {
        if matches!(event, Event::Restrict(_)) && armed.swap(false, Ordering::Relaxed) {
            inside.wait();
            inside.wait();
        }
        None
    }));
    let loaded = Loaded::on(&kernel);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| loaded.change(RESTRICT, at::SPARE, 1, R).0);
        barrier.wait();
        assert_eq!(loaded.change(RESTRICT, at::SPARE, 1, R).0, Err(libc::EBUSY));
        barrier.wait();
        assert_eq!(first.join().unwrap(), Ok(()));
    });
}

#[test]
fn adding_pages_fails_when_the_epc_is_full() {
    let spec = Spec::new(Entry::Leaf);
    let all = pages(&spec);
    let file = kernel().with_epc(2).open().unwrap();
    create(&file, &spec, Addresses::new().0, at::SIZE).unwrap();
    let added: Vec<_> = all.iter().take(3).map(|page| add(&file, page).0).collect();
    assert_eq!(added, [Ok(()), Ok(()), Err(libc::ENOMEM)]);

    let loaded = Loaded::on(&kernel().with_epc(all.len() + 1));
    loaded.map(EMPTY, 2, R | W).unwrap();
    assert_eq!(loaded.accept(EMPTY, REG | R | W | PENDING), Ok(0));
    let fault = loaded.accept(EMPTY + PAGE, REG | R | W | PENDING).unwrap_err();
    assert_eq!(fault.0, PAGE_FAULT, "SIGBUS is told as a page fault");
}

#[test]
fn injected_faults_replace_the_results_of_calls() {
    let refused = |at: fn(&Event) -> bool| with_fault(Fault::Refused(libc::EAGAIN), at);
    let error = refused(|event| *event == Event::Open).open().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    let loaded = Loaded::on(&refused(|event| matches!(event, Event::Restrict(_))));
    let (done, change) = loaded.change(RESTRICT, at::SPARE, 2, R);
    assert_eq!((done, change.count), (Err(libc::EAGAIN), 0));
    let partly = Fault::Partly { pages: 1, errno: libc::EAGAIN };
    let loaded = Loaded::on(&with_fault(partly, |event| matches!(event, Event::Restrict(_))));
    let (done, change) = loaded.change(RESTRICT, at::SPARE, 2, R);
    assert_eq!((done, change.count), (Err(libc::EAGAIN), PAGE));
    assert_eq!(loaded.accept(at::SPARE, REG | R | PR), Ok(0));
}
