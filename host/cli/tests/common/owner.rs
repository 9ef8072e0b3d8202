//! An owner with a key, who signs manifests.

use super::{Ended, Folder, run, twine};
use std::fs;

/// An owner, with a folder for the key and the manifests.
#[derive(Debug)]
pub struct Owner {
    folder: Folder,
}

impl Owner {
    /// Makes an owner with a key of this type.
    pub fn new(key: &str) -> Self {
        let owner = Owner { folder: Folder::new() };
        let made =
            owner.twine(&["key", "new", "--type", key, "-o", "owner.pem", "--public", "owner.pub"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        owner
    }

    /// The folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Runs a command in the folder.
    pub fn twine(&self, arguments: &[&str]) -> Ended {
        run(twine().current_dir(self.folder.path()).args(arguments))
    }

    /// Writes the manifest `NAME.toml` for a program with these options and arguments.
    #[track_caller]
    pub fn init(&self, name: &str, program: &str, options: &[&str], arguments: &[&str]) {
        let output = format!("{name}.toml");
        let _ = fs::remove_file(self.folder.path().join(&output));
        let usual = ["manifest", "init", "--output", &output];
        let given = [&usual[..], options, &[program, "--"], arguments].concat();
        self.twine(&given).printed(&format!("{output}\n"));
    }

    /// Changes a part of the manifest `NAME.toml`.
    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let path = self.folder.path().join(format!("{name}.toml"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Signs the manifest `NAME.toml`.
    #[track_caller]
    pub fn sign(&self, name: &str) {
        let signed =
            self.twine(&["manifest", "sign", &format!("{name}.toml"), "--key", "owner.pem"]);
        assert_eq!(signed.code, Some(0), "{signed:?}");
    }

    /// Runs a program under the manifest `NAME.manifest`, with these options before the program.
    pub fn run(&self, name: &str, options: &[&str], program: &[&str]) -> Ended {
        let manifest = format!("{name}.manifest");
        let usual = ["run", "--quiet", "--manifest", &manifest];
        self.twine(&[&usual[..], options, program].concat())
    }
}
