//! The host's reactions to all answers that Linux's SGX driver can give. The driver is the model of
//! it on software SGX; the host's code is the same as on hardware.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use twine_host::{Access, CodeFile, Error, Image, Report, Resources, Storage, run_modelled};
use twine_protocol::key::{Sealing, VolumeKey};
use twine_protocol::launch::{End, Launch, Mount, Source, VolumeSource};

use sgx_sim::{Device, Event, Fault, Kernel};

/// A program that compiles to a few pages of code, requests the pages of two memories, and exits
/// with 7 if all is right.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.ne (memory.grow (i32.const 40)) (i32.const 1))
        (if (then (call $exit (i32.const 1))))
        (i32.store (i32.const 2600000) (i32.const 7))
        (call $exit (i32.load (i32.const 2600000)))))"#;

fn image(name: &str) -> Image {
    let release = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release");
    Image::open(PathBuf::from(release).join(name)).expect("`cargo xtask image` has built it")
}

fn kernel() -> Kernel {
    Kernel::new(&Device::with_root_secret(*b"a test's machine").unwrap())
}

fn run_on(kernel: Kernel, image: &Image) -> Result<Report, Error> {
    run_with(kernel, image, &launch(), Resources::default())
}

fn launch() -> Launch {
    Launch { arguments: vec!["program".into()], ..Launch::default() }
}

fn run_with(
    kernel: Kernel,
    image: &Image,
    launch: &Launch,
    resources: Resources,
) -> Result<Report, Error> {
    let program = wat::parse_str(PROGRAM).unwrap();
    run_modelled(image, kernel, launch, program, resources)
}

fn run(kernel: Kernel) -> Result<Report, Error> {
    run_on(kernel, &image("twine.sgxs"))
}

fn runs(kernel: Kernel) {
    let report = run(kernel).unwrap();
    assert!(matches!(report.outcome.end, End::Exited { code: 7, .. }), "{:?}", report.outcome.end);
}

/// Returns a kernel whose first `most` events of a kind are faulty, and a counter of these events.
fn faulty(
    fault: Fault,
    most: usize,
    at: impl Fn(&Event) -> bool + Send + Sync + 'static,
) -> (Kernel, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let kernel = kernel().inject(Arc::new(move |event| {
        (at(event) && counted.fetch_add(1, Ordering::Relaxed) < most).then_some(fault)
    }));
    (kernel, count)
}

const RESTRICT: fn(&Event) -> bool =
    |event| matches!(event, Event::Restrict(range) if !range.is_empty());
const ADD: fn(&Event) -> bool = |event| matches!(event, Event::Add(_));
const MAP: fn(&Event) -> bool = |event| matches!(event, Event::Map(_));
const PROTECT: fn(&Event) -> bool = |event| matches!(event, Event::Protect(_));
const AUGMENT: fn(&Event) -> bool = |event| matches!(event, Event::Augment(_));

/// Checks that runs succeed although the driver's first `most` answers to an event are a fault.
fn again(fault: Fault, most: usize, at: fn(&Event) -> bool) {
    let (kernel, count) = faulty(fault, most, at);
    runs(kernel);
    assert!(count.load(Ordering::Relaxed) > most, "it was asked again");
}

#[test]
fn an_honest_driver_is_asked_for_little() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    runs(kernel().inject(Arc::new(move |event: &Event| {
        seen.lock().unwrap().push(event.clone());
        None
    })));
    let events = events.lock().unwrap();
    let count = |at: fn(&Event) -> bool| events.iter().filter(|event| at(event)).count();
    assert_eq!(count(|event| *event == Event::Open), 1);
    assert_eq!(count(|event| *event == Event::Init), 1);
    // An image has at most 10,240 pages, added 64 at a time except where their kind changes.
    let (calls, pages) = (count(ADD), pages(&events));
    assert!(pages <= 10_240 && calls <= pages / 64 + 40, "{pages} pages in {calls} calls");
}

fn pages(events: &[Event]) -> usize {
    let length = |event: &Event| match event {
        Event::Add(range) => (range.end - range.start) as usize,
        _ => 0,
    };
    events.iter().map(length).sum::<usize>() / 4096
}

