use super::*;
use twine_engine::{EngineConfig, Limits, configuration};

fn run(text: &str) -> ScriptResult {
    let config = configuration(&Limits::default(), &EngineConfig::default());
    let script = Script { group: SHARING.into(), name: "test.wast".into(), text: text.into() };
    Runner::new(config).unwrap().run(&script)
}

/// Asserts that each of these commands fails after the setup.
#[track_caller]
fn all_fail(setup: &str, commands: &[&str]) {
    for command in commands {
        let result = run(&format!("{setup}\n{command}"));
        assert_eq!((result.passed, result.failed.len()), (0, 1), "{command}: {result:?}");
    }
}

const MODULE: &str = r#"(module
    (func (export "one") (result i32) i32.const 1)
    (func (export "nan") (result f32) f32.const nan:0x200000)
    (func (export "same") (param externref) (result externref) local.get 0)
    (func (export "lanes") (result v128) v128.const f32x4 1 nan:0x400001 -0 0)
    (func (export "trap") unreachable)
    (tag $t) (func (export "throw") throw $t)
    (func $deep (export "deep") (call $deep) (call $deep)))"#;

#[test]
fn assertions_that_hold_pass_and_are_counted() {
    let result = run(&format!(
        r#"{MODULE}
        (assert_return (invoke "one") (i32.const 1))
        (assert_return (invoke "one") (either (i32.const 2) (i32.const 1)))
        (assert_return (invoke "nan") (f32.const nan:0x200000))
        (assert_return (invoke "same" (ref.extern 7)) (ref.extern 7))
        (assert_return (invoke "same" (ref.null extern)) (ref.null extern))
        (assert_return (invoke "lanes") (v128.const f32x4 1 nan:arithmetic -0 0))
        (assert_trap (invoke "trap") "unreachable")
        (assert_exhaustion (invoke "deep") "call stack exhausted")
        (assert_exception (invoke "throw"))
        (assert_invalid (module (func (result i32))) "type mismatch")
        (assert_malformed (module quote "(func") "unexpected end")
        (assert_malformed (module binary "\00asm") "unexpected end")
        (assert_unlinkable (module (import "no" "thing" (func))) "unknown import")
        (assert_trap (module (func $f unreachable) (start $f)) "unreachable")
        (module definition $d (global (export "g") i32 (i32.const 5)))
        (module instance $i $d)
        (assert_return (get $i "g") (i32.const 5))
        (register "i" $i)
        (module (import "i" "g" (global i32)) (export "h" (global 0)))
        (assert_return (get "h") (i32.const 5))"#
    ));
    assert_eq!((result.passed, &result.failed[..]), (16, &[][..]));
}

#[test]
fn assertions_that_do_not_hold_fail() {
    all_fail(
        MODULE,
        &[
            r#"(assert_return (invoke "one") (i32.const 2))"#,
            r#"(assert_return (invoke "one") (i64.const 1))"#,
            r#"(assert_return (invoke "one"))"#,
            r#"(assert_return (invoke "one") (either (i32.const 2) (i32.const 3)))"#,
            r#"(assert_return (invoke "nan") (f32.const nan:canonical))"#,
            r#"(assert_return (invoke "nan") (f32.const nan:arithmetic))"#,
            r#"(assert_return (invoke "same" (ref.extern 7)) (ref.extern 8))"#,
            r#"(assert_return (invoke "same" (ref.extern 7)) (ref.null))"#,
            r#"(assert_return (invoke "lanes") (v128.const f32x4 1 nan:canonical -0 0))"#,
            r#"(assert_return (invoke "lanes") (v128.const f32x4 1 nan:arithmetic 0 0))"#,
            r#"(assert_return (invoke "trap"))"#,
            r#"(assert_return (invoke "nothing"))"#,
            r#"(assert_trap (invoke "one") "unreachable")"#,
            r#"(assert_trap (invoke "trap") "integer divide by zero")"#,
            r#"(assert_exhaustion (invoke "trap") "call stack exhausted")"#,
            r#"(assert_exception (invoke "trap"))"#,
            r#"(assert_exception (invoke "one"))"#,
            r#"(assert_invalid (module (func)) "type mismatch")"#,
            r#"(assert_malformed (module quote "(func)") "unexpected token")"#,
            r#"(assert_unlinkable (module (func)) "unknown import")"#,
            r#"(assert_unlinkable (module (func $f unreachable) (start $f)) "unreachable")"#,
            r#"(assert_trap (module (func)) "unreachable")"#,
            r#"(invoke "trap")"#,
            r#"(module (import "no" "thing" (func)))"#,
            r#"(module instance $i $none)"#,
        ],
    );
}

#[test]
fn withdrawn_assertions_are_counted_separately() {
    let result = run(r#"
        (assert_invalid (module (memory 1) (memory 1)) "multiple memories")
        (assert_invalid (module (func (result i32))) "type mismatch")"#);
    assert_eq!(
        (result.passed, &result.superseded[..], result.failed.len()),
        (1, &["2".into()][..], 0)
    );
}

#[test]
fn after_a_failure_the_rest_of_a_script_still_runs() {
    let result = run(&format!(
        r#"{MODULE}
        (assert_return (invoke "one") (i32.const 2))
        (assert_return (invoke "one") (i32.const 1))"#
    ));
    assert_eq!((result.passed, result.failed.len()), (1, 1));
}

#[test]
fn a_script_that_cannot_be_read_fails() {
    assert_eq!(run("(module").failed.len(), 1);
    assert_eq!(run("(assert_return)").failed.len(), 1);
}

#[test]
fn assertions_of_threads_count() {
    let script = |expected: u32| {
        format!(
            r#"(module $m (memory (export "shared") 1 1 shared))
            (register "mem" $m)
            (thread $a (shared (module $m))
                (register "mem" $m)
                (module (memory (import "mem" "shared") 1 1 shared)
                    (func (export "set") (i32.atomic.store (i32.const 0) (i32.const 42)))
                    (func (export "get") (result i32) (i32.atomic.load (i32.const 0))))
                (invoke "set")
                (assert_return (invoke "get") (i32.const {expected})))
            (wait $a)
            (module (memory (import "mem" "shared") 1 1 shared)
                (func (export "get") (result i32) (i32.atomic.load (i32.const 0))))
            (assert_return (invoke "get") (i32.const 42))"#
        )
    };
    let result = run(&script(42));
    assert_eq!((result.passed, &result.failed[..]), (2, &[][..]));
    let result = run(&script(43));
    assert_eq!((result.passed, result.failed.len()), (1, 1));
}
