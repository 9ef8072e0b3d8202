//! Small programs for containers.

/// The imports that the programs use, and a memory with a vector at 0 for one buffer.
const BEGIN: &str = r#"
    (import "wasi_snapshot_preview1" "fd_read"
      (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
      (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get"
      (func $status (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff"
      (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_filestat_get"
      (func $stat (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 2)
    (func $print (param $from i32) (param $length i32)
      (i32.store (i32.const 0) (local.get $from))
      (i32.store (i32.const 4) (local.get $length))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
"#;

fn program(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {BEGIN} {body})")).unwrap()
}

/// Exits with a code.
pub fn exits(code: u32) -> Vec<u8> {
    program(&format!(r#"(func (export "_start") (call $exit (i32.const {code})))"#))
}

/// Traps.
pub fn traps() -> Vec<u8> {
    program(r#"(func (export "_start") unreachable)"#)
}

/// Copies its input to its output.
pub fn copies() -> Vec<u8> {
    program(
        r#"(func (export "_start")
          (loop $more
            (i32.store (i32.const 0) (i32.const 1024))
            (i32.store (i32.const 4) (i32.const 4096))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (if (i32.load (i32.const 8))
              (then
                (call $print (i32.const 1024) (i32.load (i32.const 8)))
                (br $more)))))"#,
    )
}

/// Prints `ready`, and then sleeps for an hour.
pub fn waits() -> Vec<u8> {
    program(
        r#"(data (i32.const 512) "ready\n")
        (func (export "_start")
          (call $print (i32.const 512) (i32.const 6))
          ;; A subscription to the monotonic clock, at 64.
          (i32.store (i32.const 80) (i32.const 1))
          (i64.store (i32.const 88) (i64.const 3600000000000))
          (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8))))"#,
    )
}

/// Exits with the type of the file that its standard input is: 2 for a terminal.
pub fn tells_its_input() -> Vec<u8> {
    program(
        r#"(func (export "_start")
          (drop (call $status (i32.const 0) (i32.const 64)))
          (call $exit (i32.load8_u (i32.const 64))))"#,
    )
}

/// Asks for the attributes of a path in its first folder, and exits with the error number of WASI.
pub fn looks_at(path: &str) -> Vec<u8> {
    let length = path.len();
    program(&format!(
        r#"(data (i32.const 512) "{path}")
        (func (export "_start")
          (call $exit (call $stat (i32.const 3) (i32.const 1)
            (i32.const 512) (i32.const {length}) (i32.const 64))))"#
    ))
}

/// Takes memory, 1 MiB at a time, and writes to each page of it, until it gets no more. Exits with
/// the number of MiB divided by 16.
pub fn takes_all_memory() -> Vec<u8> {
    program(
        r#"(func (export "_start") (local $mib i32) (local $at i32)
          (loop $more
            (local.set $at (memory.grow (i32.const 16)))
            (if (i32.ge_s (local.get $at) (i32.const 0))
              (then
                (local.set $at (i32.shl (local.get $at) (i32.const 16)))
                (memory.fill (local.get $at) (i32.const 1) (i32.const 0x100000))
                (local.set $mib (i32.add (local.get $mib) (i32.const 1)))
                (br $more))))
          (call $exit (i32.shr_u (local.get $mib) (i32.const 4))))"#,
    )
}
