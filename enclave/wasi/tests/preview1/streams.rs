//! Tests of strings, standard streams, clocks and randomness.

use crate::common::*;
use twine_wasi::{Exit, SetupError, SystemError, Wasi};

#[test]
fn arguments_and_environment_arrive_as_they_were_given() {
    let mut program = Program::new(&["app", "--flag", "ä b"], &[("HOME", "/"), ("EMPTY", "")]);
    assert_eq!(program.call("args_sizes_get", &[0, 4]), SUCCESS);
    assert_eq!((program.u32(0), program.u32(4)), (3, 4 + 7 + 5));
    assert_eq!(program.call("args_get", &[100, 200]), SUCCESS);
    for (number, expected) in ["app", "--flag", "ä b"].into_iter().enumerate() {
        let pointer = program.u32(100 + number * 4) as usize;
        assert_eq!(program.string(pointer), expected);
    }
    assert_eq!(program.call("environ_sizes_get", &[0, 4]), SUCCESS);
    assert_eq!((program.u32(0), program.u32(4)), (2, 7 + 7));
    assert_eq!(program.call("environ_get", &[100, 200]), SUCCESS);
    let pointers = [program.u32(100) as usize, program.u32(104) as usize];
    assert_eq!(pointers.map(|pointer| program.string(pointer)), ["HOME=/", "EMPTY="]);
}

#[test]
fn strings_that_c_cannot_hold_are_refused_at_the_start() {
    let system = || Box::new(Outside::default());
    let new = |arguments: &[&str], environment: &[(&str, &str)]| {
        let arguments = arguments.iter().map(|&text| text.into()).collect();
        let environment =
            environment.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        Wasi::new(system(), arguments, environment).map(drop)
    };
    assert!(matches!(new(&["a\0b"], &[]), Err(SetupError::Nul(_))));
    assert!(matches!(new(&[], &[("A", "\0")]), Err(SetupError::Nul(_))));
    assert!(matches!(new(&[], &[("", "x")]), Err(SetupError::Name(_))));
    assert!(matches!(new(&[], &[("A=B", "x")]), Err(SetupError::Name(_))));
}

#[test]
fn one_write_of_many_pieces_is_one_host_call() {
    let mut program = Program::new(&[], &[]);
    program.put(1000, b"hello, world\n");
    program.vectors(0, &[(1000, 5), (0, 0), (1005, 7), (1012, 1)]);
    assert_eq!(program.call("fd_write", &[1, 0, 4, 100]), SUCCESS);
    assert_eq!(program.u32(100), 13);
    assert_eq!(program.world().writes, [(1, b"hello, world\n".to_vec())]);
}

#[test]
fn a_short_write_is_told_to_the_program() {
    let mut program = Program::new(&[], &[]);
    program.world().accepts = Some(3);
    program.vectors(0, &[(1000, 10)]);
    assert_eq!(program.call("fd_write", &[2, 0, 1, 100]), SUCCESS);
    assert_eq!(program.u32(100), 3);
}

#[test]
fn failures_of_the_system_become_their_errno() {
    for (status, errno) in [
        (SystemError::BrokenPipe, PIPE),
        (SystemError::NoSpace, NOSPC),
        (SystemError::Invalid, INVAL),
        (SystemError::BadStream, BADF),
        (SystemError::Io, 29),
    ] {
        let mut program = Program::new(&[], &[]);
        program.world().failure = Some(status);
        program.vectors(0, &[(1000, 10)]);
        assert_eq!(program.call("fd_write", &[1, 0, 1, 100]), errno, "{status:?}");
        assert_eq!(program.call("fd_read", &[0, 0, 1, 100]), errno, "{status:?}");
    }
}

#[test]
fn reads_fill_the_pieces_in_order_and_end_with_zero() {
    let mut program = Program::new(&[], &[]);
    program.world().input.extend(b"abcdefg");
    program.vectors(0, &[(1000, 2), (2000, 0), (3000, 3)]);
    assert_eq!(program.call("fd_read", &[0, 0, 3, 100]), SUCCESS);
    assert_eq!(program.u32(100), 5);
    assert_eq!(program.bytes()[1000..1003], *b"ab\0");
    assert_eq!(program.bytes()[3000..3004], *b"cde\0");
    assert_eq!(program.call("fd_read", &[0, 0, 3, 100]), SUCCESS);
    assert_eq!(program.u32(100), 2);
    assert_eq!(program.call("fd_read", &[0, 0, 3, 100]), SUCCESS);
    assert_eq!(program.u32(100), 0);
}

