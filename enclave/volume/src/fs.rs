//! The volume as a file system: names, files and what is removed.

pub(crate) mod directory;
pub(crate) mod file_io;
mod filesystem;
mod orphan;
mod rename;
