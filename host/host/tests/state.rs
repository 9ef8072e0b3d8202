//! The state folder of an enclave, from the enclave's calls to the files, on software SGX; and a
//! hostile host that lies about it.
//!
//! The program in the enclave is `enclave/selftest`. It makes each call in several ways, and reports
//! what came of each step.

mod common;

use common::wire::decode_result;
use common::{say, suite};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_host::{Call, Interposer, Platform, Resources, State, run_interposed};
use twine_protocol::calls::number;
use twine_protocol::launch::{End, Launch};
use twine_protocol::wire::{Status, TRANSFER_BUFFER_SIZE};

/// The folder of a test, which is removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("twine-state-of-enclave-{}-{number}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the answer to the `n`th call (from 0) of a kind; the last argument is the honest one.
type Lie = fn(&Call, u64, (u64, u64)) -> (u64, u64);

/// An interposer that lies about one kind of call.
struct Liar {
    call: u64,
    lie: Lie,
    count: AtomicU64,
}

impl Interposer for Liar {
    fn answer(&self, call: &Call, honest: (u64, u64)) -> (u64, u64) {
        match call.number == self.call {
            true => (self.lie)(call, self.count.fetch_add(1, Ordering::Relaxed), honest),
            false => honest,
        }
    }
}

/// Runs the steps of a first run or a later one on the folder. Returns the steps that failed, with
/// what the enclave got.
fn failed(folder: &Path, when: &str, call: u64, lie: Lie) -> BTreeMap<String, String> {
    let launch = Launch { arguments: vec!["state".into(), when.into()], ..Launch::default() };
    let state = State::open(folder).expect("no other process uses the folder");
    let resources = Resources { state: Some(state), ..Resources::default() };
    let liar = Arc::new(Liar { call, lie, count: AtomicU64::new(0) });
    let platform = Platform::Simulated;
    let report = run_interposed(&suite().image, platform, &launch, Vec::new(), resources, liar)
        .expect("the suite runs to its end");
    let End::Exited { results, .. } = report.outcome.end else {
        panic!("the suite did not run: {:?}", report.outcome.end);
    };
    let steps = results.iter().map(|line| decode_result(line).expect("each line is a result"));
    let failed = steps.filter_map(|mut step| Some((step.name, step.failed.pop()?)));
    failed.collect()
}

fn honest(_: &Call, _: u64, honest: (u64, u64)) -> (u64, u64) {
    honest
}

#[test]
fn records_and_storages_outlive_the_enclave() {
    let folder = Folder::new();
    for when in ["first", "later", "later"] {
        let failed = failed(&folder.0, when, number::nothing, honest);
        assert!(failed.is_empty(), "{when}: {failed:#?}");
    }
    let files = |name| {
        let entries = fs::read_dir(folder.0.join(name)).expect("the folder exists");
        let names = entries.map(|entry| entry.expect("the folder can be read").file_name());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    };
    assert_eq!(files("records"), ["a", "large"]);
    assert_eq!(files("volumes"), ["other.twine"]);
}

/// Puts a name at the start of the transfer buffer, and returns its length.
fn put(call: &Call, name: &str) -> u64 {
    let start = call.arguments[0] as *mut u8;
    // SAFETY: the enclave passes names at the start of its buffer, which is host memory and longer
    // than this name. The thread with this TCS is in this call.
    unsafe { std::ptr::copy_nonoverlapping(name.as_ptr(), start, name.len()) };
    name.len() as u64
}

/// Runs the first run's steps with the lie. The enclave must end by itself, and get `wanted` in the
/// step.
fn lied(call: u64, step: &str, wanted: &str, lie: Lie) {
    let folder = Folder::new();
    let failed = failed(&folder.0, "first", call, lie);
    assert_eq!(failed.get(step).map(String::as_str), Some(wanted), "{call:#x}: {failed:#?}");
}

#[test]
fn an_endless_record_ends_and_is_too_large() {
    let step = "an_absent_record_is_none";
    let lie: Lie = |_, _, _| (Status::Ok.code(), 4096);
    lied(number::record_read, step, "Err(FileTooBig)", lie);
    lied(number::record_read, step, "Err(FileTooBig)", |_, _, _| (0, TRANSFER_BUFFER_SIZE));
}

#[test]
fn counts_larger_than_the_buffer_are_errors() {
    let step = "an_absent_record_is_none";
    lied(number::record_read, step, "Err(Io)", |_, _, _| (0, TRANSFER_BUFFER_SIZE + 1));
    lied(number::record_read, step, "Err(Io)", |_, n, _| (0, u64::MAX - n));
    let step = "records_are_listed";
    lied(number::record_next, step, "Err(Io)", |_, _, _| (0, 129));
    lied(number::record_next, step, "Err(Io)", |_, _, _| (0, u64::MAX));
}

#[test]
fn names_out_of_order_and_impossible_names_are_errors() {
    let step = "records_are_listed";
    lied(number::record_next, step, "Err(Io)", |call, n, _| {
        (0, put(call, if n % 2 == 0 { "b" } else { "a" }))
    });
    lied(number::record_next, step, "Err(Io)", |call, _, _| (0, put(call, "same")));
    lied(number::record_next, step, "Err(Io)", |call, _, _| (0, put(call, "../up")));
    // A list without end, in order.
    lied(number::record_next, step, "Err(Io)", |call, n, _| {
        (0, put(call, &format!("{:012}", n + 1)))
    });
}

#[test]
fn a_number_of_a_storage_means_nothing_to_the_enclave() {
    let step = "a_storage_is_made_and_written";
    let lies: [Lie; 4] = [
        |_, _, _| (0, u64::MAX),
        |_, _, _| (0, 1 << 63),
        |call, _, _| (0, call.elrange.start as u64),
        |_, _, (code, number)| (code, number ^ 0x5555),
    ];
    for lie in lies {
        // The host knows no storage of this number.
        lied(number::storage_open, step, "Err(Invalid)", lie);
    }
    // A host that closes nothing keeps its own locks.
    lied(number::storage_open, step, "Missing", |_, _, _| (Status::Missing.code(), 0));
    lied(number::storage_open, step, "Io", |_, _, _| (u64::MAX, 0));
}

#[test]
fn codes_of_calls_on_the_state_folder_do_no_more_than_fail_a_step() {
    let folder = Folder::new();
    let calls = [
        number::storage_open,
        number::storage_close,
        number::storage_remove,
        number::record_read,
        number::record_write,
        number::record_remove,
        number::record_next,
    ];
    let lies: [Lie; 5] = [
        |_, _, _| (0, 0),
        |_, _, (code, _)| (code, u64::MAX),
        |_, n, _| (n % 20, n),
        |_, _, _| (u64::MAX, u64::MAX),
        |_, n, honest| if n % 3 == 2 { (1, 0) } else { honest },
    ];
    for call in calls {
        // The steps end, whatever they get.
        let failed = lies.map(|lie| failed(&folder.0, "first", call, lie).len());
        say(format_args!("inside: call {call:#x} with lies: {failed:?} steps failed"));
    }
}