#[test]
fn buffers_out_of_bounds_trap_and_lose_no_input() {
    let mut program = Program::new(&[], &[]);
    program.world().input.extend(b"abc");
    let end = program.bytes().len() as u32;
    for vector in [(end, 1), (end - 1, 2), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
        program.vectors(0, &[vector]);
        assert!(program.try_call("fd_read", &[0, 0, 1, 100]).is_err(), "{vector:?}");
        assert!(program.try_call("fd_write", &[1, 0, 1, 100]).is_err(), "{vector:?}");
    }
    assert!(program.try_call("fd_read", &[0, 0, i64::from(u32::MAX), 100]).is_err());
    assert!(program.try_call("args_sizes_get", &[i64::from(end), 0]).is_err());
    assert!(program.try_call("random_get", &[i64::from(end) - 4, 8]).is_err());
    assert_eq!(program.world().input.len(), 3);
}

#[test]
fn streams_know_their_direction() {
    let mut program = Program::new(&[], &[]);
    program.vectors(0, &[(1000, 10)]);
    assert_eq!(program.call("fd_write", &[0, 0, 1, 100]), BADF);
    assert_eq!(program.call("fd_read", &[1, 0, 1, 100]), BADF);
    assert_eq!(program.call("fd_read", &[3, 0, 1, 100]), BADF);
}

#[test]
fn fdstat_says_what_a_stream_is() {
    let mut program = Program::new(&[], &[]);
    // File types: a pipe is unknown, a terminal a character device, a file a regular file.
    for (fd, filetype) in [(0, 0), (1, 2), (2, 4)] {
        assert_eq!(program.call("fd_fdstat_get", &[fd, 0]), SUCCESS);
        assert_eq!(program.bytes()[0], filetype, "{fd}");
        assert_eq!(program.call("fd_filestat_get", &[fd, 0]), SUCCESS);
        assert_eq!(program.bytes()[16], filetype, "{fd}");
    }
    assert_eq!(program.call("fd_fdstat_get", &[3, 0]), BADF);
}

#[test]
fn rights_can_be_given_up_and_not_taken_back() {
    let mut program = Program::new(&[], &[]);
    assert_eq!(program.call("fd_fdstat_get", &[1, 0]), SUCCESS);
    let rights = program.u64(8) as i64;
    assert_eq!(program.call("fd_fdstat_set_rights", &[1, rights, 0]), SUCCESS);
    assert_eq!(program.call("fd_fdstat_set_rights", &[1, rights, 1]), NOTCAPABLE);
    assert_eq!(program.call("fd_fdstat_set_rights", &[1, 0, 0]), SUCCESS);
    assert_eq!(program.call("fd_fdstat_set_rights", &[1, rights, 0]), NOTCAPABLE);
    program.vectors(0, &[(1000, 1)]);
    assert_eq!(program.call("fd_write", &[1, 0, 1, 100]), BADF);
}

#[test]
fn a_nonblocking_read_says_again_until_there_is_something() {
    let mut program = Program::new(&[], &[]);
    const NONBLOCK: i64 = 4;
    const SYNC: i64 = 16;
    assert_eq!(program.call("fd_fdstat_set_flags", &[0, SYNC]), INVAL);
    assert_eq!(program.call("fd_fdstat_set_flags", &[0, NONBLOCK]), SUCCESS);
    program.vectors(0, &[(1000, 4)]);
    assert_eq!(program.call("fd_read", &[0, 0, 1, 100]), AGAIN);
    program.world().input.extend(b"x");
    assert_eq!(program.call("fd_read", &[0, 0, 1, 100]), SUCCESS);
    assert_eq!(program.call("fd_fdstat_get", &[0, 200]), SUCCESS);
    assert_eq!(program.bytes()[202], NONBLOCK as u8);
}

