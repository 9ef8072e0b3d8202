//! The standard streams, the clocks and `poll`, by the system calls.

use std::io::{Error, ErrorKind};
use twine_protocol::wire::{Clock, PollRecord, Status, StreamKind, poll};

/// Returns the status for the system's last error.
pub(crate) fn last_status() -> Status {
    status_of(&Error::last_os_error())
}

/// Returns the status for an error of the system.
pub(crate) fn status_of(error: &Error) -> Status {
    match error.raw_os_error() {
        Some(libc::EBADF) => Status::BadStream,
        Some(libc::EPIPE) => Status::BrokenPipe,
        Some(libc::ENOSPC | libc::EDQUOT) => Status::NoSpace,
        Some(libc::EAGAIN) => Status::WouldBlock,
        Some(libc::EINTR) => Status::Interrupted,
        Some(libc::EINVAL) => Status::Invalid,
        Some(libc::EACCES | libc::EPERM) => Status::Denied,
        Some(libc::ENOMEM) => Status::NoMemory,
        Some(libc::EFBIG) => Status::FileTooBig,
        Some(libc::ENOSYS | libc::ENOTTY | libc::EOPNOTSUPP) => Status::NotSupported,
        _ if error.kind() == ErrorKind::OutOfMemory => Status::NoMemory,
        _ => Status::Io,
    }
}

/// Returns the descriptor of a standard stream. The enclave may use no others.
fn descriptor(stream: u64) -> Result<libc::c_int, Status> {
    match stream {
        0..=2 => Ok(stream as libc::c_int),
        _ => Err(Status::BadStream),
    }
}

/// Repeats a call if a signal interrupts it.
fn uninterrupted(mut call: impl FnMut() -> libc::ssize_t) -> Result<u64, Status> {
    loop {
        match call() {
            ..0 => match last_status() {
                Status::Interrupted => {}
                status => return Err(status),
            },
            count => return Ok(count as u64),
        }
    }
}

/// Waits until a descriptor is ready. Another process that shares it may have made it non-blocking.
fn wait(descriptor: libc::c_int, events: libc::c_short) {
    let mut poll = libc::pollfd { fd: descriptor, events, revents: 0 };
    // SAFETY: one valid record; poll has no other effect.
    unsafe { libc::poll(&raw mut poll, 1, -1) };
}

pub(crate) fn read(stream: u64, bytes: &mut [u8]) -> Result<u64, Status> {
    let fd = descriptor(stream)?;
    loop {
        // SAFETY: the slice is valid for writes of its length.
        match uninterrupted(|| unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len()) }) {
            Err(Status::WouldBlock) => wait(fd, libc::POLLIN),
            result => return result,
        }
    }
}

pub(crate) fn write(stream: u64, bytes: &[u8]) -> Result<u64, Status> {
    let fd = descriptor(stream)?;
    loop {
        // SAFETY: the slice is valid for reads of its length.
        match uninterrupted(|| unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) }) {
            Err(Status::WouldBlock) => wait(fd, libc::POLLOUT),
            result => return result,
        }
    }
}

pub(crate) fn kind(stream: u64) -> Result<StreamKind, Status> {
    let fd = descriptor(stream)?;
    // SAFETY: `stat` is plain data, for which zeros are a value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for writes.
    if unsafe { libc::fstat(fd, &raw mut stat) } != 0 {
        return Err(last_status());
    }
    Ok(match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => StreamKind::File,
        // SAFETY: isatty takes any number.
        libc::S_IFCHR if unsafe { libc::isatty(fd) } == 1 => StreamKind::Terminal,
        libc::S_IFCHR => StreamKind::Device,
        _ => StreamKind::Pipe,
    })
}

fn timespec(nanoseconds: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as libc::time_t,
        tv_nsec: (nanoseconds % 1_000_000_000) as libc::c_long,
    }
}

/// Waits, fills in the records, and returns how many are ready. `socket` returns the descriptor of a
/// number that is not a standard stream.
pub(crate) fn poll(
    records: &mut [PollRecord],
    timeout: u64,
    socket: impl Fn(u64) -> Option<libc::c_int>,
) -> Result<u64, Status> {
    let descriptor = |stream| descriptor(stream).ok().or_else(|| socket(stream));
    let mut polls: Vec<libc::pollfd> = records
        .iter()
        .map(|record| {
            let events = if record.events & poll::READ != 0 { libc::POLLIN } else { 0 }
                | if record.events & poll::WRITE != 0 { libc::POLLOUT } else { 0 };
            // The system ignores a negative descriptor.
            libc::pollfd { fd: descriptor(record.stream).unwrap_or(-1), events, revents: 0 }
        })
        .collect();
    let bad = records.iter().any(|record| descriptor(record.stream).is_none());
    let limit = timespec(if bad { 0 } else { timeout });
    let limit = if timeout == u64::MAX && !bad { std::ptr::null() } else { &raw const limit };
    // SAFETY: the records and the limit are valid for the call; no signal mask is given.
    let ready = unsafe {
        libc::ppoll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, limit, std::ptr::null())
    };
    if ready < 0 && last_status() != Status::Interrupted {
        return Err(last_status());
    }
    let mut count = 0;
    for (record, poll) in records.iter_mut().zip(&polls) {
        let happened = |event| poll.revents & event != 0;
        let mut events = 0;
        if poll.fd < 0 || happened(libc::POLLNVAL) {
            events |= poll::BAD;
        }
        if happened(libc::POLLIN) {
            events |= poll::READ;
        }
        if happened(libc::POLLOUT) {
            events |= poll::WRITE;
        }
        if happened(libc::POLLHUP | libc::POLLERR) {
            events |= poll::HANGUP;
        }
        record.bytes = if events & poll::READ != 0 { waiting(poll.fd) } else { events.min(1) };
        record.events = events;
        count += u64::from(events != 0);
    }
    Ok(count)
}

/// Returns the number of bytes that can be read without waiting, or 1 if the system does not know
/// it.
fn waiting(fd: libc::c_int) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int.
    match unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut bytes) } {
        0 if bytes > 0 => bytes as u64,
        _ => 1,
    }
}

fn clock(code: u64) -> Result<libc::clockid_t, Status> {
    Ok(match Clock::from_code(code).ok_or(Status::Invalid)? {
        Clock::Realtime => libc::CLOCK_REALTIME,
        Clock::Monotonic => libc::CLOCK_MONOTONIC,
        Clock::ProcessCpu => libc::CLOCK_PROCESS_CPUTIME_ID,
        Clock::ThreadCpu => libc::CLOCK_THREAD_CPUTIME_ID,
    })
}

type ClockCall = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int;

fn ask(call: ClockCall, code: u64) -> Result<u64, Status> {
    let mut time = timespec(0);
    // SAFETY: both calls of this type write one timespec.
    if unsafe { call(clock(code)?, &raw mut time) } != 0 {
        return Err(last_status());
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

pub(crate) fn time(code: u64) -> Result<u64, Status> {
    ask(libc::clock_gettime, code)
}

pub(crate) fn resolution(code: u64) -> Result<u64, Status> {
    ask(libc::clock_getres, code)
}
