;; Computes a secret, spreads it over its memory, right beside what it gives to the host and
;; takes from it, makes every kind of call, and checks its memory and the results.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_res_get" (func $clock_res_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_sync" (func $fd_sync (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  (memory (export "memory") 8 65536)
  (global $seed (mut i64) (i64.const 0))
  (global $one (mut f64) (f64.const 1))
  (global $three (mut f64) (f64.const 3))
  (global $tiny (mut f64) (f64.const 0x1p-1074))
  (global $third (mut f32) (f32.const 3))
  (global $last (mut i64) (i64.const 0))
  ;; The piece of text that is written, 10 bytes, completed in each round.
  (data $text "public 00\n")

  (func $step (param $x i64) (result i64)
    (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
    (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
    (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))

  ;; Writes the secret to $at, or compares it with what is there.
  (func $secret (param $at i32) (param $write i32)
    (local $x i64) (local $i i32) (local $word i64)
    (local.set $x (global.get $seed))
    (local.set $i (i32.const 512))
    (loop $next
      (local.set $x (call $step (local.get $x)))
      (local.set $word (i64.mul (local.get $x) (i64.const 0x2545f4914f6cdd1d)))
      (if (local.get $write)
        (then (i64.store align=1 (local.get $at) (local.get $word)))
        (else
          (if (i64.ne (i64.load align=1 (local.get $at)) (local.get $word))
            (then (call $proc_exit (i32.const 90))))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $next (local.get $i))))

  ;; All copies: the texts and buffers between them are given to the host.
  (func $copies (param $write i32)
    (local $i i32)
    (call $secret (i32.const 0x1000) (local.get $write))
    ;; text at 0x2000, 10 bytes
    (call $secret (i32.const 0x200a) (local.get $write))
    ;; what is read comes to 0x4100, 61 bytes
    (call $secret (i32.const 0x3100) (local.get $write))
    (call $secret (i32.const 0x413d) (local.get $write))
    (local.set $i (i32.const 0x10000))
    (loop $next
      (call $secret (local.get $i) (local.get $write))
      (local.set $i (i32.add (local.get $i) (i32.const 0x10000)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 0x80000)))))

  (func $floats
    (if (i64.ne (i64.reinterpret_f64 (f64.div (global.get $one) (global.get $three)))
                (i64.const 0x3fd5555555555555))
      (then (call $proc_exit (i32.const 91))))
    (if (i64.ne (i64.reinterpret_f64 (f64.add (global.get $tiny) (global.get $tiny)))
                (i64.const 2))
      (then (call $proc_exit (i32.const 91))))
    (if (i32.ne (i32.reinterpret_f32 (f32.sqrt (global.get $third))) (i32.const 0x3fddb3d7))
      (then (call $proc_exit (i32.const 91)))))

  (func $strings
    ;; Sizes are the host's to choose: it wrote the launch request.
    (drop (call $args_sizes_get (i32.const 0x10) (i32.const 0x14)))
    (if (i32.and (i32.lt_u (i32.load (i32.const 0x10)) (i32.const 64))
                 (i32.lt_u (i32.load (i32.const 0x14)) (i32.const 1024)))
      (then (drop (call $args_get (i32.const 0x6000) (i32.const 0x6400)))))
    (drop (call $environ_sizes_get (i32.const 0x10) (i32.const 0x14)))
    (if (i32.and (i32.lt_u (i32.load (i32.const 0x10)) (i32.const 64))
                 (i32.lt_u (i32.load (i32.const 0x14)) (i32.const 1024)))
      (then (drop (call $environ_get (i32.const 0x6000) (i32.const 0x6400))))))

  (func $clocks
    (local $id i32)
    (loop $next
      (drop (call $clock_res_get (local.get $id) (i32.const 0x20)))
      (if (i32.eqz (call $clock_time_get (local.get $id) (i64.const 1) (i32.const 0x20)))
        (then
          (if (i32.eq (local.get $id) (i32.const 1))
            (then
              ;; The monotonic clock went back.
              (if (i64.lt_u (i64.load (i32.const 0x20)) (global.get $last))
                (then (call $proc_exit (i32.const 92))))
              (global.set $last (i64.load (i32.const 0x20)))))))
      (local.set $id (i32.add (local.get $id) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $id) (i32.const 4)))))

  (func $write (param $fd i32)
    (i32.store (i32.const 0) (i32.const 0x2000))
    (i32.store (i32.const 4) (i32.const 10))
    (if (i32.eqz (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
      (then
        (if (i32.gt_u (i32.load (i32.const 8)) (i32.const 10))
          (then (call $proc_exit (i32.const 93)))))))

  (func $read
    (local $i i32)
    (memory.fill (i32.const 0x4100) (i32.const 0xee) (i32.const 61))
    (i32.store (i32.const 0) (i32.const 0x4100))
    (i32.store (i32.const 4) (i32.const 61))
    (if (i32.eqz (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (then (local.set $i (i32.load (i32.const 8)))))
    (if (i32.gt_u (local.get $i) (i32.const 61)) (then (call $proc_exit (i32.const 94))))
    ;; What was not read was not written.
    (loop $next
      (if (i32.lt_u (local.get $i) (i32.const 61))
        (then
          (if (i32.ne (i32.load8_u (i32.add (i32.const 0x4100) (local.get $i))) (i32.const 0xee))
            (then (call $proc_exit (i32.const 94))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))))

  (func $poll
    ;; Three subscriptions: 1 microsecond, standard input, standard output.
    (memory.fill (i32.const 0x7000) (i32.const 0) (i32.const 144))
    (i32.store (i32.const 0x7010) (i32.const 1))
    (i64.store (i32.const 0x7018) (i64.const 1000))
    (i32.store8 (i32.const 0x7038) (i32.const 1))
    (i32.store8 (i32.const 0x7068) (i32.const 2))
    (i32.store (i32.const 0x7070) (i32.const 1))
    (i32.store (i32.const 8) (i32.const 0))
    (if (i32.eqz (call $poll_oneoff (i32.const 0x7000) (i32.const 0x7200) (i32.const 3) (i32.const 8)))
      (then
        (if (i32.or (i32.eqz (i32.load (i32.const 8)))
                    (i32.gt_u (i32.load (i32.const 8)) (i32.const 3)))
          (then (call $proc_exit (i32.const 95)))))))

  (func $grow
    (local $page i32)
    (local.set $page (memory.grow (i32.const 1)))
    (if (i32.ne (local.get $page) (i32.const -1))
      (then
        (local.set $page (i32.shl (local.get $page) (i32.const 16)))
        (if (i64.ne (i64.or (i64.load (local.get $page)) (i64.load offset=65528 (local.get $page)))
                    (i64.const 0))
          (then (call $proc_exit (i32.const 96))))
        (memory.copy (local.get $page) (i32.const 0x1000) (i32.const 4096))
        (call $secret (local.get $page) (i32.const 0))
        ;; To lower addresses and overlapping, and back.
        (memory.copy (i32.add (local.get $page) (i32.const 7)) (local.get $page) (i32.const 4096))
        (call $secret (i32.add (local.get $page) (i32.const 7)) (i32.const 0)))))

  ;; Reads 4096 bytes at $at of a file to 0x8000; whether it got them.
  (func $read_block (param $fd i32) (param $at i64) (result i32)
    (memory.fill (i32.const 0x8000) (i32.const 0xee) (i32.const 4096))
    (i32.store (i32.const 0) (i32.const 0x8000))
    (i32.store (i32.const 4) (i32.const 4096))
    (if (i32.eqz (call $fd_pread (local.get $fd) (i32.const 0) (i32.const 1) (local.get $at) (i32.const 8)))
      (then (return (i32.eq (i32.load (i32.const 8)) (i32.const 4096)))))
    (i32.const 0))

  ;; In the first mount: reads the file "g", whose blocks hold their number in each word, and writes
  ;; the secret to the file "f" and reads it back. A call may fail; what is read must be true.
  (func $files
    (local $fd i32) (local $i i32) (local $word i32)
    (i32.store8 (i32.const 0x7300) (i32.const 103))
    (if (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 0x7300) (i32.const 1)
          (i32.const 0) (i64.const 0x7f) (i64.const 0) (i32.const 0) (i32.const 0x7304)))
      (then
        (local.set $fd (i32.load (i32.const 0x7304)))
        (loop $blocks
          (if (call $read_block (local.get $fd) (i64.extend_i32_u (i32.shl (local.get $i) (i32.const 12))))
            (then
              (local.set $word (i32.const 0x8000))
              (loop $words
                (if (i64.ne (i64.load (local.get $word)) (i64.extend_i32_u (local.get $i)))
                  (then (call $proc_exit (i32.const 97))))
                (local.set $word (i32.add (local.get $word) (i32.const 8)))
                (br_if $words (i32.lt_u (local.get $word) (i32.const 0x9000))))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $blocks (i32.lt_u (local.get $i) (i32.const 256))))))
    (i32.store8 (i32.const 0x7300) (i32.const 102))
    (if (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 0x7300) (i32.const 1)
          (i32.const 1) (i64.const 0x7f) (i64.const 0) (i32.const 0) (i32.const 0x7304)))
      (then
        (local.set $fd (i32.load (i32.const 0x7304)))
        (local.set $i (i32.const 0))
        (loop $blocks
          (i32.store (i32.const 0) (i32.const 0x1000))
          (i32.store (i32.const 4) (i32.const 4096))
          (if (i32.eqz (call $fd_pwrite (local.get $fd) (i32.const 0) (i32.const 1)
                (i64.mul (i64.extend_i32_u (local.get $i)) (i64.const 40960)) (i32.const 8)))
            (then
              (drop (call $fd_sync (local.get $fd)))
              (if (call $read_block (local.get $fd)
                    (i64.mul (i64.extend_i32_u (local.get $i)) (i64.const 40960)))
                (then (call $secret (i32.const 0x8000) (i32.const 0))))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $blocks (i32.lt_u (local.get $i) (i32.const 12)))))))

  (func (export "_start")
    (local $round i32) (local $i i32) (local $word i64) (local $sum i64)
    (global.set $seed (i64.const 88172645463325252))
    (local.set $i (i32.const 100000))
    (loop $warm
      (global.set $seed (call $step (global.get $seed)))
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $warm (local.get $i)))
    (memory.init $text (i32.const 0x2000) (i32.const 0) (i32.const 10))
    (call $copies (i32.const 1))
    ;; EXTRA
    (loop $rounds
      (i32.store8 (i32.const 0x2007)
        (i32.add (i32.const 48) (i32.div_u (local.get $round) (i32.const 10))))
      (i32.store8 (i32.const 0x2008)
        (i32.add (i32.const 48) (i32.rem_u (local.get $round) (i32.const 10))))
      (call $strings)
      (call $clocks)
      (drop (call $random_get (i32.const 0x40) (i32.const 16)))
      (call $write (i32.const 1))
      (call $write (i32.const 2))
      (call $read)
      (call $poll)
      (drop (call $fd_fdstat_get (i32.const 0) (i32.const 0x80)))
      (drop (call $fd_fdstat_get (i32.const 1) (i32.const 0x80)))
      (drop (call $fd_filestat_get (i32.const 2) (i32.const 0x80)))
      (drop (call $sched_yield))
      (call $grow)
      (call $floats)
      (call $copies (i32.const 0))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $rounds (i32.lt_u (local.get $round) (i32.const 24))))
    (call $proc_exit (i32.const 7))))
