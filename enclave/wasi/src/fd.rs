//! Descriptors, and the functions on them (`fd_*`).

pub(crate) mod descriptor;
pub(crate) mod io;
mod preopen;
mod readdir;
pub(crate) mod rights;
pub(crate) mod stat;
pub(crate) mod table;
