//! The untrusted side of Twine: loads an enclave image on SGX, or on software SGX without the
//! hardware, and serves the enclave's host calls.
//!
//! ```no_run
//! use twine_host::{Image, Resources, Tee, run};
//! use twine_protocol::launch::Launch;
//!
//! let image = Image::open("twine.sgxs")?;
//! let launch = Launch { arguments: vec!["app".into()], ..Launch::default() };
//! let program = std::fs::read("app.wasm").unwrap();
//! let report = run(&image, Tee::Auto.choose()?, &launch, program, Resources::default())?;
//! println!("{:?}", report.outcome.end);
//! # Ok::<(), twine_host::Error>(())
//! ```
//!
//! The enclave trusts nothing here. A bug here can only deny service.

mod call;
mod code;
mod device;
mod driver;
mod elrange;
mod enter;
mod error;
mod folder;
mod former;
mod image;
mod limits;
mod mapping;
mod names;
mod network;
mod prefault;
mod process;
mod processor;
mod program;
mod records;
mod run;
mod service;
mod sockets;
mod state;
mod stats;
mod storage;
mod storages;
mod streams;
mod unread;
mod volume_file;
mod word;

pub use code::CodeFile;
pub use device::{Machine, Platform, Tee};
pub use error::Error;
pub use folder::Folder;
pub use former::FormerImage;
pub use image::Image;
pub use limits::{Shortage, has_memory, remedy};
pub use network::{ConnectRule, ListenRule, Network, NoRule};
pub use process::{on_a_large_stack, prepare};
pub use processor::Processor;
pub use program::Program;
pub use run::{Phases, Report, needs_sealing, run, run_interposed, run_modelled};
pub use service::{
    Attestation, Call, Former, Input, Interposer, Interrupts, NoAnswer, NoQuote, Progress,
    Resources,
};
pub use state::{State, StateError};
pub use stats::{CallStats, Stats, UnreadPages};
pub use storage::{Access, Locked, Storage, StorageError, remove_unmade, sync_folder};
pub use volume_file::VolumeFile;
pub use word::shell_word;
