//! Compiles and runs WebAssembly programs.
//!
//! The stages of a program are types. Hashed bytes are an [`Identified`] program. It compiles to a
//! [`Compiled`] program, from the same bytes that were hashed. With a system, files and a
//! [`Start`], it links to a [`Linked`] program, which runs once, to its [`End`].
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
//! The crate is the same inside the enclave and natively; only the source of memory differs. Bounds
//! are always checked, by comparisons or by addresses that fault ([`Guarded`]).
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
pub use run::{End, Ended, Interrupter, Linked, Socket, Start};
