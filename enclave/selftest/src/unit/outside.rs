//! Tests of input from outside: the host's answers, the time, random numbers of the CPU.

use super::{Verdict, ensure, tests};
use crate::setup::on_three;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_protocol::wire::{Clock, PollRecord, Status, poll};
use twine_sgx::{host, time};

tests!(
    the_monotonic_clock_never_goes_back_in_a_million_reads_from_three_threads,
    time_inside_is_the_hosts,
    sleeping_takes_at_least_as_long_as_asked,
    threads_never_get_the_answers_of_others,
    numbers_of_no_stream_are_refused,
    random_bytes_never_come_twice,
    hash_maps_are_seeded_differently,
);

fn status(status: Status) -> String {
    format!("{status:?}")
}

fn the_monotonic_clock_never_goes_back_in_a_million_reads_from_three_threads() -> Verdict {
    let latest = AtomicU64::new(0);
    on_three(|thread| {
        for read in 0..333_334 {
            let before = latest.load(Ordering::SeqCst);
            let now = time(Clock::Monotonic).map_err(status)?;
            ensure!(now >= before, "thread {thread}, read {read}: {now} after {before}");
            latest.fetch_max(now, Ordering::SeqCst);
        }
        Ok(())
    })
}

fn time_inside_is_the_hosts() -> Verdict {
    for clock in [Clock::Monotonic, Clock::Realtime] {
        for round in 0..300 {
            let before = host().time(clock).map_err(status)?;
            let ours = time(clock).map_err(status)?;
            let after = host().time(clock).map_err(status)?;
            // It may be wrong by the delay of the host's answers.
            let near = before.saturating_sub(1_000_000)..=after + 1_000_000;
            ensure!(near.contains(&ours), "{clock:?}: {ours} is not from {before} to {after}");
            // Some times come from the host, and most are interpolated.
            host().poll(&mut [], round % 7 * 500_000).map_err(status)?;
        }
    }
    Ok(())
}

fn sleeping_takes_at_least_as_long_as_asked() -> Verdict {
    for milliseconds in [1, 5, 20] {
        let before = host().time(Clock::Monotonic).map_err(status)?;
        host().poll(&mut [], milliseconds * 1_000_000).map_err(status)?;
        let after = host().time(Clock::Monotonic).map_err(status)?;
        let slept = after - before;
        ensure!(slept >= milliseconds * 1_000_000, "{slept} ns, not {milliseconds} ms");
    }
    Ok(())
}

/// Each thread asks for other streams. Requests and answers pass through host memory.
fn threads_never_get_the_answers_of_others() -> Verdict {
    on_three(|thread| {
        let count = 100 + thread;
        for round in 0..3_000 {
            let stream = |at: usize| (1_000_000 * (thread + 1) + at) as u64;
            let ask = |at| PollRecord { stream: stream(at), events: poll::READ, bytes: 0 };
            let mut records: Vec<PollRecord> = (0..count).map(ask).collect();
            // One of them is ready, at a different index for each thread.
            let ready = 7 * thread + round % 7;
            records[ready] = PollRecord { stream: 2, events: poll::WRITE, bytes: 0 };
            host().poll(&mut records, 0).map_err(status)?;
            for (at, record) in records.iter().enumerate() {
                let (expected, of) =
                    if at == ready { (poll::WRITE, 2) } else { (poll::BAD, stream(at)) };
                ensure!(
                    record.events & (poll::WRITE | poll::BAD) == expected && record.stream == of,
                    "thread {thread}, round {round}: record {at} is {record:?}"
                );
            }
        }
        Ok(())
    })
}

fn numbers_of_no_stream_are_refused() -> Verdict {
    for stream in [3, 100, u64::MAX] {
        let read = host().read(stream, &mut [0; 8]);
        ensure!(read == Err(Status::BadStream), "reading {stream}: {read:?}");
        let written = host().write(stream, &[0; 8]);
        ensure!(written == Err(Status::BadStream), "writing {stream}: {written:?}");
        let kind = host().stream_kind(stream);
        ensure!(kind == Err(Status::BadStream), "the kind of {stream}: {kind:?}");
    }
    Ok(())
}

fn random_bytes_never_come_twice() -> Verdict {
    const DRAWS: usize = 20_000;
    let all = Mutex::new((HashSet::new(), 0_usize));
    on_three(|thread| {
        for draw in 0..DRAWS {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
            let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
            let mut all = all.lock().map_err(|_| "a thread panicked")?;
            all.1 += ones as usize;
            ensure!(all.0.insert(bytes), "thread {thread}, draw {draw}: {bytes:?} again");
        }
        Ok(())
    })?;
    // Half of the bits are ones, within ten standard deviations.
    let bits = 3 * DRAWS * 128;
    let ones = all.into_inner().map_err(|_| "a thread panicked")?.1;
    let far = 10 * (bits as f64).sqrt() as usize / 2;
    ensure!(ones.abs_diff(bits / 2) < far, "{ones} of {bits} bits are ones");
    Ok(())
}

fn hash_maps_are_seeded_differently() -> Verdict {
    let hashes = Mutex::new(HashSet::new());
    on_three(|_| {
        let hash = RandomState::new().hash_one("twine");
        let new = hashes.lock().map_err(|_| "a thread panicked")?.insert(hash);
        ensure!(new, "the hash {hash:#x} came twice");
        Ok(())
    })
}
