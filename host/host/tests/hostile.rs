//! A hostile host around the real image, on software SGX.
//!
//! A program in the enclave computes a secret and makes every kind of call. The host answers with
//! wrong pointers, lengths, counts and codes, changes shared memory while the enclave reads it, and
//! enters out of order. Each case runs in a child process, so that the test sees an abort, a fault
//! or a hang. Only a clean outcome, a typed error or an exception of the enclave may follow; the
//! program's report must be true; and no word of the secret may be in the memory of the process
//! outside of the enclave.
//!
//! - `answers`: the host of `twine-host` with an interposer that lies.
//! - `volume`: the same for a program that keeps the secret in a volume.
//! - `raw`, `entries`: a host of the tests' own, which loads, enters and serves the enclave itself:
//!   page permissions, unmeasured pages, memory that changes, EDP's calls, registers, order.
//! - `scan`: the search. Software SGX leaves words of an interrupted enclave on its alternate
//!   stacks, where hardware has the SSA: these are counted separately, and are no finding.
//! - `child`: processes, endings, verdicts. `program`: the code that runs inside.
//!
//! The image is the one that `cargo xtask image` builds, or that of `TWINE_IMAGE`.
//!
//! These tests can't show side channels, or properties of the processor that software SGX lacks.
//! Code in front of the image's entry sets the flags and the stack pointer of an entry, since the
//! simulator does not pass on all of the host's.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "hostile/answers.rs"]
mod answers;
#[path = "hostile/child.rs"]
mod child;
#[path = "hostile/entries.rs"]
mod entries;
#[path = "hostile/program.rs"]
mod program;
#[path = "hostile/raw.rs"]
mod raw;
#[path = "hostile/scan.rs"]
mod scan;
#[path = "hostile/volume.rs"]
mod volume;

use answers::Case;

/// Returns the cases of a group, named like its test.
fn cases(group: &str) -> Vec<Case> {
    match group {
        "controls" => answers::controls(),
        "copied_once" => answers::copied_once(),
        "transfer_buffers" => answers::transfer_buffers(),
        "codes" => answers::codes(),
        "counts" => answers::counts(),
        "poll_records" => answers::poll_records(),
        "clocks" => answers::clocks(),
        "others" => answers::others(),
        "noise" => answers::noise(),
        "mappings" => volume::mappings(),
        "storages" => volume::storages(),
        "unread" => volume::unread(),
        "tampering" => volume::tampering(),
        "pages" => entries::pages(),
        "changing_memory" => entries::changing_memory(),
        "usercalls" => entries::usercalls(),
        "registers" => entries::registers(),
        "state" => entries::state(),
        "order" => entries::order(),
        "exceptions" => entries::exceptions(),
        _ => Vec::new(),
    }
}

/// This is not a test: the others run it in a child process.
#[test]
fn child() {
    child::run(cases);
}

fn check(group: &str) {
    let summary = child::group(group);
    println!(
        "{group}: {} cases, {} MB searched, {} words in frames of software SGX",
        summary.cases, summary.searched, summary.frames
    );
    for (ending, count) in &summary.endings {
        println!("{count:6} {ending}");
    }
    assert!(summary.cases > 0, "{group} has no cases");
    let problems: Vec<String> =
        summary.problems.iter().map(|(case, problem)| format!("{case}: {problem}")).collect();
    assert!(problems.is_empty(), "{group}:\n{}", problems.join("\n"));
}

#[test]
fn the_search_finds_only_a_secret_that_leaked() {
    check("controls");
}

#[test]
fn no_bad_address_or_length_of_the_launch_request_or_the_program_is_accepted() {
    check("copied_once");
}

#[test]
fn no_bad_transfer_buffer_is_accepted() {
    check("transfer_buffers");
}

#[test]
fn no_code_or_value_does_more_than_fail_a_call() {
    check("codes");
}

#[test]
fn no_count_above_the_requested_one_is_accepted() {
    check("counts");
}

#[test]
fn poll_records_are_checked_for_possible_values() {
    check("poll_records");
}

#[test]
fn no_clock_breaks_a_program() {
    check("clocks");
}

#[test]
fn page_permissions_are_taken_from_the_processor_alone() {
    check("others");
}

#[test]
fn random_results_never_break_the_enclave() {
    check("noise");
}

#[test]
fn no_bad_mapping_of_a_volume_is_read() {
    check("mappings");
}

#[test]
fn no_answer_about_the_file_of_a_volume_breaks_a_program() {
    check("storages");
}

#[test]
fn wrong_reports_and_reads_of_unread_pages_give_errors_and_never_wrong_data() {
    check("unread");
}

#[test]
fn a_volume_that_changes_under_a_program_gives_errors_and_never_wrong_data() {
    check("tampering");
}

#[test]
fn the_state_of_pages_is_the_processors_and_no_page_is_read_before_it_is_written() {
    check("pages");
}

#[test]
fn memory_that_changes_between_check_and_use_breaks_nothing() {
    check("changing_memory");
}

#[test]
fn no_answer_to_a_call_of_edp_breaks_the_enclave() {
    check("usercalls");
}

#[test]
fn no_register_of_an_entry_is_trusted() {
    check("registers");
}

#[test]
fn no_flag_stack_pointer_or_floating_point_state_of_an_entry_is_kept() {
    check("state");
}

#[test]
fn an_exception_is_taken_from_the_processor_and_handled_once() {
    check("exceptions");
}

#[test]
fn entries_out_of_order_are_refused() {
    check("order");
}
