;; Writes 256 MiB to standard output.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 3)
  (func (export "_start") (local $left i64)
    (local.set $left (i64.const 268435456))
    (i32.store (i32.const 0) (i32.const 65536))
    (loop $next
      (i32.store (i32.const 4)
        (i32.wrap_i64 (select (local.get $left) (i64.const 131072)
          (i64.lt_u (local.get $left) (i64.const 131072)))))
      (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
      (local.set $left (i64.sub (local.get $left) (i64.extend_i32_u (i32.load (i32.const 8)))))
      (br_if $next (i64.ne (local.get $left) (i64.const 0))))))
