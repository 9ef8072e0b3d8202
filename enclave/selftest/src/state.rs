//! Uses the host's state folder: records, and storages that are opened by name.

use crate::setup::on_three;
use std::fmt::Debug;
use twine_boundary::Access;
use twine_protocol::wire::Status;
use twine_selftest::wire::Result as TestResult;
use twine_sgx::host;

/// One step.
struct Step {
    name: &'static str,
    run: fn() -> Result<(), String>,
}

/// Names functions as steps.
macro_rules! steps {
    ($($name:ident),+ $(,)?) => { &[$(Step { name: stringify!($name), run: $name }),+] };
}

/// The steps of the first run on a folder, in their order.
const FIRST: &[Step] = steps!(
    an_absent_record_is_none,
    records_are_read_as_they_were_written,
    records_are_listed,
    a_removed_record_is_absent,
    three_threads_write_records_at_once,
    an_absent_storage_is_missing,
    a_storage_is_made_and_written,
    an_open_storage_is_in_use,
    a_closed_storage_is_removed,
);

/// The steps of a later run on the same folder.
const LATER: &[Step] = steps!(records_were_kept, storages_were_kept);

/// More than two transfer buffers.
const LARGE: usize = 600_001;

/// Limit on the size of a record, in bytes.
const MOST: usize = 1 << 20;

const PAGE: u64 = 4096;

/// Runs the steps of the first run, or of a later one. A step fails with what it got.
pub(crate) fn run(when: &str) -> Result<Vec<TestResult>, String> {
    let steps = match when {
        "first" => FIRST,
        "later" => LATER,
        _ => return Err(format!("there is no run {when:?}")),
    };
    let run = |step: &Step| TestResult {
        group: "state".into(),
        name: step.name.into(),
        failed: (step.run)().err().into_iter().collect(),
        ..TestResult::default()
    };
    Ok(steps.iter().map(run).collect())
}

fn is<T: Debug + PartialEq>(got: T, wanted: T) -> Result<(), String> {
    if got == wanted { Ok(()) } else { Err(format!("{got:?}").chars().take(100).collect()) }
}

fn large() -> Vec<u8> {
    (0..LARGE).map(|at| (at % 251) as u8).collect()
}

fn names(names: &[&str]) -> Result<Vec<String>, Status> {
    Ok(names.iter().map(|&name| name.to_owned()).collect())
}

fn an_absent_record_is_none() -> Result<(), String> {
    is(host().record("absent", MOST), Ok(None))?;
    is(host().remove_record("absent"), Err(Status::Missing))?;
    is(host().records(), names(&[]))
}

fn records_are_read_as_they_were_written() -> Result<(), String> {
    for content in [large(), b"old".to_vec(), Vec::new(), large()] {
        is(host().write_record("large", &content), Ok(()))?;
        is(host().record("large", MOST), Ok(Some(content)))?;
    }
    is(host().write_record("b-2", b"two"), Ok(()))?;
    is(host().write_record("a", b"one"), Ok(()))?;
    is(host().record("large", LARGE - 1), Err(Status::FileTooBig))
}

fn records_are_listed() -> Result<(), String> {
    is(host().records(), names(&["a", "b-2", "large"]))
}

fn a_removed_record_is_absent() -> Result<(), String> {
    is(host().remove_record("b-2"), Ok(()))?;
    is(host().record("b-2", MOST), Ok(None))?;
    is(host().records(), names(&["a", "large"]))
}

fn three_threads_write_records_at_once() -> Result<(), String> {
    on_three(|thread| {
        let name = format!("thread-{thread}");
        for round in 0..20 {
            let content = vec![(3 * round + thread) as u8; LARGE];
            is(host().write_record(&name, &content), Ok(()))?;
            is(host().record(&name, MOST), Ok(Some(content)))?;
        }
        is(host().remove_record(&name), Ok(()))
    })
}

fn an_absent_storage_is_missing() -> Result<(), String> {
    for access in [Access::Read, Access::Write] {
        is(host().open_storage("data", access).map(drop), Err(Status::Missing))?;
    }
    is(host().remove_storage("data"), Err(Status::Missing))
}

fn a_storage_is_made_and_written() -> Result<(), String> {
    for name in ["data", "other"] {
        let mut file =
            host().open_storage(name, Access::Create).map_err(|status| format!("{status:?}"))?;
        is(file.size(), Ok(0))?;
        is(file.resize(16 * PAGE), Ok(()))?;
        is(file.write(PAGE, &[7; PAGE as usize]), Ok(()))?;
        is(file.sync(), Ok(()))?;
        let mut bytes = [0; PAGE as usize];
        is(file.read(PAGE, &mut bytes), Ok(()))?;
        is(bytes, [7; PAGE as usize])?;
        is(file.read(16 * PAGE, &mut bytes), Err(Status::Short))?;
    }
    Ok(())
}

fn an_open_storage_is_in_use() -> Result<(), String> {
    let open = |access| host().open_storage("data", access).map_err(|status| format!("{status:?}"));
    let file = open(Access::Write)?;
    is(host().open_storage("data", Access::Write).map(drop), Err(Status::InUse))?;
    is(host().remove_storage("data"), Err(Status::InUse))?;
    drop(file);
    let mut file = open(Access::Read)?;
    let mut bytes = [0; PAGE as usize];
    is(file.read(PAGE, &mut bytes), Ok(()))?;
    is(bytes, [7; PAGE as usize])?;
    is(file.write(0, &bytes), Err(Status::Denied))
}

fn a_closed_storage_is_removed() -> Result<(), String> {
    is(host().remove_storage("data"), Ok(()))?;
    is(host().open_storage("data", Access::Write).map(drop), Err(Status::Missing))
}

fn records_were_kept() -> Result<(), String> {
    is(host().records(), names(&["a", "large"]))?;
    is(host().record("a", MOST), Ok(Some(b"one".to_vec())))?;
    is(host().record("large", MOST), Ok(Some(large())))
}

fn storages_were_kept() -> Result<(), String> {
    let file = host().open_storage("other", Access::Create);
    let mut file = file.map_err(|status| format!("{status:?}"))?;
    is(file.size(), Ok(16 * PAGE))?;
    let mut bytes = [0; PAGE as usize];
    is(file.read(PAGE, &mut bytes), Ok(()))?;
    is(bytes, [7; PAGE as usize])
}
