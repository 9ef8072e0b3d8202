//! A job: the trees it works in, its console, and whether everything succeeded.

use crate::console::{Console, StreamError};
use crate::error::{At, Error, Result, on_the_way};
use crate::path::{self, Spot};
use twine_protocol::text::visible;
use twine_vfs::{FileSystem, Inode};

/// A file tree to work in.
pub struct Tree<'a> {
    /// The tree.
    pub files: &'a mut dyn FileSystem,
    /// The text before its paths in messages.
    pub prefix: String,
    /// Whether it is a folder of the host, where each hold needs a descriptor.
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

    /// Finds the place for a new item.
    pub(crate) fn locate_new(&mut self, path: &str) -> Result<Spot> {
        on_the_way(path::locate(self.files, path, true), || self.place(path))
    }

    /// Finds the inode at a path, and holds it.
    pub(crate) fn find(&mut self, path: &str, follow: bool) -> Result<Inode> {
        let spot = self.locate(path, follow)?;
        spot.found(self.files).at(|| self.place(path))
    }
}

/// The console of a job, and its problems.
pub(crate) struct Job<'a> {
    pub(crate) console: &'a mut dyn Console,
    pub(crate) problems: u64,
    remedy: Option<String>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(console: &'a mut dyn Console) -> Self {
        Job { console, problems: 0, remedy: None }
    }

    /// Reports something that could not be done. The job continues.
    pub(crate) fn problem(&mut self, error: &Error) {
        self.problems += 1;
        self.remedy = Some(error.remedy());
        self.console.complain(&format!("error: {}", visible(&error.to_string())));
    }

    /// Reports the error that ended the job.
    pub(crate) fn fail(&mut self, error: &Error) {
        // If the reader closed the output, it knows that.
        if *error != Error::Stream(StreamError::Gone) {
            self.problem(error);
        }
    }

    /// Handles the result of one of several independent steps.
    pub(crate) fn attempt(&mut self, result: Result<()>) -> Result<()> {
        match result {
            // Nothing more can be printed.
            Err(error @ Error::Stream(_)) => Err(error),
            Err(error) => {
                self.problem(&error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Prints a remedy if there were problems. Returns whether there were none.
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
