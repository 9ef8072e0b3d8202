//! How a user names an image in a layout.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An image in a folder: `oci:FOLDER` or `oci:FOLDER:NAME`, as skopeo and podman write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The folder of the layout.
    pub folder: PathBuf,
    /// The name of the image in it. Without one, the layout must have a single image of a program.
    pub name: Option<String>,
}

/// The text is not a reference to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not begin with oci: and a folder")]
pub struct NotAReference;

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let rest =
            text.strip_prefix("oci:").filter(|rest| !rest.is_empty()).ok_or(NotAReference)?;
        // A folder may have a colon in its name.
        let (folder, name) = match rest.split_once(':') {
            Some((folder, name)) if !Path::new(rest).exists() => (folder, Some(name)),
            _ => (rest, None),
        };
        match (folder, name) {
            ("", _) | (_, Some("")) => Err(NotAReference),
            (folder, name) => {
                Ok(Reference { folder: folder.into(), name: name.map(str::to_owned) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_folder_and_perhaps_a_name() {
        let parsed = |text: &str| text.parse::<Reference>().ok();
        let reference = |folder: &str, name: Option<&str>| {
            Some(Reference { folder: folder.into(), name: name.map(str::to_owned) })
        };
        assert_eq!(parsed("oci:images"), reference("images", None));
        assert_eq!(parsed("oci:images:app:1"), reference("images", Some("app:1")));
        let folder = tempfile::tempdir().unwrap();
        let colon = folder.path().join("a:b");
        std::fs::create_dir(&colon).unwrap();
        let colon = colon.to_str().unwrap();
        assert_eq!(parsed(&format!("oci:{colon}")), reference(colon, None));
        for wrong in ["images", "oci:", "oci::name", "oci:images:", "docker://app"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
