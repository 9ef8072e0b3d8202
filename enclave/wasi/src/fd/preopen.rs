//! Preopens, and their guest paths.

use super::descriptor::Kind;
use crate::Wasi;
use crate::types::Result;
use crate::types::{Errno, Fd, Prestat, PrestatDir, Size};
use wiggle::{GuestMemory, GuestPtr};

impl Wasi {
    /// Returns the guest path of a preopen.
    fn preopened(&self, fd: Fd, other: Errno) -> Result<&str> {
        match &self.descriptors.get(fd)?.kind {
            Kind::Directory { held, preopened: true } => {
                Ok(&self.mounts.get(held.mount).ok_or(Errno::Badf)?.path)
            }
            _ => Err(other.into()),
        }
    }

    pub(crate) fn prestat(&self, fd: Fd) -> Result<Prestat> {
        // This errno tells wasi-libc that there are no more preopens.
        let path = self.preopened(fd, Errno::Badf)?;
        let pr_name_len = Size::try_from(path.len()).map_err(|_| Errno::Nametoolong)?;
        Ok(Prestat::Dir(PrestatDir { pr_name_len }))
    }

    pub(crate) fn prestat_name(
        &self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buffer: GuestPtr<u8>,
        size: Size,
    ) -> Result<()> {
        let path = self.preopened(fd, Errno::Notdir)?;
        let length = Size::try_from(path.len()).ok().filter(|length| *length <= size);
        let length = length.ok_or(Errno::Nametoolong)?;
        Ok(memory.copy_from_slice(path.as_bytes(), buffer.as_array(length))?)
    }
}