#[test]
fn calls_that_the_driver_could_not_serve_at_once_are_repeated() {
    // The driver works on some pages, and returns for a signal, or to let other threads run.
    again(Fault::Partly { pages: 3, errno: 0 }, 5, ADD);
    again(Fault::Partly { pages: 0, errno: libc::EINTR }, 5, ADD);
    again(Fault::Partly { pages: 3, errno: libc::EINTR }, 5, ADD);
    again(Fault::Refused(libc::EINTR), 3, |event| *event == Event::Create);
    again(Fault::Refused(libc::EINTR), 3, |event| *event == Event::Init);
    // After a signal, the kernel has restarted the call by itself.
    again(Fault::Restarted { pages: 3 }, 5, ADD);
    // The driver has no page at the moment.
    again(Fault::Refused(libc::ENOMEM), 20, AUGMENT);
    // The driver is writing the page out at the moment.
    again(Fault::Refused(libc::EAGAIN), 3, RESTRICT);
    again(Fault::Refused(libc::EBUSY), 3, RESTRICT);
    again(Fault::Partly { pages: 1, errno: libc::EAGAIN }, 1, RESTRICT);
    again(Fault::Refused(libc::EINTR), 3, RESTRICT);
}

#[test]
fn calls_that_the_driver_always_refuses_end_the_run_with_the_cause() {
    let fails = |fault, at| run(faulty(fault, usize::MAX, at).0);
    for error in [libc::EAGAIN, libc::EFAULT, libc::EIO] {
        let report = fails(Fault::Refused(error), RESTRICT).unwrap();
        assert!(matches!(report.outcome.end, End::Refused { .. }), "{:?}", report.outcome.end);
    }
    let error = fails(Fault::Partly { pages: 0, errno: 0 }, ADD).unwrap_err();
    assert!(error.to_string().contains("no page was added"), "{error}");
    let error = fails(Fault::Refused(libc::ENOMEM), ADD).unwrap_err();
    assert!(matches!(error, Error::NoEpc(_)), "{error}");
    assert!(error.remedy().contains("EPC"), "{}", error.remedy());
    let error = fails(Fault::Refused(libc::EACCES), ADD).unwrap_err();
    assert!(matches!(error, Error::NotPermitted(_)), "{error}");
    let error = fails(Fault::Refused(libc::EACCES), MAP).unwrap_err();
    assert!(matches!(error, Error::NotPermitted(_)), "{error}");
    // EINIT refuses although nothing is wrong with the image.
    for error in [libc::EPERM, libc::EINVAL] {
        let error = fails(Fault::Refused(error), |event| *event == Event::Init).unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error}");
    }
    let error = fails(Fault::Refused(libc::EIO), |event| *event == Event::Init).unwrap_err();
    assert!(matches!(error, Error::System(_)), "{error}");
    let error = fails(Fault::Refused(libc::EACCES), |event| *event == Event::Open).unwrap_err();
    assert!(matches!(error, Error::NoSgx(_)), "{error}");
}

#[test]
fn a_missing_page_is_reported_as_the_cause() {
    // The EPC runs out during loading, and then during the run.
    let error = run(kernel().with_epc(5000)).unwrap_err();
    assert!(matches!(error, Error::NoEpc(_)), "{error}");
    let (kernel, _) = faulty(Fault::Refused(libc::ENOMEM), usize::MAX, AUGMENT);
    let error = run(kernel).unwrap_err();
    assert!(error.to_string().contains("a page can't be added"), "{error}");
}

#[test]
fn an_untracked_change_is_not_accepted() {
    let report = run(faulty(Fault::Untracked, usize::MAX, RESTRICT).0).unwrap();
    assert!(matches!(report.outcome.end, End::Refused { .. }), "{:?}", report.outcome.end);
}

#[test]
fn no_page_is_writable_and_executable_whatever_the_driver_refuses() {
    let path = folder("exclusive").join("code");
    let run = |kernel| {
        let resources = Resources { code: Some(CodeFile::new(&path)), ..Resources::default() };
        let launch = Launch { cache_code: true, ..launch() };
        run_with(kernel, &image("twine.sgxs"), &launch, resources)
    };
    run(kernel()).unwrap();
    let runs = AtomicUsize::new(0);
    // Cached code that can't be loaded is compiled again, into the same pages.
    for at in [PROTECT, RESTRICT, MAP] {
        for number in 0..6 {
            let (both, count) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
            let seen = both.clone();
            let kernel = kernel().inject(Arc::new(move |event: &Event| {
                if let Event::Extended(_, permissions) = event {
                    let both = permissions.contains(sgx_sim::Permissions::RWX);
                    seen.fetch_add(usize::from(both), Ordering::Relaxed);
                }
                let chosen = at(event) && count.fetch_add(1, Ordering::Relaxed) == number;
                chosen.then_some(Fault::Refused(libc::EACCES))
            }));
            let report = run(kernel);
            runs.fetch_add(usize::from(report.is_ok()), Ordering::Relaxed);
            assert_eq!(both.load(Ordering::Relaxed), 0, "{number}: {report:?}");
        }
    }
    assert!(runs.load(Ordering::Relaxed) > 6, "some went on");
}

