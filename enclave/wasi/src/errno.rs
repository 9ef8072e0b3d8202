//! What went wrong, as errnos: in one place.

use crate::preview1::types::{Errno, Error};
use twine_protocol::wire::Status;
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
            // The witx conventions say that a function traps for these.
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

impl From<Status> for Errno {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Errno::Success,
            Status::Io => Errno::Io,
            Status::BadStream => Errno::Badf,
            Status::BrokenPipe => Errno::Pipe,
            Status::NoSpace => Errno::Nospc,
            Status::WouldBlock => Errno::Again,
            Status::Interrupted => Errno::Intr,
            Status::Invalid => Errno::Inval,
            Status::NotSupported => Errno::Notsup,
            Status::Denied => Errno::Acces,
            Status::NoMemory => Errno::Nomem,
            Status::FileTooBig => Errno::Fbig,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Errno::from(status).into()
    }
}
