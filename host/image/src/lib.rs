//! Builds SGX enclave images from programs for `x86_64-fortanix-unknown-sgx`.
//!
//! cargo builds an ELF file. An enclave is loaded from an SGXS image, which has the pages, their
//! permissions, and the record of which contents are measured, together with a signature. This crate
//! builds the image from the program and a [`Manifest`], measures it, signs it, and shows its
//! contents. It replaces `ftxsgx-elf2sgxs`, `sgxs-sign` and `sgxs-info`, and adds the features that
//! Twine's enclave needs: a code arena, guard ranges, several SSA frames, and a custom entry stub.
//!
//! It does not load or run enclaves, and does not need SGX.
//!
//! ```no_run
//! use twine_image::{Date, Manifest, SigningKey};
//!
//! # fn main() -> Result<(), twine_image::Error> {
//! let manifest = Manifest::from_file("image.toml")?;
//! let built = twine_image::build_file("target/.../release/enclave", &manifest, "enclave.sgxs")?;
//!
//! let key = SigningKey::development_key("keys/development.pem")?;
//! let date = Date::choose(None, &manifest)?;
//! let sigstruct = twine_image::sign(built.mrenclave, &manifest, date, &key)?;
//! twine_image::write_signature("enclave.sgxs", &sigstruct)?;
//!
//! print!("{}", twine_image::inspect_file("enclave.sgxs")?);
//! # Ok(())
//! # }
//! ```
//!
//! The same program, manifest, date and key give the same bytes on every machine.

#![forbid(unsafe_code)]

mod date;
mod dynamic;
mod elf;
mod error;
mod files;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod inspect;
mod io;
mod key;
mod layout;
mod manifest;
mod measure;
mod pages;
mod segment;
mod sign;
mod write;

pub use date::Date;
pub use error::Error;
pub use files::{build_file, read_signature, signature_path, write_signature};
pub use inspect::{
    Coverage, Inspection, RegionInfo, SignatureInfo, ThreadInfo, inspect, inspect_file,
};
pub use key::{SigningKey, VerifyingKey};
pub use manifest::Manifest;
pub use measure::{Mrenclave, Mrsigner, measure};
pub use pages::{Page, Pages, pages_at_start};
pub use sgx_isa::{Attributes, Sigstruct};
pub use sign::{SigningRequest, launch_attributes, sign, verify};
pub use write::{Built, build};

/// SSAFRAMESIZE of the images made here, in pages.
///
/// A frame holds the XSAVE area, EXINFO and the general registers: at most 2696 + 16 + 184
/// bytes for the state that a [`Manifest`] may ask for.
pub const SSA_FRAME_PAGES: u32 = 1;
