//! The host's file that holds a volume of a deployment.

use crate::state::volume_name;
use twine_boundary::{Access, MappedFile};
use twine_evidence::statement::Deployment;
use twine_protocol::wire::Status;
use twine_sgx::{Outside, host};

/// A file that is open. Nobody else can use it until it is closed.
pub(crate) struct VolumeFile {
    opened: MappedFile<'static, Outside>,
    name: String,
    empty: bool,
}

impl VolumeFile {
    /// Opens the file of the volume that is mounted at `guest`.
    ///
    /// # Errors
    /// The host's status.
    pub(crate) fn open(
        deployment: &Deployment,
        guest: &str,
        access: Access,
    ) -> Result<Self, Status> {
        let name = volume_name(deployment, guest);
        let mut opened = host().open_storage(&name, access)?;
        let empty = opened.size()? == 0;
        Ok(VolumeFile { opened, name, empty })
    }

    /// The number of its storage.
    pub(crate) fn number(&self) -> u64 {
        self.opened.number()
    }

    /// Whether there was no volume in it when it was opened.
    pub(crate) fn is_new(&self) -> bool {
        self.empty
    }

    /// Closes it. Removes it if no volume was made in it, so that it is as if it had not been opened.
    pub(crate) fn close(mut self) {
        let still = self.empty && self.opened.size().is_ok_and(|size| size == 0);
        self.end(still);
    }

    /// Closes it, and removes it if there was no volume in it before: what was made in it is of no use.
    pub(crate) fn discard(self) {
        let new = self.empty;
        self.end(new);
    }

    fn end(self, remove: bool) {
        let VolumeFile { opened, name, .. } = self;
        drop(opened);
        if remove {
            // If it can't be removed, it is found empty the next time.
            let _ = host().remove_storage(&name);
        }
    }
}
