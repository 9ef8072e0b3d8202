//! Tests of WASI preview 1 from a program's view: a small program calls it as each test says, with
//! a system and file trees in memory.

mod common;
mod directories;
mod escape;
mod files;
mod paths;
mod sockets;
mod streams;
