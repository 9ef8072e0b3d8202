//! The types of the functions, generated from their witx.

use crate::proof::Failure;
use wiggle::GuestError;

wiggle::from_witx!({
    witx: ["witx/twine_attestation.witx"],
    errors: { errno => trappable Error },
    wasmtime: false,
    tracing: false,
});

pub(crate) use types::*;

impl wiggle::GuestErrorType for Errno {
    fn success() -> Self {
        Errno::Success
    }
}

impl From<GuestError> for Error {
    /// A pointer that leads out of the memory traps, as in WASI.
    fn from(error: GuestError) -> Self {
        Error::trap(error.into())
    }
}

impl From<&Failure> for Errno {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Invalid => Errno::Inval,
            Failure::NotSupported => Errno::Notsup,
            Failure::Again => Errno::Again,
            Failure::Host => Errno::Io,
            Failure::Policy(_) => Errno::Policy,
            Failure::Damaged => Errno::Damaged,
            Failure::TooBig => Errno::Toobig,
        }
    }
}
