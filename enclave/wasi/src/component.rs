//! WASI 0.2, for components: the interfaces of the world `wasi:cli/command`.
//!
//! Arguments, environment, descriptors, mounts and the [`System`](crate::System) are those of
//! [`Wasi`], as for modules: a component sees the same files under the same rules. Resources of the
//! component are in a table beside the descriptors. All functions return when their work is done,
//! and those that wait do it in the system's calls.
//!
//! A component that asks for version 0.2.x gets the interfaces of 0.2.12, which contain those of all
//! versions before.

mod command;
mod files;
mod poll;
mod sockets;
mod streams;
#[cfg(test)]
mod tests;

pub use command::{Command, CommandPre, add_component_to_linker, interfaces, provides_interface};

use crate::Wasi;
use crate::types::Errno;
use files::Listing;
use streams::{InputStream, OutputStream};
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};

/// Limit on the resources that a component has at one time: streams, pollables and others.
/// Descriptors have their own.
const MAX_RESOURCES: usize = 1 << 16;

/// Returns the table for a component's resources.
pub(crate) fn resources() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(MAX_RESOURCES);
    table
}

/// An operation that failed.
#[derive(Debug, Clone, Copy)]
pub struct Failure(Errno);

/// Why a function did not return a result: an error of its interface, or one that ends the component,
/// because it used a resource that it has not got or broke a rule of the interface.
#[derive(Debug)]
pub enum Failed {
    /// An errno.
    Errno(Errno),
    /// The end of the component.
    Trap(wasmtime::Error),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Failed::Errno(errno)
    }
}

impl From<twine_vfs::Error> for Failed {
    fn from(error: twine_vfs::Error) -> Self {
        Failed::Errno(error.into())
    }
}

impl From<crate::SystemError> for Failed {
    fn from(error: crate::SystemError) -> Self {
        Failed::Errno(error.into())
    }
}

impl From<ResourceTableError> for Failed {
    fn from(error: ResourceTableError) -> Self {
        Failed::Trap(error.into())
    }
}

impl From<crate::types::Error> for Failed {
    fn from(error: crate::types::Error) -> Self {
        match error.downcast() {
            Ok(errno) => Failed::Errno(errno),
            Err(trap) => Failed::Trap(trap),
        }
    }
}

impl Wasi {
    /// Takes all resources from the component, and releases their inodes.
    pub(crate) fn take_resources(&mut self) {
        let mut held = Vec::new();
        for resource in self.resources.iter_mut() {
            if let Some(stream) = resource.downcast_ref::<InputStream>() {
                held.extend(stream.held().cloned());
            } else if let Some(stream) = resource.downcast_ref::<OutputStream>() {
                held.extend(stream.held().cloned());
            } else if let Some(listing) = resource.downcast_ref::<Listing>() {
                held.push(listing.held.0.clone());
            }
        }
        self.resources = resources();
        while let Some(held) = held.pop() {
            self.release(&held);
        }
    }

    /// Gives the component a resource.
    fn give<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>, ResourceTableError> {
        self.resources.push(value)
    }
}
