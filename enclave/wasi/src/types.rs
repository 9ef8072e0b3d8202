//! The types of WASI preview 1, generated from its witx, and the trait with all its functions.

use crate::system::Clock;

wiggle::from_witx!({
    witx: ["witx/wasi_snapshot_preview1.witx"],
    errors: { errno => trappable Error },
    wasmtime: false,
    tracing: false,
});

pub(crate) use types::*;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) fn clock(id: Clockid) -> Clock {
    match id {
        Clockid::Realtime => Clock::Realtime,
        Clockid::Monotonic => Clock::Monotonic,
        Clockid::ProcessCputimeId => Clock::ProcessCpu,
        Clockid::ThreadCputimeId => Clock::ThreadCpu,
    }
}
