//! The limits of this process (getrlimit(2)): which one is exhausted, and what to do about it.

use std::fmt;
use std::fs;
use std::io;

/// The limit that explains a shortage of memory, threads or descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortage {
    /// RLIMIT_AS, in bytes.
    AddressSpace(u64),
    /// RLIMIT_DATA, in bytes.
    Data(u64),
    /// RLIMIT_NPROC, which counts the threads of all processes of a user.
    Processes(u64),
    /// RLIMIT_NOFILE.
    Files(u64),
    /// The kernel commits no more memory than there is (`vm.overcommit_memory` is 2).
    Overcommit,
    /// No limit of this process explains the shortage.
    Elsewhere,
}

/// Returns the soft limit, if there is one.
pub(crate) fn limit(resource: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure is valid for writes. If the call fails, it keeps its value: no limit.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

impl Shortage {
    /// Returns the cause of a shortage of addresses.
    pub(crate) fn of_addresses() -> Self {
        limit(libc::RLIMIT_AS).map_or(Shortage::Elsewhere, Shortage::AddressSpace)
    }

    /// Returns the cause of a shortage of writable memory.
    pub(crate) fn of_memory() -> Self {
        let commits = || fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
        match limit(libc::RLIMIT_DATA) {
            Some(limit) => Shortage::Data(limit),
            None if commits().trim() == "2" => Shortage::Overcommit,
            None => Shortage::of_addresses(),
        }
    }

    /// Returns the cause of a shortage of threads: memory for their stacks, or a limit on threads.
    pub(crate) fn of_threads() -> Self {
        /// The standard library's stack size.
        const STACK: usize = 2 << 20;
        if !can_map(STACK) {
            return Shortage::of_memory();
        }
        limit(libc::RLIMIT_NPROC).map_or(Shortage::Elsewhere, Shortage::Processes)
    }

    /// Returns the cause of a shortage of descriptors.
    pub(crate) fn of_files() -> Self {
        limit(libc::RLIMIT_NOFILE).map_or(Shortage::Elsewhere, Shortage::Files)
    }

    /// Returns the remedy, in one line, if the limit is known.
    pub(crate) fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Shortage::AddressSpace(_) => {
                "raise the limit: `ulimit -v unlimited`, or LimitAS=infinity in a systemd unit; addresses cost no memory"
            }
            Shortage::Data(_) => {
                "raise the limit: `ulimit -d unlimited`, or LimitDATA=infinity in a systemd unit"
            }
            Shortage::Processes(_) => {
                "end some of this user's processes, or raise the limit: `ulimit -u`, LimitNPROC= in a systemd unit"
            }
            Shortage::Files(_) => {
                "raise the limit: `ulimit -n 1024`, or LimitNOFILE=1024 in a systemd unit"
            }
            Shortage::Overcommit => {
                "add memory or swap, or let the kernel commit more: `sysctl vm.overcommit_memory=0`"
            }
            Shortage::Elsewhere => return None,
        })
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortage::AddressSpace(bytes) => write!(f, "; RLIMIT_AS is {} KiB", bytes >> 10),
            Shortage::Data(bytes) => write!(f, "; RLIMIT_DATA is {} KiB", bytes >> 10),
            Shortage::Processes(count) => write!(f, "; RLIMIT_NPROC is {count}"),
            Shortage::Files(count) => write!(f, "; RLIMIT_NOFILE is {count}"),
            Shortage::Overcommit => f.write_str("; vm.overcommit_memory is 2"),
            Shortage::Elsewhere => Ok(()),
        }
    }
}

/// Memory that this process needs for itself, in addition to the enclaves': stacks and buffers. If
/// it had none left, an allocation of a few bytes would end the process.
const SPARE: usize = 16 << 20;

