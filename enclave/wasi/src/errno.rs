//! Converts all errors to errnos.

use crate::system::{SocketError, SystemError};
use crate::types::{Errno, Error};
use twine_vfs::Error as FileError;
use wiggle::GuestError;

impl wiggle::GuestErrorType for Errno {
    fn success() -> Self {
        Errno::Success
    }
}

impl From<GuestError> for Error {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::InvalidFlagValue { .. } | GuestError::InvalidEnumValue { .. } => {
                Errno::Inval.into()
            }
            // The witx conventions say that these trap.
            GuestError::PtrOverflow
            | GuestError::PtrOutOfBounds { .. }
            | GuestError::PtrNotAligned { .. } => Error::trap(error.into()),
            GuestError::InvalidUtf8 { .. } => Errno::Ilseq.into(),
            GuestError::TryFromIntError { .. } => Errno::Overflow.into(),
            GuestError::SliceLengthsDiffer => Errno::Fault.into(),
            GuestError::InFunc { err, .. } => Error::from(*err),
        }
    }
}

impl From<SystemError> for Errno {
    fn from(error: SystemError) -> Self {
        match error {
            SystemError::Io => Errno::Io,
            SystemError::BadStream => Errno::Badf,
            SystemError::BrokenPipe => Errno::Pipe,
            SystemError::NoSpace => Errno::Nospc,
            SystemError::WouldBlock => Errno::Again,
            SystemError::Interrupted => Errno::Intr,
            SystemError::Invalid => Errno::Inval,
            SystemError::NotSupported => Errno::Notsup,
            SystemError::Denied => Errno::Acces,
            SystemError::NoMemory => Errno::Nomem,
            SystemError::FileTooBig => Errno::Fbig,
        }
    }
}

impl From<SystemError> for Error {
    fn from(error: SystemError) -> Self {
        Errno::from(error).into()
    }
}

impl From<SocketError> for Errno {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Reset => Errno::Connreset,
            SocketError::Aborted => Errno::Connaborted,
            SocketError::NotConnected => Errno::Notconn,
            SocketError::TooManyOpen => Errno::Nfile,
            SocketError::Refused => Errno::Connrefused,
            SocketError::Unreachable => Errno::Hostunreach,
            SocketError::TimedOut => Errno::Timedout,
            SocketError::Protocol => Errno::Proto,
            SocketError::System(error) => error.into(),
        }
    }
}

impl From<FileError> for Errno {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotFound => Errno::Noent,
            FileError::Exists => Errno::Exist,
            FileError::NotDirectory => Errno::Notdir,
            FileError::IsDirectory => Errno::Isdir,
            FileError::NotEmpty => Errno::Notempty,
            FileError::NameTooLong => Errno::Nametoolong,
            FileError::Invalid => Errno::Inval,
            FileError::NotPermitted => Errno::Perm,
            FileError::Denied => Errno::Acces,
            FileError::ReadOnly => Errno::Rofs,
            FileError::NoSpace => Errno::Nospc,
            FileError::FileTooBig => Errno::Fbig,
            FileError::TooManyLinks => Errno::Mlink,
            FileError::Loop => Errno::Loop,
            FileError::TooManyOpen => Errno::Nfile,
            FileError::NoMemory => Errno::Nomem,
            FileError::NotSupported => Errno::Notsup,
            // `Io`, and errors that later versions of the trait add.
            _ => Errno::Io,
        }
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Errno::from(error).into()
    }
}
