//! Handover: an enclave of a newer image takes over what one of an older image keeps for a
//! deployment, on the same machine.
//!
//! Volumes and records of a deployment are sealed to MRENCLAVE, so that no signer of images can get
//! at them. The older enclave hands the keys over if the owner's signed manifest allows the newer
//! image, and the newer enclave takes them if that manifest names the older image. Each learns who
//! the other is from a report (EREPORT), and the host between them, which is not trusted, can do no
//! more than to lose what it passes on.
//!
//! - [`Asking`] makes the request of the newer enclave, and reads the answer.
//! - [`answer`](answer()) is all that the older enclave does.
//!
//! The crate knows neither sealing keys nor records: [`Keeper`] is what it needs of the older
//! enclave, and [`Enclave`] is what it needs of the processor. So its tests run natively, and play the
//! host in between.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        unreachable_pub,
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

mod answer;
mod ask;
mod error;
#[cfg(feature = "fuzzing")]
#[allow(clippy::panic, reason = "in a function for fuzz targets, a panic is a finding")]
pub mod fuzzing;
mod message;
mod report;

pub use answer::{Keeper, OpenedRecord, answer};
pub use ask::{Asking, KeptAsked, KeyAsked};
pub use error::Error;
pub use message::Wanted;
pub use report::{Enclave, REPORT_BYTES, TARGET_BYTES, Target};

/// A key that is handed over. It is cleared when it is dropped.
pub type Key = zeroize::Zeroizing<[u8; 32]>;