#[test]
fn closed_and_renumbered_descriptors_behave_so() {
    let mut program = Program::new(&[], &[]);
    program.vectors(0, &[(1000, 1)]);
    assert_eq!(program.call("fd_renumber", &[2, 1]), SUCCESS);
    assert_eq!(program.call("fd_write", &[1, 0, 1, 100]), SUCCESS);
    assert_eq!(program.world().writes[0].0, 2, "1 is what 2 was");
    assert_eq!(program.call("fd_write", &[2, 0, 1, 100]), BADF);
    assert_eq!(program.call("fd_renumber", &[1, 9]), BADF);
    assert_eq!(program.call("fd_renumber", &[9, 1]), BADF);
    assert_eq!(program.call("fd_renumber", &[1, 1]), SUCCESS);
    assert_eq!(program.call("fd_close", &[1]), SUCCESS);
    assert_eq!(program.call("fd_close", &[1]), BADF);
    assert_eq!(program.call("fd_write", &[1, 0, 1, 100]), BADF);
}

#[test]
fn clocks_are_the_systems() {
    let mut program = Program::new(&[], &[]);
    program.world().now = 42;
    for (clock, time) in [(0, 1_000_000_000_042), (1, 42), (2, 7), (3, 8)] {
        assert_eq!(program.call("clock_time_get", &[clock, 0, 0]), SUCCESS);
        assert_eq!(program.u64(0), time);
        assert_eq!(program.call("clock_res_get", &[clock, 0]), SUCCESS);
        assert_eq!(program.u64(0), 3);
    }
    assert_eq!(program.call("clock_time_get", &[4, 0, 0]), INVAL, "no such clock");
}

/// A value outside of a parameter's type is an error for the program, and does not end it.
#[test]
fn values_that_a_parameter_does_not_have_are_invalid() {
    let tree = Tree::new();
    let mut program = Program::over(&tree);
    program.file("file", b"abc");
    let fd = program.open_to_read("file").unwrap();
    // SEEK_DATA and SEEK_HOLE, as wasi-libc passes them on.
    for whence in [3, 4, 255, 256, -1] {
        assert_eq!(program.seek(fd, 0, whence), Err(INVAL), "{whence}");
    }
    assert_eq!(program.call("fd_advise", &[fd, 0, 1, 6]), INVAL);
    assert_eq!(program.call("clock_res_get", &[-1, 0]), INVAL);
    assert_eq!(program.call("fd_fdstat_set_flags", &[fd, 1 << 5]), INVAL);
    assert_eq!(program.call("fd_fdstat_set_flags", &[fd, 1 << 16]), INVAL);
    assert_eq!(program.call("fd_filestat_set_times", &[fd, 0, 0, 1 << 4]), INVAL);
    assert_eq!(program.call("proc_raise", &[99]), INVAL);
    assert_eq!(program.call("sock_shutdown", &[fd, 4]), INVAL);
    let lookup = [ROOT, 1 << 1, 0, 1, 0, 0, 0, 0, 100];
    assert_eq!(program.call("path_open", &lookup), INVAL);
    assert_eq!(program.tell(fd), Ok(0));
}

#[test]
fn a_device_is_no_terminal_and_stays_at_its_start() {
    const SEEK_AND_TELL: i64 = 1 << 2 | 1 << 5;
    let mut program = Program::on_device(0);
    for (fd, shown) in [(0, SEEK_AND_TELL), (1, 0)] {
        assert_eq!(program.call("fd_fdstat_get", &[fd, 0]), SUCCESS);
        assert_eq!(program.bytes()[0], 2, "both are character devices");
        assert_eq!(program.u64(8) as i64 & SEEK_AND_TELL, shown, "{fd}");
    }
    assert_eq!(program.seek(0, 10, 0), Ok(0));
    assert_eq!(program.tell(0), Ok(0));
    assert_eq!(program.seek(1, 0, 0), Err(SPIPE));
    program.world().input.extend(b"x");
    assert_eq!(program.read(0, 4), Ok(b"x".to_vec()));
}

