//! The work that the enclave does: run a program, or work on a protected volume.

use crate::key::VolumeKey;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The work that the enclave does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Run the program.
    #[default]
    Program,
    /// Compile the program and have the host cache its code (`twine compile`).
    Compile,
    /// Work on a protected volume (`twine volume`).
    Volume(Box<VolumeTask>),
    /// Hold deployments until the host closes the standard input (`twine host`).
    Host(Box<HostTask>),
    /// Answer the request of an enclave of another image that takes deployments over. The request
    /// comes in place of the program, and the answer is in the outcome.
    Handover,
}

/// Holding deployments. The listening socket is the first socket of the launch request. The numbers
/// are the operator's: the enclave cannot give more than it has, and the host can always give less.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTask {
    /// The TARGETINFO of the quoting enclave (SDM Vol. 3D, table 37-20): 512 bytes.
    pub target: Vec<u8>,
    /// The owners that may deploy: SHA-256 of their public keys. Without any, everybody may.
    pub owners: Vec<[u8; 32]>,
    /// How many deployments there may be.
    pub deployments: u64,
    /// How many deployments one owner may have.
    pub per_owner: u64,
    /// How many programs may run at once. The image's threads are another limit.
    pub running: u64,
    /// How much memory all programs that run may take together, in bytes. `None`: what the image
    /// has.
    pub memory: Option<u64>,
    /// How much memory one program may take, in bytes. `None`: what the image has.
    pub each: Option<u64>,
    /// How much memory all programs of one owner that run may take together, in bytes. `None`: what
    /// the image has.
    pub each_owner: Option<u64>,
}

/// Work on a protected volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeTask {
    /// The volume. [`Operation::Create`] and [`Operation::Import`] make it.
    pub volume: OpenVolume,
    /// The work.
    pub operation: Operation,
    /// Whether to report the progress of long work, with the host call `progress`.
    pub progress: bool,
}

/// A volume to open or to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenVolume {
    /// Its name in messages to the user.
    pub name: String,
    /// The number, for the `storage_...` calls, of the storage that holds it.
    pub storage: u64,
    /// The key that opens it, or the first key of a new volume. A key that is sealed to one program
    /// is sealed to the program that comes with the launch request.
    pub key: VolumeKey,
    /// Further keys of a new volume.
    pub more_keys: Vec<VolumeKey>,
    /// Whether writing to the storage is not allowed.
    pub read_only: bool,
}

/// Whether to repair a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Repair {
    /// Do not repair it.
    #[default]
    No,
    /// Repair it if the user agrees to lose what the enclave then lists.
    Ask,
    /// Repair it, and report what is lost.
    Yes,
}

/// The work on a volume. Paths lead from the volume's root; a leading `/` makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Make the volume, with the contents of a folder of the host if `folder` is one.
    Create {
        /// The folder's number for `calls::folder`.
        folder: Option<u64>,
    },
    /// List a directory, or print the name of a file.
    List {
        /// The directory or file.
        path: String,
        /// Whether to list kinds, links, sizes and times too.
        long: bool,
        /// Whether to print JSON.
        json: bool,
    },
    /// List a directory and everything below it.
    Tree {
        /// The directory.
        path: String,
        /// Whether to print JSON.
        json: bool,
    },
    /// Write files to standard output.
    Print {
        /// The files.
        paths: Vec<String>,
    },
    /// Make directories.
    MakeDirectories {
        /// The directories.
        paths: Vec<String>,
        /// Whether to make missing parents too, and to accept directories that exist.
        parents: bool,
    },
    /// Remove files and directories.
    Remove {
        /// Their paths.
        paths: Vec<String>,
        /// Whether to remove directories too, with everything below them.
        recursive: bool,
        /// Whether to ignore paths that do not exist.
        force: bool,
    },
    /// Rename, or move into a directory.
    Move {
        /// The files and directories to move.
        sources: Vec<String>,
        /// The new path, or the directory to move them into.
        target: String,
    },
    /// Copy into the volume, out of it or within it.
    Copy {
        /// The files and directories to copy.
        sources: Vec<Location>,
        /// The new path, or the directory to copy them into.
        target: Location,
        /// Whether to copy directories too, with everything below them.
        recursive: bool,
    },
    /// Show facts about the volume.
    Info {
        /// Whether the header alone is enough if the key does not open the volume.
        header: bool,
        /// Whether to print JSON.
        json: bool,
    },
    /// Read every block and report the damage.
    Check {
        /// Whether to print JSON.
        json: bool,
        /// Whether to continue from the newest undamaged commit, for good, if later ones are
        /// damaged.
        repair: Repair,
    },
    /// List the key slots.
    ListKeys {
        /// Whether to print JSON.
        json: bool,
    },
    /// Add a key.
    AddKey {
        /// The new key. It is sealed to one program as [`OpenVolume::key`] is.
        key: VolumeKey,
    },
    /// Remove the key in a slot.
    RemoveKey {
        /// The slot's number.
        slot: u32,
    },
    /// Replace an old key by a new one.
    RotateKey {
        /// The old key's slot. `None`: the only slot of the kind of key that the volume was opened
        /// with.
        slot: Option<u32>,
        /// The new key. It is sealed to one program as [`OpenVolume::key`] is.
        key: VolumeKey,
    },
    /// Copy the volume into a new, compacted one.
    Export {
        /// The new volume.
        target: OpenVolume,
    },
    /// Make the volume as a copy of another.
    Import {
        /// The other volume.
        source: OpenVolume,
    },
    /// Return free space to the host.
    Compact {
        /// Whether to print JSON.
        json: bool,
    },
}

/// A source or target of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// In the volume, at a path.
    Volume(String),
    /// In a folder of the host.
    Folder(FolderLocation),
    /// Standard input or output.
    Stream,
}

/// A location in a folder of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderLocation {
    /// The folder's number for `calls::folder`.
    pub folder: u64,
    /// The name in the folder; empty for the folder itself. A name that ends with a slash can only
    /// be the name of a directory.
    pub entry: String,
    /// The name that a copy gets in a directory; empty if the contents are to be copied there
    /// without the directory itself.
    pub name: String,
    /// Its name in messages to the user.
    pub shown: String,
}
