//! The rights of new descriptors.
//!
//! WASI runtimes of today do not restrict programs to the rights that they ask for in `path_open`,
//! except for reading and writing. Programs rely on it and ask for too few. So a descriptor gets
//! all rights that apply to its kind and that its directory passes on. A right that a program gives
//! up with `fd_fdstat_set_rights` is gone.

use crate::types::Rights;

/// Rights of a file that is open for reading and writing.
pub(crate) fn file() -> Rights {
    Rights::FD_DATASYNC
        | Rights::FD_READ
        | Rights::FD_SEEK
        | Rights::FD_FDSTAT_SET_FLAGS
        | Rights::FD_SYNC
        | Rights::FD_TELL
        | Rights::FD_WRITE
        | Rights::FD_ADVISE
        | Rights::FD_ALLOCATE
        | Rights::FD_FILESTAT_GET
        | Rights::FD_FILESTAT_SET_SIZE
        | Rights::FD_FILESTAT_SET_TIMES
        | Rights::POLL_FD_READWRITE
}

/// Rights of a directory.
pub(crate) fn directory() -> Rights {
    Rights::PATH_CREATE_DIRECTORY
        | Rights::PATH_CREATE_FILE
        | Rights::PATH_LINK_SOURCE
        | Rights::PATH_LINK_TARGET
        | Rights::PATH_OPEN
        | Rights::FD_READDIR
        | Rights::PATH_READLINK
        | Rights::PATH_RENAME_SOURCE
        | Rights::PATH_RENAME_TARGET
        | Rights::PATH_FILESTAT_GET
        | Rights::PATH_FILESTAT_SET_SIZE
        | Rights::PATH_FILESTAT_SET_TIMES
        | Rights::PATH_SYMLINK
        | Rights::PATH_REMOVE_DIRECTORY
        | Rights::PATH_UNLINK_FILE
        | Rights::FD_DATASYNC
        | Rights::FD_SYNC
        | Rights::FD_FILESTAT_GET
        | Rights::FD_FILESTAT_SET_TIMES
}

/// Rights of a standard stream, with the right to read or write.
pub(crate) fn stream(direction: Rights) -> Rights {
    direction | Rights::FD_FDSTAT_SET_FLAGS | Rights::FD_FILESTAT_GET | Rights::POLL_FD_READWRITE
}

/// Rights of a connected socket.
pub(crate) fn connection() -> Rights {
    stream(Rights::FD_READ | Rights::FD_WRITE) | Rights::SOCK_SHUTDOWN
}

/// Rights of a connecting socket, which can make further connections.
pub(crate) fn dialer() -> Rights {
    connection() | Rights::SOCK_ACCEPT
}

/// Rights of a listening socket. A program may poll it for reading before it accepts.
pub(crate) fn listener() -> Rights {
    stream(Rights::FD_READ) | Rights::SOCK_ACCEPT
}