#[test]
fn page_tables_that_do_not_follow_stop_the_enclave() {
    let report = run(faulty(Fault::Refused(libc::EACCES), usize::MAX, PROTECT).0);
    let refused = |report: &Report| matches!(report.outcome.end, End::Refused { .. });
    assert!(report.as_ref().is_ok_and(refused), "{report:?}");
}

#[test]
fn without_sgx2_the_image_for_it_runs_and_the_others_name_it() {
    for kernel in [kernel().without_sgx2(), kernel().before_sgx2()] {
        let report = run(kernel.clone()).unwrap();
        let End::Refused { cause, remedy } = report.outcome.end else {
            panic!("{:?}", report.outcome.end);
        };
        assert!(cause.contains("SGX2") && remedy.contains("twine-sgx1.sgxs"), "{cause}; {remedy}");
        let report = run_on(kernel, &image("twine-sgx1.sgxs")).unwrap();
        assert!(matches!(report.outcome.end, End::Exited { code: 7, .. }));
    }
    // This image also runs on a machine with SGX2.
    let report = run_on(kernel(), &image("twine-sgx1.sgxs")).unwrap();
    assert!(matches!(report.outcome.end, End::Exited { code: 7, .. }));
}

/// Returns the same machine with that microcode version.
fn at_version(version: u8) -> Kernel {
    let device = Device::with_root_secret(*b"a test's machine").unwrap();
    Kernel::new(&device.security_version(version))
}

/// Returns an empty folder for a test's files.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn code_cached_under_another_microcode_is_not_used() {
    let path = folder("microcode").join("code");
    // Runs the program, and returns the cached code after the run.
    let cached = |version: u8| {
        let resources = Resources { code: Some(CodeFile::new(&path)), ..Resources::default() };
        let image = image("twine.sgxs");
        let launch = Launch { cache_code: true, ..launch() };
        let report = run_with(at_version(version), &image, &launch, resources).unwrap();
        assert!(matches!(report.outcome.end, End::Exited { code: 7, .. }), "{report:?}");
        std::fs::read(&path).unwrap()
    };
    let old = cached(1);
    assert_eq!(cached(1), old, "it is taken");
    let new = cached(2);
    assert_ne!(new, old, "it is made anew");
    assert_eq!(cached(2), new);
    assert_ne!(cached(1), new, "its key is not to be had");
}

#[test]
fn the_first_writable_mount_after_an_update_of_the_microcode_renews_a_volumes_slot() {
    let path = folder("updated").join("v.vol");
    let opens = |version: u8, create: bool, read_only: bool| {
        let storage = Storage::open(&path, Access::Create).unwrap();
        let source = Source::Volume(VolumeSource {
            storage: 0,
            key: VolumeKey::Sealed(Sealing::default()),
            create,
            cache: None,
            main: None,
        });
        let mounts = vec![Mount { guest: "/data".into(), source, read_only }];
        let resources = Resources { storages: vec![storage], ..Resources::default() };
        let launch = Launch { mounts, ..launch() };
        let image = image("twine.sgxs");
        match run_with(at_version(version), &image, &launch, resources).unwrap().outcome.end {
            End::Exited { code: 7, .. } => Ok(()),
            End::Refused { cause, .. } => Err(cause),
            end => panic!("{end:?}"),
        }
    };
    assert_eq!(opens(1, true, false), Ok(()));
    assert_eq!(opens(2, false, true), Ok(()));
    assert_eq!(opens(1, false, false), Ok(()), "a mount for reading changes nothing");
    assert_eq!(opens(2, false, false), Ok(()));
    assert!(opens(1, false, false).is_err(), "its slot is of the newer microcode");
    assert_eq!(opens(2, false, false), Ok(()));
    assert_eq!(opens(3, false, false), Ok(()));
    assert!(opens(2, false, true).is_err());
}
