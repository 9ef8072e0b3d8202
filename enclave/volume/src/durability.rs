//! How commits are written, and when they are durable.

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It survives the end of this process: the operating system has the written blocks.
    HandedOver,
    /// It survives the end of the machine: a barrier came after it.
    Synced,
}

/// How a commit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// It is durable after the next barrier.
    Back,
    /// It is durable when the write returns.
    Through,
}

/// The kind of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitKind {
    /// A change commit, which lists its changes in the log.
    Log,
    /// A tree commit, which writes the tree.
    Tree,
}

/// The commits that became durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MadeDurable {
    /// The last commit. The last tree commit was durable before.
    Log,
    /// The last commit, and the last tree commit with it.
    Tree,
}
