//! Commits that a mount found and did not use.

use std::fmt;

/// Commits after the state that was mounted. They were dropped because the storage does not hold
/// all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The sequence number of the commit that was mounted, or of the newest whole one.
    pub found: u64,
    /// Number of later commits of which the storage holds something.
    pub commits: u64,
    /// The largest sequence number among them; [`found`](Self::found) if there are none.
    pub newest: u64,
    /// The last commit that is known to have been durable, if it is later than `found`.
    pub durable: Option<u64>,
    /// Number of log entries that cannot be read. Each of them may belong to a later commit.
    pub unreadable: u64,
}

impl Dropped {
    /// Whether a completed sync is certainly among the dropped commits. A crash never causes that,
    /// so the storage was damaged or changed. If false, a crash may explain the dropped commits.
    pub fn is_loss(&self) -> bool {
        self.durable.is_some()
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dropped { found, commits, unreadable, .. } = self;
        match self.durable {
            Some(durable) => write!(
                f,
                "commit {durable} was durable, and the newest state that is whole is that of commit {found}"
            )?,
            None => write!(f, "the state is that of commit {found}")?,
        }
        match commits {
            0 => {}
            1 => f.write_str("; one later commit is not whole")?,
            _ => write!(f, "; {commits} later commits are not whole")?,
        }
        match unreadable {
            0 => Ok(()),
            1 => f.write_str("; one entry of the log can't be read"),
            _ => write!(f, "; {unreadable} entries of the log can't be read"),
        }
    }
}
