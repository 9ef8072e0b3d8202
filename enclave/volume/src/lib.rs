//! The protected volume.
#![forbid(unsafe_code)]
