//! Compiles and runs WebAssembly programs.
//!
//! The life of a program is in the types: bytes become an [`Identified`] program (they
//! were hashed), that becomes a [`Compiled`] one (it was validated and compiled from the
//! very bytes that were hashed), and that runs once, with a system and a launch request,
//! to an [`Outcome`].
//!
//! ```no_run
//! # fn f(bytes: Vec<u8>, system: Box<dyn twine_wasi::System>) -> Result<(), twine_engine::Error> {
//! use twine_protocol::launch::Launch;
//! let launch = Launch { arguments: vec!["app".into()], ..Launch::default() };
//! let config = twine_engine::EngineConfig::default();
//! let program = twine_engine::Identified::new(bytes).compile(&launch.limits, &config)?;
//! let ended = program.link(system, Vec::new(), &launch)?.run(|| ());
//! # Ok(())
//! # }
//! ```
//!
//! The crate is the same inside the enclave and natively; only where memory comes from differs.
//! Bounds are checked by comparisons, or by addresses that fault ([`Guarded`]), and always.
//!
//! [`Outcome`]: twine_protocol::launch::Outcome

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
pub use limits::MOST_TABLE_ELEMENTS;
pub use program::{Compiled, Identified, stop_profiling};
pub use run::{Ended, Interrupter, Linked};
