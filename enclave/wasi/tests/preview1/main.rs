//! WASI preview 1 as a program meets it: a small program calls it as each test says, over a
//! system and file trees in memory.

mod common;
mod directories;
mod escape;
mod files;
mod paths;
mod sockets;
mod streams;
