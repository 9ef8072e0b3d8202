//! How commits are written, and what of them is durable.

/// What a commit outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The end of this process: it was handed to the operating system.
    HandedOver,
    /// The end of the machine: a barrier came after it.
    Synced,
}

/// How a commit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// It is durable when a barrier has come.
    Back,
    /// It is durable when it is written.
    Through,
}

/// Which commits have begun to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitKind {
    /// One that lists its changes in the log.
    Log,
    /// One that writes the tree.
    Tree,
}

/// What became durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MadeDurable {
    /// The last commit. The last one that wrote the tree was durable already.
    Log,
    /// The last commit, and the last one that wrote the tree, which was not yet.
    Tree,
}
