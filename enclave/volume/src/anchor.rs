//! Freshness across mounts: somebody else who remembers how new the volume is.

use crate::format::identity::VolumeId;
use crate::format::mark::Mark;

/// An anchor could not be asked, or did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AnchorError(pub String);

/// Who remembers the newest state of volumes, out of reach of whoever holds the storage:
/// a service, a counter of a TPM.
///
/// [`advance`](Anchor::advance) is called after each commit that is durable, so that a
/// crash between the two leaves a volume that is one commit newer than its mark. Such a
/// volume is accepted when its log still shows that it goes on from the mark.
pub trait Anchor: Send {
    /// The mark last given for a volume.
    ///
    /// # Errors
    /// When the anchor can't say. The volume is then not opened.
    fn newest(&mut self, volume: &VolumeId) -> Result<Option<Mark>, AnchorError>;

    /// Remembers a newer mark.
    ///
    /// # Errors
    /// When the anchor did not take it. The sync that made the commit fails then, though
    /// its data are durable, and the next one tries again.
    fn advance(&mut self, volume: &VolumeId, mark: Mark) -> Result<(), AnchorError>;
}
