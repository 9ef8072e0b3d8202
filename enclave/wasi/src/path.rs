//! Paths, and the functions on them (`path_*`).

pub(crate) mod open;
pub(crate) mod operations;
pub(crate) mod walk;
