//! The descriptor table of a program.
//!
//! A descriptor is one of the kinds of [`Descriptor`]. A file system adds its own kinds
//! here, and the functions of [`crate::preview1`] ask the table which kind they have
//! before they do anything.

use crate::preview1::types::{Errno, Rights};
use crate::stream::Stream;
use std::collections::BTreeMap;

/// What a descriptor number stands for.
#[derive(Debug, Clone)]
pub(crate) enum Descriptor {
    /// One of the host's standard streams.
    Stream(Stream),
}

/// Numbers to descriptors.
#[derive(Debug)]
pub(crate) struct Descriptors {
    open: BTreeMap<u32, Descriptor>,
}

impl Descriptors {
    /// The three standard streams at 0, 1 and 2.
    pub(crate) fn standard() -> Self {
        let stream = |number, rights| {
            let rights = rights
                | Rights::FD_FDSTAT_SET_FLAGS
                | Rights::FD_FILESTAT_GET
                | Rights::POLL_FD_READWRITE;
            Descriptor::Stream(Stream { number, rights, nonblocking: false })
        };
        let open = BTreeMap::from([
            (0, stream(0, Rights::FD_READ)),
            (1, stream(1, Rights::FD_WRITE)),
            (2, stream(2, Rights::FD_WRITE)),
        ]);
        Descriptors { open }
    }

    /// The descriptor with that number.
    pub(crate) fn get(&self, number: u32) -> Result<&Descriptor, Errno> {
        self.open.get(&number).ok_or(Errno::Badf)
    }

    /// The stream with that number.
    pub(crate) fn stream(&mut self, number: u32) -> Result<&mut Stream, Errno> {
        match self.open.get_mut(&number) {
            Some(Descriptor::Stream(stream)) => Ok(stream),
            None => Err(Errno::Badf),
        }
    }

    /// Closes a number.
    pub(crate) fn close(&mut self, number: u32) -> Result<(), Errno> {
        self.open.remove(&number).map(drop).ok_or(Errno::Badf)
    }

    /// Moves `from` to `to`, both of which must be open (`fd_renumber`).
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        if !self.open.contains_key(&to) {
            return Err(Errno::Badf);
        }
        let descriptor = self.open.remove(&from).ok_or(Errno::Badf)?;
        self.open.insert(to, descriptor);
        Ok(())
    }
}
