//! What a mount does not take of what it found.

use std::fmt;

/// Commits after the state that was mounted. A commit is dropped because not all of it is in the
/// storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The number of the commit that was mounted, or is the newest that is whole.
    pub found: u64,
    /// Commits after it of which something is there.
    pub commits: u64,
    /// The largest number among them; [`found`](Self::found) if there is none.
    pub newest: u64,
    /// The last commit that is known to have been durable, if that is a later one.
    pub durable: Option<u64>,
    /// Entries of the log that can't be read. Any of them may be of a later commit.
    pub unreadable: u64,
}

impl Dropped {
    /// Whether a completed sync is among what was dropped, for certain. A crash never does that:
    /// the storage was damaged or changed. If not, a crash may explain it.
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
