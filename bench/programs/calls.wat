;; Calls of WASI, as often as they are told to.
(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  ;; A line in two pieces, as the C library's `printf` writes it.
  (data (i32.const 0) "\20\00\00\00\04\00\00\00\24\00\00\00\01\00\00\00")
  (data (i32.const 32) "line\n")

  ;; An error ends the program: it can't be taken for a quick call.
  (func $check (param $errno i32)
    (if (local.get $errno) (then unreachable)))

  ;; One host call, which does nothing but let others run.
  (func (export "sched_yield") (param $count i32)
    (loop $again
      (if (local.get $count)
        (then
          (call $check (call $sched_yield))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $again)))))

  ;; One host call: the monotonic clock.
  (func (export "clock_time_get") (param $count i32)
    (loop $again
      (if (local.get $count)
        (then
          (call $check (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 64)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $again)))))

  ;; No host call: what is asked for is inside.
  (func (export "args_sizes_get") (param $count i32)
    (loop $again
      (if (local.get $count)
        (then
          (call $check (call $args_sizes_get (i32.const 64) (i32.const 68)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $again)))))

  ;; One host call with a buffer: a line to the standard output.
  (func (export "fd_write") (param $count i32)
    (loop $again
      (if (local.get $count)
        (then
          (call $check
            (call $fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 64)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $again))))))