/// Whether this process can allocate `bytes` more, and some spare memory.
#[must_use]
pub fn has_memory(bytes: usize) -> bool {
    let (data, space) = (limit(libc::RLIMIT_DATA), limit(libc::RLIMIT_AS));
    if data.is_none() && space.is_none() {
        return true;
    }
    let size = bytes.saturating_add(SPARE);
    match used() {
        Some(used) => {
            let fits = |limit: Option<u64>, used: u64| {
                limit.is_none_or(|limit| used.saturating_add(size as u64) <= limit)
            };
            fits(data, used.data) && fits(space, used.space)
        }
        // The trial mapping, although short-lived, may make another thread's allocation fail. So it
        // is only used if /proc gives no answer.
        None => can_map(size),
    }
}

/// The memory that counts for this process's limits, in bytes.
struct Used {
    space: u64,
    data: u64,
}

/// Returns the memory that this process uses now (proc(5), statm), if /proc is mounted.
fn used() -> Option<Used> {
    const PAGE: u64 = 4096;
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_whitespace().map(|count| count.parse::<u64>().ok());
    let space = pages.next()??;
    let data = pages.nth(4)??;
    Some(Used { space: space * PAGE, data: data * PAGE })
}

/// Whether `size` bytes of memory can be mapped. They are unmapped at once.
fn can_map(size: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the system's choice, that nothing refers to.
    unsafe {
        let start = libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0);
        start != libc::MAP_FAILED && libc::munmap(start, size) == 0
    }
}

/// Returns the remedy, in one line, for an error that does not depend on the file that was
/// accessed.
pub fn remedy(error: &io::Error) -> Option<&'static str> {
    if error.kind() == io::ErrorKind::OutOfMemory {
        return Some(Shortage::of_memory().remedy().unwrap_or("free some memory"));
    }
    Some(match error.raw_os_error()? {
        libc::EMFILE => Shortage::Files(0).remedy()?,
        libc::ENFILE => "close files of other processes, or raise fs.file-max (sysctl)",
        libc::ENOSPC => "free space on the disk, or name a file on another disk",
        libc::EDQUOT => "free space within this user's quota, or name a file on another disk",
        libc::EFBIG => {
            "raise the limit: `ulimit -f unlimited`, or LimitFSIZE=infinity in a systemd unit"
        }
        libc::EIO => "check the kernel's log for disk errors: `dmesg`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_memory_grows_with_an_allocation() {
        const SIZE: u64 = 32 << 20;
        let grows = || {
            let before = used().unwrap();
            let bytes = std::hint::black_box(vec![1_u8; SIZE as usize]);
            let after = used().unwrap();
            let (least, most) = (SIZE / 2, 8 * SIZE);
            let is_right = |before, after: u64| {
                after.checked_sub(before).is_some_and(|more| (least..most).contains(&more))
            };
            drop(bytes);
            is_right(before.data, after.data) && is_right(before.space, after.space)
        };
        // Other tests run at the same time, and some of them map large files.
        assert!((0..100).any(|_| grows()));
    }

    #[test]
    fn each_known_shortage_has_a_name_and_a_remedy() {
        for (shortage, name, remedy) in [
            (Shortage::AddressSpace(1 << 20), "RLIMIT_AS is 1024 KiB", "LimitAS=infinity"),
            (Shortage::Data(1 << 20), "RLIMIT_DATA is 1024 KiB", "LimitDATA=infinity"),
            (Shortage::Processes(5), "RLIMIT_NPROC is 5", "LimitNPROC"),
            (Shortage::Files(9), "RLIMIT_NOFILE is 9", "LimitNOFILE"),
            (Shortage::Overcommit, "vm.overcommit_memory is 2", "sysctl"),
        ] {
            assert!(shortage.to_string().contains(name), "{shortage}");
            assert!(shortage.remedy().unwrap().contains(remedy), "{shortage:?}");
        }
        assert_eq!(
            (Shortage::Elsewhere.to_string(), Shortage::Elsewhere.remedy()),
            ("".into(), None)
        );
    }
}
