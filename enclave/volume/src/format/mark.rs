//! The mark of a commit.

/// Identifies a state of a volume. An anchor remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// The sequence number of the commit's last log entry. It grows with each commit.
    pub sequence: u64,
    /// That entry's tag, which distinguishes entries with the same number.
    pub tag: [u8; 16],
}
