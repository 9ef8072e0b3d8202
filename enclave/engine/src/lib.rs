//! Compiles and runs WebAssembly programs.
//!
//! The life of a program is in the types: bytes become an [`Identified`] program (they
//! were hashed), that becomes a [`Compiled`] one (it was validated and compiled from the
//! very bytes that were hashed), that becomes a [`Linked`] one, with a system, files and a
//! [`Start`], and that runs once, to its [`End`].
//!
//! ```no_run
//! # fn f(bytes: Vec<u8>, system: Box<dyn twine_wasi::System>) -> Result<(), twine_engine::Error> {
//! use twine_engine::{EngineConfig, Identified, Limits, Start};
//! let program = Identified::new(bytes).compile(&Limits::default(), &EngineConfig::default())?;
//! let start = Start { arguments: vec!["app".into()], ..Start::default() };
//! let ended = program.link(system, Vec::new(), start)?.run(|| ());
//! # Ok(())
//! # }
//! ```
//!
//! The crate is the same inside the enclave and natively; only where memory comes from differs.
//! Bounds are checked by comparisons, or by addresses that fault ([`Guarded`]), and always.
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

mod backtrace;
mod check;
mod config;
mod error;
mod invoke;
mod limits;
mod memory;
mod program;
mod run;

pub use config::{EngineConfig, Guarded, configuration};
pub use error::Error;
pub use invoke::Invoke;
pub use limits::{Limits, MAX_TABLE_ELEMENTS};
pub use program::{Compiled, Identified, stop_profiling};
pub use run::{End, Ended, Interrupter, Linked, Start};
