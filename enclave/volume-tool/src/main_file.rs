//! Finds the main file of a volume, whatever its former name.

use twine_vfs::{Error, FileKind, FileSystem, Result};

/// Endings of the files that SQLite keeps beside a database.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// Why the main file was not found or renamed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// Several files could be the main file.
    #[error("it holds several files that could be meant: {}", .0.join(", "))]
    Several(Vec<String>),
    /// It has another name, and the volume is read-only.
    #[error("its file is named {0}, and nothing may be changed")]
    ReadOnly(String),
    /// The files cannot be read or changed.
    #[error("{0}")]
    Files(#[from] Error),
}

/// Ensures that the main file of `files`, in the root, is named `name`. If no file has this name,
/// it renames the file named `former`, or else the only file, with its journals. Journals and
/// hidden files do not count. If there are no files, `name` stays free.
///
/// # Errors
/// The main file is not unique, or cannot be renamed.
pub fn rename_main_file(
    files: &mut dyn FileSystem,
    name: &str,
    former: &str,
) -> std::result::Result<(), Unclear> {
    let there = regular_files(files)?;
    if there.iter().any(|file| file == name) {
        return Ok(());
    }
    let is_companion = |file: &str| COMPANIONS.iter().any(|ending| file.ends_with(ending));
    let mut candidates: Vec<String> = there
        .iter()
        .filter(|file| !file.starts_with('.') && !is_companion(file))
        .cloned()
        .collect();
    if candidates.iter().any(|file| file == former) {
        candidates = vec![former.to_owned()];
    }
    let found = match &candidates[..] {
        [] => return Ok(()),
        [found] => found,
        _ => return Err(Unclear::Several(candidates)),
    };
    if files.read_only() {
        return Err(Unclear::ReadOnly(found.clone()));
    }
    let root = files.root();
    for companion in COMPANIONS {
        let from = format!("{found}{companion}");
        if there.contains(&from) {
            files.rename(root, &from, root, &format!("{name}{companion}"))?;
        }
    }
    files.rename(root, found, root, name)?;
    // One commit, so that a crash renames all or none.
    Ok(files.sync_all()?)
}

fn regular_files(files: &mut dyn FileSystem) -> Result<Vec<String>> {
    let mut there = Vec::new();
    let root = files.root();
    files.entries(root, 0, &mut |entry| {
        if entry.kind == FileKind::File {
            there.push(entry.name.to_owned());
        }
        true
    })?;
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use twine_vfs::Memory;

    fn with(names: &[&str]) -> Memory {
        let mut files = Memory::new(1 << 20, Box::new(|| 0));
        let root = files.root();
        for name in names {
            let inode = files.create_file(root, name).unwrap();
            files.release(inode);
        }
        files.create_directory(root, "folder").unwrap();
        files
    }

    fn renamed(names: &[&str]) -> std::result::Result<Vec<String>, Unclear> {
        let mut files = with(names);
        rename_main_file(&mut files, "main.db", "my.db")?;
        let mut names = regular_files(&mut files)?;
        names.sort();
        Ok(names)
    }

    #[test]
    fn the_only_file_gets_the_name_with_its_journals() {
        assert_eq!(renamed(&[]), Ok(vec![]));
        assert_eq!(renamed(&["old.db"]), Ok(vec!["main.db".into()]));
        assert_eq!(
            renamed(&["old.db", "old.db-journal", ".history"]),
            Ok(vec![".history".into(), "main.db".into(), "main.db-journal".into()])
        );
    }

    #[test]
    fn its_own_name_comes_first_then_the_former_one() {
        assert_eq!(renamed(&["main.db", "my.db"]), Ok(vec!["main.db".into(), "my.db".into()]));
        assert_eq!(renamed(&["a.db", "my.db"]), Ok(vec!["a.db".into(), "main.db".into()]));
        let Err(Unclear::Several(mut several)) = renamed(&["b.db", "a.db"]) else {
            panic!("two could be meant")
        };
        several.sort();
        assert_eq!(several, ["a.db", "b.db"]);
    }
}
