//! Recognises containers whose process is a WebAssembly program.

use crate::annotations::Annotations;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The first bytes of a WebAssembly binary.
const MAGIC: &[u8; 4] = b"\0asm";

/// Whether the container's process is a WebAssembly program: by the annotation, otherwise by the
/// name or the first bytes of the file. `program` is its path in the container, `directory` the
/// process's working directory there, `root` the folder of the container's files.
pub(crate) fn is_program(
    annotations: &Annotations,
    program: &str,
    directory: &str,
    root: &Path,
) -> bool {
    if annotations.is_sandbox {
        return false;
    }
    annotations
        .program
        .unwrap_or_else(|| program.ends_with(".wasm") || has_magic(root, directory, program))
}

/// Whether the file is a WebAssembly binary. The container controls its file names and symbolic
/// links, so the path is resolved as if `root` were the root folder.
fn has_magic(root: &Path, directory: &str, program: &str) -> bool {
    let open = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty())?;
        let path = Path::new(directory).join(program);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(root, path, flags, Mode::empty(), within)
    };
    let Ok(file) = open().map(File::from) else { return false };
    let mut start = [0; MAGIC.len()];
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    is_file && (&file).read_exact(&mut start).is_ok() && start == *MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_program_is_known_by_annotation_name_or_content() {
        let root = std::env::temp_dir().join(format!("twine-oci-program-{}", std::process::id()));
        fs::create_dir_all(root.join("app")).unwrap();
        fs::write(root.join("app/tool"), b"\0asm\x01\0\0\0").unwrap();
        fs::write(root.join("app/sh"), b"\x7fELF").unwrap();
        fs::write(root.join("app/short"), b"\0as").unwrap();
        symlink("/app/tool", root.join("link")).unwrap();
        let none = Annotations::default();
        let is = |program: &str| is_program(&none, program, "/app", &root);
        assert!(is("x.wasm") && is("/app/tool") && is("tool") && is("/link") && is("../link"));
        assert!(!is("/app/sh") && !is("/app/short") && !is("/app") && !is("/missing"));
        let said = |program| Annotations { program: Some(program), ..Annotations::default() };
        assert!(is_program(&said(true), "/app/sh", "/", &root));
        assert!(!is_program(&said(false), "/app/x.wasm", "/", &root));
        let sandbox = Annotations { is_sandbox: true, ..said(true) };
        assert!(!is_program(&sandbox, "/app/tool", "/", &root));
        fs::remove_dir_all(root).unwrap();
    }
}
