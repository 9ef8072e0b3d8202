//! The system interface that Twine offers to programs: WASI preview 1 to modules, and WASI 0.2 to
//! components.
//!
//! [`Wasi`] holds what a program sees: arguments, environment, descriptors, clocks and randomness.
//! It reaches the outside through a [`System`]. In the enclave that is the checked boundary to the
//! host; in tests it is memory. Files are in the mounted file systems ([`Wasi::mount`]). Paths,
//! rights and descriptors work the same way for all of them.
//!
//! ```no_run
//! # fn f(engine: &wasmtime::Engine, system: Box<dyn twine_wasi::System>) -> wasmtime::Result<()> {
//! let mut linker = wasmtime::Linker::<twine_wasi::Wasi>::new(engine);
//! twine_wasi::add_to_linker(&mut linker, |wasi| wasi)?;
//! let wasi = twine_wasi::Wasi::new(system, vec!["app".into()], vec![])?;
//! # Ok(())
//! # }
//! ```
//!
//! Randomness comes from the CPU (RDRAND, through the `getrandom` crate), never from the host.
//! Clocks come from the host and are not trusted; the monotonic clock is checked never to go back.
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

mod component;
mod errno;
mod fd;
#[cfg(feature = "fuzzing")]
#[allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "in a function for fuzz targets, a panic is a finding"
)]
pub mod fuzzing;
mod hidden;
mod link;
mod mount;
mod path;
mod poll;
mod preview1;
mod socket;
mod stream;
mod strings;
mod system;
mod transfer;
#[allow(clippy::too_many_arguments, reason = "the witx defines the functions")]
mod types;

pub use component::{Command, CommandPre, add_component_to_linker, interfaces, provides_interface};
pub use hidden::hides;
pub use link::{add_to_linker, provides, with_memory};
pub use poll::MAX_SUBSCRIPTIONS;
pub use system::{
    Clock, Interest, PollRequest, Readiness, SocketError, StreamKind, System, SystemError,
};
pub use transfer::MAX_STREAM_BYTES;

use fd::table::Descriptors;
use mount::Mount;
use strings::Strings;
use wasmtime::component::ResourceTable;

/// The error that ends a program after it called `proc_exit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the program exited with code {0}")]
pub struct Exit(
    /// The exit code.
    pub u32,
);

/// Why arguments, environment, mounts or sockets cannot be passed to a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A string contains a NUL, at which C strings end.
    #[error("{0} holds a NUL character")]
    Nul(String),
    /// A name in the environment is empty or contains an equals sign.
    #[error("the environment's name {0:?} is empty or holds '='")]
    Name(String),
    /// The strings do not fit into 4 GiB: WASI preview 1 has 32-bit sizes.
    #[error("{0} have more than 4 GiB")]
    TooLarge(&'static str),
    /// The program would have too many descriptors.
    #[error("there are too many mounts and sockets")]
    Descriptors,
}

/// Data that the program wrote may not be durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what the program wrote under {path:?} could not be made durable: {error}")]
pub struct SyncError {
    /// The guest path of the file system.
    pub path: String,
    /// The error of the file system.
    pub error: twine_vfs::Error,
}

/// The system interface of one program.
pub struct Wasi {
    system: Box<dyn System>,
    arguments: Strings,
    environment: Strings,
    descriptors: Descriptors,
    mounts: Vec<Mount>,
    /// What a component has beside its descriptors.
    resources: ResourceTable,
    /// Whether the last read took all available input, so that the next one may have to wait.
    drained: bool,
}

impl Wasi {
    /// Whether the program must end now.
    pub(crate) fn is_over(&self) -> bool {
        self.system.is_over()
    }

    /// Makes the interface with the three standard streams of `system`, these arguments (the
    /// program's name first) and this environment.
    ///
    /// # Errors
    /// A string that cannot be passed to a program.
    pub fn new(
        mut system: Box<dyn System>,
        arguments: Vec<Vec<u8>>,
        environment: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, SetupError> {
        if let Some((name, _)) =
            environment.iter().find(|(name, _)| name.is_empty() || name.contains(&b'='))
        {
            return Err(SetupError::Name(String::from_utf8_lossy(name).into_owned()));
        }
        let descriptors =
            Descriptors::standard(|stream| system.kind(stream) == Ok(StreamKind::Device));
        let environment =
            environment.into_iter().map(|(name, value)| [name, value].join(&b'=')).collect();
        Ok(Wasi {
            system,
            arguments: Strings::new("arguments", arguments)?,
            environment: Strings::new("environment variables", environment)?,
            descriptors,
            mounts: Vec::new(),
            resources: component::resources(),
            drained: true,
        })
    }
}

impl std::fmt::Debug for Wasi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wasi").field("descriptors", &self.descriptors).finish_non_exhaustive()
    }
}
