//! One job: the trees it works in, its console, and whether all went well.

use crate::console::{Console, StreamError};
use crate::error::{At, Error, Result, on_the_way};
use crate::path::{self, Spot};
use twine_protocol::text::visible;
use twine_vfs::{FileSystem, Inode};

/// A file tree that work is done in.
pub struct Tree<'a> {
    /// The tree.
    pub files: &'a mut dyn FileSystem,
    /// What stands before a path in it in messages.
    pub prefix: String,
    /// It is a folder of the host's, where everything that is held costs a descriptor.
    pub host: bool,
}

impl std::fmt::Debug for Tree<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Tree<'_> {
    pub(crate) fn place(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    pub(crate) fn locate(&mut self, path: &str, follow: bool) -> Result<Spot> {
        path::locate(self.files, path, follow).at(|| self.place(path))
    }

    /// Where something new is to be.
    pub(crate) fn locate_new(&mut self, path: &str) -> Result<Spot> {
        on_the_way(path::locate(self.files, path, true), || self.place(path))
    }

    /// What a path leads to; held.
    pub(crate) fn find(&mut self, path: &str, follow: bool) -> Result<Inode> {
        let spot = self.locate(path, follow)?;
        spot.found(self.files).at(|| self.place(path))
    }
}

/// The console of one job, and what went wrong in it.
pub(crate) struct Job<'a> {
    pub(crate) console: &'a mut dyn Console,
    pub(crate) problems: u64,
    remedy: Option<String>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(console: &'a mut dyn Console) -> Self {
        Job { console, problems: 0, remedy: None }
    }

    /// Says what could not be done; the job goes on with the rest.
    pub(crate) fn problem(&mut self, error: &Error) {
        self.problems += 1;
        self.remedy = Some(error.remedy());
        self.console.complain(&format!("error: {}", visible(&error.to_string())));
    }

    /// Says what ended the job.
    pub(crate) fn fail(&mut self, error: &Error) {
        // Who closed the output knows it.
        if *error != Error::Stream(StreamError::Gone) {
            self.problem(error);
        }
    }

    /// Does one of several things that don't depend on each other.
    pub(crate) fn attempt(&mut self, result: Result<()>) -> Result<()> {
        match result {
            // Nothing more can be said.
            Err(error @ Error::Stream(_)) => Err(error),
            Err(error) => {
                self.problem(&error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Says what to do, if anything went wrong; whether all went well.
    pub(crate) fn end(self) -> bool {
        match self.remedy {
            Some(remedy) => {
                self.console.complain(&format!("  help: {remedy}"));
                false
            }
            None => true,
        }
    }
}