#[test]
fn a_write_of_any_size_is_whole_unless_it_may_not_wait() {
    let pieces = |program: &Program| -> Vec<usize> {
        program.world().writes.iter().map(|(_, bytes)| bytes.len()).collect()
    };
    let mut program = Program::new(&[], &[]);
    let pattern: Vec<u8> = (0..400_000).map(|at| (at % 251) as u8).collect();
    program.put(10_000, &pattern);
    program.vectors(0, &[(10_000, 300_000), (310_000, 0), (310_000, 100_000)]);
    assert_eq!(program.call("fd_write", &[1, 0, 3, 100]), SUCCESS);
    assert_eq!(program.u32(100), 400_000);
    assert_eq!(pieces(&program), [262_144, 137_856]);
    let written: Vec<u8> = program.world().writes.drain(..).flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(written, pattern);
    // A short write ends the call. The next call reports an error that came after some bytes.
    program.world().accepts = Some(200_000);
    assert_eq!(program.call("fd_write", &[1, 0, 3, 100]), SUCCESS);
    assert_eq!(program.u32(100), 200_000);
    program.world().accepts = None;
    program.world().writes.clear();
    assert_eq!(program.call("fd_fdstat_set_flags", &[1, 4]), SUCCESS);
    assert_eq!(program.call("fd_write", &[1, 0, 3, 100]), SUCCESS);
    assert_eq!((program.u32(100), pieces(&program)), (262_144, vec![262_144]));
}

