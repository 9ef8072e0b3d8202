//! Writes the inputs that the fuzz targets begin with into a folder: `TARGET/NUMBER`. They follow
//! the format, so they are written anew when it changes: `cargo xtask fuzz --seeds`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: seeds FOLDER"));
    };
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (target, bytes) in twine_boundary::fuzzing::seeds() {
        let count = counts.entry(target).or_default();
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{count:03}")), bytes)?;
        *count += 1;
    }
    Ok(())
}
