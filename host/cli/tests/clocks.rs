//! The time that programs get.

mod common;

use common::{Folder, run, twine};
use serde_json::Value;

/// Reads the monotonic clock 100,000 times. Traps if a time is before the last one.
const READER: &str = r#"(module
    (import "wasi_snapshot_preview1" "clock_time_get"
        (func $time (param i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $left i32) (local $last i64)
        (local.set $left (i32.const 100000))
        (loop $again
            (if (call $time (i32.const 1) (i64.const 0) (i32.const 0)) (then (unreachable)))
            (if (i64.lt_u (i64.load (i32.const 0)) (local.get $last)) (then (unreachable)))
            (local.set $last (i64.load (i32.const 0)))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $again (local.get $left)))))"#;

#[test]
fn the_clock_never_goes_back_and_needs_few_host_calls() {
    let folder = Folder::new();
    let program = folder.file("reader.wat", READER);
    let stats = folder.path().join("stats.json");
    let ended =
        run(twine().args(["run", "--quiet", "--stats-json"]).arg(&stats).arg("--").arg(program));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let stats: Value = serde_json::from_slice(&std::fs::read(stats).unwrap()).unwrap();
    let calls = stats["calls"]["clock_time"].as_u64().unwrap();
    // Until the counter's rate is known, each reading is a host call.
    assert!(calls < 50_000, "{calls} host calls for 100,000 times");
}
