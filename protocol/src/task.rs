//! What the enclave is to do: run a program, or work on a protected volume.

use crate::key::VolumeKey;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What the enclave is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Run the program.
    #[default]
    Program,
    /// Compile the program and keep its code (`twine compile`).
    Compile,
    /// Work on a protected volume (`twine volume`).
    Volume(Box<VolumeTask>),
}

/// Work on a protected volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeTask {
    /// The volume. [`Operation::Create`] and [`Operation::Import`] make it.
    pub volume: OpenVolume,
    /// What to do.
    pub operation: Operation,
    /// Say how far long work has come, by the host call `progress`.
    pub progress: bool,
}

/// A volume that is to be opened, or made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenVolume {
    /// What the user calls it, for messages.
    pub name: String,
    /// The storage that holds it: its number for the `storage_...` calls.
    pub storage: u64,
    /// What opens it. For a new one: its first key; sealed to one program, that is the
    /// program that comes with the launch request.
    pub key: VolumeKey,
    /// For a new one: further keys that open it.
    pub more_keys: Vec<VolumeKey>,
    /// Whether the storage may only be read.
    pub read_only: bool,
}

/// Whether a volume is repaired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Repair {
    /// It is not.
    #[default]
    No,
    /// It is, if the user says yes to what will be lost.
    Ask,
    /// It is; what is lost is said.
    Yes,
}

/// What to do with a volume. Paths are paths in it; a leading `/` makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Make it, with the contents of a folder of the host's if one is named, by its number
    /// for `calls::folder`.
    Create {
        /// The folder.
        folder: Option<u64>,
    },
    /// List a directory, or name a file.
    List {
        /// Of what.
        path: String,
        /// Kinds, links, sizes and times too.
        long: bool,
        /// As JSON.
        json: bool,
    },
    /// Show a directory and all below it.
    Tree {
        /// Of what.
        path: String,
        /// As JSON.
        json: bool,
    },
    /// Write files to standard output.
    Print {
        /// Which.
        paths: Vec<String>,
    },
    /// Make directories.
    MakeDirectories {
        /// Which.
        paths: Vec<String>,
        /// Also those above them; one that is there is no error.
        parents: bool,
    },
    /// Remove.
    Remove {
        /// What.
        paths: Vec<String>,
        /// Directories too, with all below them.
        recursive: bool,
        /// What is not there is no error.
        force: bool,
    },
    /// Rename, or move into a directory.
    Move {
        /// What.
        sources: Vec<String>,
        /// Where to.
        target: String,
    },
    /// Copy into the volume, out of it or within it.
    Copy {
        /// What.
        sources: Vec<Location>,
        /// Where to.
        target: Location,
        /// Directories too, with all below them.
        recursive: bool,
    },
    /// Say what is known of the volume.
    Info {
        /// The header alone will do where the key does not open the volume.
        header: bool,
        /// As JSON.
        json: bool,
    },
    /// Read every block and say what is lost.
    Check {
        /// As JSON.
        json: bool,
        /// Whether to go on from the newest whole state, for good, where the end is damaged.
        repair: Repair,
    },
    /// List the key slots.
    ListKeys {
        /// As JSON.
        json: bool,
    },
    /// Add a key.
    AddKey {
        /// The new key; sealed to one program as in [`OpenVolume::key`].
        key: VolumeKey,
    },
    /// Remove the key in a slot.
    RemoveKey {
        /// The slot's number.
        slot: u32,
    },
    /// Put a new key in the place of an old one.
    RotateKey {
        /// The old key's slot; the one that the volume's key can be of, if it is the only one
        /// of its kind.
        slot: Option<u32>,
        /// The new key; sealed to one program as in [`OpenVolume::key`].
        key: VolumeKey,
    },
    /// Copy the volume into a new one that lies close together.
    Export {
        /// The new volume.
        target: OpenVolume,
    },
    /// Make the volume, as a copy of another.
    Import {
        /// The other.
        source: OpenVolume,
    },
    /// Give what is free back to the host.
    Compact {
        /// As JSON.
        json: bool,
    },
}

/// Where to copy from or to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// In the volume, at a path.
    Volume(String),
    /// In a folder of the host's.
    Folder(FolderLocation),
    /// Standard input or output.
    Stream,
}

/// A place in a folder of the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderLocation {
    /// The folder's number for `calls::folder`.
    pub folder: u64,
    /// The name in it; empty for the folder itself. With a slash behind it, it can only be a
    /// directory's.
    pub entry: String,
    /// The name that a copy of it gets in a directory; empty where only what is in it is
    /// copied there.
    pub name: String,
    /// What the user calls it, for messages.
    pub shown: String,
}
