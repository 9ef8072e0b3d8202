//! Work on a volume of a deployment. Paths lead from the volume's root; a leading `/` makes no
//! difference.

use minicbor::{Decode, Encode};

/// The work.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Work {
    /// Lists a directory, or prints the name of a file.
    #[n(0)]
    List {
        /// The directory or file.
        #[n(0)]
        path: String,
        /// How.
        #[n(1)]
        form: Form,
    },
    /// Lists a directory and everything below it.
    #[n(1)]
    Tree {
        /// The directory.
        #[n(0)]
        path: String,
        /// Whether to print JSON.
        #[n(1)]
        json: bool,
    },
    /// Writes files to the standard output.
    #[n(2)]
    Print {
        /// The files.
        #[n(0)]
        paths: Vec<String>,
    },
    /// Makes directories, and the volume if it is not there yet.
    #[n(3)]
    MakeDirectories {
        /// The directories.
        #[n(0)]
        paths: Vec<String>,
        /// Whether to make missing parents too, and to accept directories that exist.
        #[n(1)]
        parents: bool,
    },
    /// Removes files and directories.
    #[n(4)]
    Remove {
        /// Their paths.
        #[n(0)]
        paths: Vec<String>,
        /// Whether to remove directories too, with everything below them.
        #[n(1)]
        recursive: bool,
        /// Whether to ignore paths that do not exist.
        #[n(2)]
        force: bool,
    },
    /// Renames, or moves into a directory.
    #[n(5)]
    Move {
        /// The files and directories to move.
        #[n(0)]
        sources: Vec<String>,
        /// The new path, or the directory to move them into.
        #[n(1)]
        target: String,
    },
    /// Copies within the volume.
    #[n(6)]
    Copy {
        /// The files and directories to copy.
        #[n(0)]
        sources: Vec<String>,
        /// The new path, or the directory to copy them into.
        #[n(1)]
        target: String,
        /// Whether to copy directories too, with everything below them.
        #[n(2)]
        recursive: bool,
    },
    /// Writes files and directories as a [parcel](crate::parcel) to the standard output.
    #[n(7)]
    Send {
        /// Their paths.
        #[n(0)]
        sources: Vec<String>,
        /// Whether to send directories too, with everything below them.
        #[n(1)]
        recursive: bool,
    },
    /// Copies what comes as a [parcel](crate::parcel) on the standard input. Makes the volume if it
    /// is not there yet.
    #[n(8)]
    Receive {
        /// The new path, or the directory to copy into.
        #[n(0)]
        target: String,
        /// Whether several things come, for which the target must be a directory.
        #[n(1)]
        several: bool,
    },
    /// Writes the standard input to a file. Makes the volume if it is not there yet.
    #[n(9)]
    Write {
        /// The file.
        #[n(0)]
        target: String,
    },
    /// Shows facts about the volume.
    #[n(10)]
    Info {
        /// Whether to print JSON.
        #[n(0)]
        json: bool,
    },
    /// Reads every block and reports the damage.
    #[n(11)]
    Check {
        /// Whether to print JSON.
        #[n(0)]
        json: bool,
        /// Whether to go on from the newest undamaged commit, for good, if later ones are damaged.
        #[n(1)]
        repair: Repair,
    },
    /// Returns free space to the host.
    #[n(12)]
    Compact {
        /// Whether to print JSON.
        #[n(0)]
        json: bool,
    },
}

/// The form of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Form {
    /// Names alone.
    #[n(0)]
    Names,
    /// Kinds, modes, links, sizes and times too.
    #[n(1)]
    Long,
    /// All of that, as JSON.
    #[n(2)]
    Json,
}

/// Whether to repair a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Repair {
    /// Do not repair it.
    #[n(0)]
    No,
    /// Repair it if the user agrees to lose what the enclave then lists.
    #[n(1)]
    Ask,
    /// Repair it, and report what is lost.
    #[n(2)]
    Yes,
}

impl Work {
    /// Whether the work changes the volume.
    pub fn changes(&self) -> bool {
        match self {
            Work::List { .. }
            | Work::Tree { .. }
            | Work::Print { .. }
            | Work::Send { .. }
            | Work::Info { .. } => false,
            Work::Check { repair, .. } => *repair != Repair::No,
            Work::MakeDirectories { .. }
            | Work::Remove { .. }
            | Work::Move { .. }
            | Work::Copy { .. }
            | Work::Receive { .. }
            | Work::Write { .. }
            | Work::Compact { .. } => true,
        }
    }

    /// Whether the work makes a volume that is not there yet.
    pub fn makes(&self) -> bool {
        matches!(self, Work::MakeDirectories { .. } | Work::Receive { .. } | Work::Write { .. })
    }

    /// Whether the work reads the standard input.
    pub fn reads(&self) -> bool {
        matches!(
            self,
            Work::Receive { .. } | Work::Write { .. } | Work::Check { repair: Repair::Ask, .. }
        )
    }
}
