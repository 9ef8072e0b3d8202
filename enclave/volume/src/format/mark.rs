//! Which commit a state is of.

/// A state of a volume, as an anchor remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// The number of the log entry that completed the state. It grows with each commit.
    pub sequence: u64,
    /// That entry's authentication tag, which tells it from others of the same number.
    pub tag: [u8; 16],
}
