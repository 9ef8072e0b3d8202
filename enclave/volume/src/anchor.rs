//! Freshness across mounts: an anchor remembers the newest state of a volume.

use crate::format::identity::VolumeId;
use crate::format::mark::Mark;

/// The anchor could not be reached, or did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AnchorError(pub String);

/// Remembers the newest state of volumes, out of reach of whoever holds the storage. For example, a
/// service or a counter of a TPM.
///
/// The volume calls [`advance`](Anchor::advance) after each durable commit. A crash between the
/// commit and this call leaves a volume that is one commit newer than its mark. Such a volume is
/// accepted if its log still shows that it continues from the mark.
pub trait Anchor: Send {
    /// Returns the last mark of a volume.
    ///
    /// # Errors
    /// Fails if the anchor cannot tell. The volume is then not opened.
    fn newest(&mut self, volume: &VolumeId) -> Result<Option<Mark>, AnchorError>;

    /// Remembers a newer mark.
    ///
    /// # Errors
    /// Fails if the anchor did not take the mark. The sync that made the commit then fails,
    /// although its data are durable, and the next sync tries again.
    fn advance(&mut self, volume: &VolumeId, mark: Mark) -> Result<(), AnchorError>;
}
