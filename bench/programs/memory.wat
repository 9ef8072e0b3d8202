;; What C kernels leave out: copies of a known length, and memory that grows.
(module
  (memory (export "memory") 64)

  ;; Copies 1 MiB to and fro, that many times; the sum of some of it.
  (func (export "copy") (param $count i32) (result i32)
    (local $at i32) (local $sum i32)
    (loop $fill
      (i32.store (local.get $at) (i32.mul (local.get $at) (i32.const 0x9e3779b1)))
      (br_if $fill
        (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 4)))
          (i32.const 0x100000))))
    (loop $again
      (if (local.get $count)
        (then
          (memory.copy (i32.const 0x200000) (i32.const 0) (i32.const 0x100000))
          (memory.copy (i32.const 8) (i32.const 0x200000) (i32.const 0xffff8))
          (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 0x80000))))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $again))))
    (local.get $sum))

  ;; Grows by that many pages of 64 KiB, one at a time, and writes to each page of 4 KiB.
  (func (export "grow") (param $count i32) (result i32)
    (local $at i32) (local $end i32)
    (loop $again
      (if (local.get $count)
        (then
          (local.set $at (i32.shl (memory.grow (i32.const 1)) (i32.const 16)))
          (local.set $end (i32.add (local.get $at) (i32.const 0x10000)))
          (loop $touch
            (i32.store (local.get $at) (i32.const 1))
            (br_if $touch
              (i32.ne
                (local.tee $at (i32.add (local.get $at) (i32.const 0x1000)))
                (local.get $end))))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $again))))
    (memory.size)))
