//! OCI images of WebAssembly programs, in folders that hold an OCI layout.
//!
//! [`build()`] makes an image from a program, in one of two forms ([`Form`]). [`Layout`] writes
//! images into a folder and finds them there, also those that other tools made. [`Image`] is an
//! image that was found: its settings, and its files, which [`Image::unpack`] puts into a temporary
//! folder.
//!
//! The bytes of an image that is built depend on nothing but what it is built from: neither on the
//! time, nor on owners and modes of files, nor on the machine.
//!
//! Specifications: OCI Image Format 1.1; "Wasm OCI Artifact layout" of the CNCF's working group.
#![forbid(unsafe_code)]

mod blob;
mod build;
mod error;
mod image;
mod layer;
mod layout;
mod reference;
mod tree;
mod unpack;

pub use build::{Built, Form, Recipe, build};
pub use error::Error;
pub use image::Image;
pub use layout::Layout;
pub use reference::Reference;
pub use unpack::Unpacked;

/// The media type of a config in the form of an artifact.
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The media type of a layer that is a WebAssembly program, in the form of an artifact.
const WASM_LAYER: &str = "application/wasm";

/// The architecture in the platform of an image of a program.
const ARCHITECTURE: &str = "wasm";

/// The operating system in the platform of an image of a program.
const SYSTEM: &str = "wasi";

/// The first bytes of a WebAssembly module: magic number and version.
const MODULE: &[u8; 8] = b"\0asm\x01\0\0\0";

/// The prefix of the name of a file in a layer that says that a lower layer's file is gone.
const WHITEOUT: &[u8] = b".wh.";