/// A subscription of `poll_oneoff` in its encoding (48 bytes).
fn subscription(userdata: u64, body: &[(usize, u64)], tag: u8) -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes[..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[8] = tag;
    for &(at, value) in body {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

fn clock_subscription(userdata: u64, clock: u64, timeout: u64, absolute: bool) -> [u8; 48] {
    subscription(userdata, &[(16, clock), (24, timeout), (40, u64::from(absolute))], 0)
}

fn stream_subscription(userdata: u64, fd: u64, write: bool) -> [u8; 48] {
    subscription(userdata, &[(16, fd)], 1 + u8::from(write))
}

/// Polls, and returns the events as (userdata, errno, type, bytes).
fn poll_events(program: &mut Program, subscriptions: &[[u8; 48]]) -> Vec<(u64, u16, u8, u64)> {
    program.put(0, &subscriptions.concat());
    let count = subscriptions.len() as i64;
    assert_eq!(program.call("poll_oneoff", &[0, 4096, count, 8192]), SUCCESS);
    (0..program.u32(8192) as usize)
        .map(|number| {
            let at = 4096 + number * 32;
            let error = program.u32(at + 8) as u16;
            let kind = program.bytes()[at + 10];
            (program.u64(at), error, kind, program.u64(at + 16))
        })
        .collect()
}

#[test]
fn sleeping_lasts_as_long_as_it_was_told() {
    let mut program = Program::new(&[], &[]);
    let events = poll_events(&mut program, &[clock_subscription(77, 1, 5_000, false)]);
    assert_eq!(events, [(77, 0, 0, 0)]);
    assert_eq!(program.world().slept, [5_000]);
    // Until an absolute time, of either clock.
    let until = clock_subscription(1, 1, 8_000, true);
    assert_eq!(poll_events(&mut program, &[until]), [(1, 0, 0, 0)]);
    let until = clock_subscription(2, 0, 1_000_000_009_000, true);
    assert_eq!(poll_events(&mut program, &[until]), [(2, 0, 0, 0)]);
    assert_eq!(program.world().slept, [5_000, 3_000, 1_000]);
    // A time in the past does not wait.
    assert_eq!(poll_events(&mut program, &[clock_subscription(3, 1, 10, true)]), [(3, 0, 0, 0)]);
    assert_eq!(program.world().slept.len(), 3);
}

#[test]
fn the_first_of_several_clocks_wakes() {
    let mut program = Program::new(&[], &[]);
    let subscriptions =
        [clock_subscription(1, 1, 900, false), clock_subscription(2, 1, 100, false)];
    assert_eq!(poll_events(&mut program, &subscriptions), [(2, 0, 0, 0)]);
    assert_eq!(program.world().slept, [100]);
}

#[test]
fn input_wakes_before_the_clock_and_says_how_much_there_is() {
    let mut program = Program::new(&[], &[]);
    let subscriptions = [clock_subscription(1, 1, 900, false), stream_subscription(2, 0, false)];
    assert_eq!(poll_events(&mut program, &subscriptions), [(1, 0, 0, 0)]);
    program.world().input.extend(b"abc");
    assert_eq!(poll_events(&mut program, &subscriptions), [(2, 0, 1, 3)]);
    assert_eq!(poll_events(&mut program, &[stream_subscription(5, 1, true)]), [(5, 0, 2, 1)]);
}

#[test]
fn descriptors_that_cannot_be_polled_are_events_with_an_error() {
    let mut program = Program::new(&[], &[]);
    let subscriptions = [
        stream_subscription(1, 9, false),
        stream_subscription(2, 1, false),
        clock_subscription(3, 2, 1, false),
        clock_subscription(4, 1, 1_000_000, false),
    ];
    let events = poll_events(&mut program, &subscriptions);
    assert_eq!(events, [(1, BADF as u16, 1, 0), (2, BADF as u16, 1, 0), (3, INVAL as u16, 0, 0)]);
    assert!(program.world().slept.is_empty(), "it does not wait");
}

#[test]
fn polling_nothing_or_too_much_is_invalid() {
    let mut program = Program::new(&[], &[]);
    assert_eq!(program.call("poll_oneoff", &[0, 4096, 0, 8192]), INVAL);
    assert_eq!(program.call("poll_oneoff", &[0, 4096, 1025, 8192]), INVAL);
    assert_eq!(program.call("poll_oneoff", &[0, 4096, i64::from(u32::MAX), 8192]), INVAL);
}

#[test]
fn calls_on_files_have_the_errno_that_fits_a_stream() {
    let mut program = Program::new(&[], &[]);
    assert_eq!(program.call("fd_seek", &[1, 0, 0, 100]), SPIPE);
    assert_eq!(program.call("fd_tell", &[1, 100]), SPIPE);
    assert_eq!(program.call("fd_pread", &[0, 0, 0, 0, 100]), SPIPE);
    assert_eq!(program.call("fd_allocate", &[1, 0, 1]), SPIPE);
    assert_eq!(program.call("fd_advise", &[1, 0, 1, 0]), SPIPE);
    assert_eq!(program.call("fd_sync", &[1]), INVAL);
    assert_eq!(program.call("fd_datasync", &[1]), INVAL);
    assert_eq!(program.call("fd_filestat_set_size", &[1, 0]), INVAL);
    assert_eq!(program.call("fd_readdir", &[1, 0, 100, 0, 200]), NOTDIR);
    assert_eq!(program.call("path_open", &[1, 0, 0, 1, 0, 0, 0, 0, 100]), NOTDIR);
    assert_eq!(program.call("path_unlink_file", &[0, 0, 1]), NOTDIR);
    assert_eq!(program.call("sock_shutdown", &[1, 1]), NOTSOCK);
    // wasi-libc looks for preopens until it gets BADF.
    assert_eq!(program.call("fd_prestat_get", &[0, 100]), BADF);
    assert_eq!(program.call("fd_prestat_get", &[3, 100]), BADF);
    for name in ["fd_seek", "fd_sync", "fd_readdir", "path_open", "sock_shutdown"] {
        let count = parameters(name);
        let mut arguments = vec![0; count];
        arguments[0] = 9;
        assert_eq!(program.call(name, &arguments), BADF, "{name}");
    }
}

#[test]
fn random_bytes_differ_and_fill_the_buffer() {
    let mut program = Program::new(&[], &[]);
    assert_eq!(program.call("random_get", &[0, 10_000]), SUCCESS);
    let first = program.bytes()[..10_000].to_vec();
    assert_eq!(program.call("random_get", &[0, 10_000]), SUCCESS);
    assert_ne!(first, program.bytes()[..10_000]);
    assert!(first.chunks(64).all(|chunk| chunk.iter().any(|&byte| byte != 0)));
    assert_eq!(program.bytes()[10_000..10_064], [0; 64]);
    assert_eq!(program.call("random_get", &[0, 0]), SUCCESS);
}

#[test]
fn exit_carries_its_code() {
    let mut program = Program::new(&[], &[]);
    let error = program.try_call("proc_exit", &[42]).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Exit(42)));
}

#[test]
fn yielding_reaches_the_system() {
    let mut program = Program::new(&[], &[]);
    assert_eq!(program.call("sched_yield", &[]), SUCCESS);
    assert_eq!(program.world().yields, 1);
}
