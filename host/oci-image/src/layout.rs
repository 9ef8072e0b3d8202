//! A folder with an OCI layout: images in blobs, and an index of their names.

use crate::blob::{self, MAX_JSON, json};
use crate::build::{Built, Contents};
use crate::error::{Error, Result};
use crate::image::Image;
use oci_spec::distribution;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, ImageIndex, ImageIndexBuilder, MediaType, OciLayout,
    OciLayoutBuilder, SCHEMA_VERSION,
};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The annotation by which containerd names an image that it imports.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The version of the layout.
const VERSION: &str = "1.0.0";

/// How many indexes may lie in one another.
const MAX_DEPTH: usize = 4;

/// A folder with an OCI layout.
#[derive(Debug)]
pub struct Layout {
    folder: PathBuf,
    index: ImageIndex,
}

/// Reads a JSON file of at most [`MAX_JSON`] bytes.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_JSON).read_to_end(&mut bytes))
        .map_err(Error::at(path))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::damaged(path, error))
}

fn new_index() -> ImageIndex {
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(Vec::new())
        .build();
    index.expect("an index needs no more")
}

fn name_of(manifest: &Descriptor) -> Option<&str> {
    let annotations = manifest.annotations().as_ref()?;
    annotations.get(ANNOTATION_REF_NAME).map(String::as_str)
}

/// The annotations of a manifest with this name.
///
/// # Errors
/// When it is no name of an image.
fn named(name: &str) -> Result<HashMap<String, String>> {
    let whole = name.parse::<distribution::Reference>().map_err(|error| Error::Recipe {
        cause: format!("{name:?} is no name of an image: {error}"),
        remedy: "write it as NAME:TAG or REGISTRY/NAME:TAG, in lower case".into(),
    })?;
    Ok(HashMap::from([
        (ANNOTATION_REF_NAME.to_owned(), name.to_owned()),
        (CONTAINERD_NAME.to_owned(), whole.whole()),
    ]))
}

impl Layout {
    /// Opens the layout in a folder.
    ///
    /// # Errors
    /// When the folder holds no layout, or one of another version.
    pub fn open(folder: &Path) -> Result<Self> {
        let not = |cause: &str| Error::NotALayout { folder: folder.into(), cause: cause.into() };
        fs::read_dir(folder).map_err(Error::at(folder))?;
        let marker = folder.join("oci-layout");
        if !marker.exists() {
            return Err(not("it has no file oci-layout"));
        }
        if read_json::<OciLayout>(&marker)?.image_layout_version() != VERSION {
            return Err(not("its layout is not of version 1.0.0"));
        }
        let index = read_json(&folder.join("index.json"))?;
        Ok(Layout { folder: folder.into(), index })
    }

    /// Opens the layout in a folder, or makes one where there is no folder or an empty one.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when the folder can't be made.
    pub fn open_or_create(folder: &Path) -> Result<Self> {
        let empty = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(Error::at(folder)(error)),
        };
        if !empty {
            return Layout::open(folder);
        }
        fs::create_dir_all(folder).map_err(Error::at(folder))?;
        let marker = folder.join("oci-layout");
        fs::write(&marker, layout_marker()).map_err(Error::at(&marker))?;
        let layout = Layout { folder: folder.into(), index: new_index() };
        layout.write_index()?;
        Ok(layout)
    }

    /// Writes an image into the layout under a name. An image that has the name loses it.
    ///
    /// # Errors
    /// When a blob can't be read or written, or the name is not valid.
    pub fn add(&mut self, built: &Built, name: &str) -> Result<()> {
        let annotations = named(name)?;
        let folder = self.folder.join("blobs/sha256");
        fs::create_dir_all(&folder).map_err(Error::at(&folder))?;
        for (blob, contents) in &built.blobs {
            let path = blob::path(&self.folder, blob)?;
            let new = path.with_extension("new");
            match contents {
                Contents::Bytes(bytes) => fs::write(&new, bytes),
                Contents::File(from) if *from == path => continue,
                Contents::File(from) => fs::copy(from, &new).map(drop),
            }
            .and_then(|()| fs::rename(&new, &path))
            .map_err(Error::at(&path))?;
        }
        let mut manifest = built.manifest.clone();
        manifest.set_annotations(Some(annotations));
        let mut manifests = self.index.manifests().clone();
        manifests.retain(|other| name_of(other) != Some(name));
        manifests.push(manifest);
        self.index.set_manifests(manifests);
        self.write_index()
    }

    /// Writes the index by a new file, so that no reader sees half of it.
    fn write_index(&self) -> Result<()> {
        let path = self.folder.join("index.json");
        let new = self.folder.join("index.json.new");
        fs::write(&new, json(&self.index))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(Error::at(&path))
    }

    /// Finds the image of a program with this name, or the only one that there is.
    ///
    /// # Errors
    /// When there is none, or several and none was named, or a part of it is damaged.
    pub fn find(&self, name: Option<&str>) -> Result<Image> {
        let mut images = Vec::new();
        self.collect(&self.index, None, MAX_DEPTH, &mut images)?;
        let found: Vec<String> = images.iter().filter_map(|(name, _)| name.clone()).collect();
        if let Some(name) = name {
            images.retain(|(other, _)| other.as_deref() == Some(name));
        }
        let folder = self.folder.clone();
        match images.len() {
            0 => Err(Error::NoImage { folder, name: name.map(str::to_owned), found }),
            1 => Ok(images.remove(0).1),
            _ => Err(Error::Several { folder, found }),
        }
    }

    /// Collects the images of programs in an index, and in the indexes in it.
    fn collect(
        &self,
        index: &ImageIndex,
        name: Option<&str>,
        depth: usize,
        images: &mut Vec<(Option<String>, Image)>,
    ) -> Result<()> {
        for manifest in index.manifests() {
            let name = name_of(manifest).or(name);
            match manifest.media_type() {
                MediaType::ImageIndex => {
                    let path = blob::path(&self.folder, manifest)?;
                    if depth == 0 {
                        return Err(Error::damaged(&path, "too many indexes lie in one another"));
                    }
                    let bytes = blob::read(&self.folder, manifest, MAX_JSON)?;
                    let index = serde_json::from_slice(&bytes)
                        .map_err(|error| Error::damaged(&path, error))?;
                    self.collect(&index, name, depth - 1, images)?;
                }
                MediaType::ImageManifest => {
                    if let Some(image) = Image::read(&self.folder, manifest)? {
                        images.push((name.map(str::to_owned), image));
                    }
                }
                // Something else that the layout has, such as a signature.
                _ => {}
            }
        }
        Ok(())
    }
}

fn layout_marker() -> Vec<u8> {
    let layout = OciLayoutBuilder::default().image_layout_version(VERSION).build();
    json(&layout.expect("a layout has a version alone"))
}

impl Built {
    /// Writes the image as a tar archive of a layout, which `ctr image import`, `docker load` and
    /// `podman load` read.
    ///
    /// # Errors
    /// When a blob can't be read, the archive can't be written, or the name is not valid.
    pub fn write_archive(&self, path: &Path, name: &str) -> Result<()> {
        let mut manifest = self.manifest.clone();
        manifest.set_annotations(Some(named(name)?));
        let mut index = new_index();
        index.set_manifests(vec![manifest]);
        let new = path.with_extension("new");
        let file = File::create(&new).map_err(Error::at(&new))?;
        let mut archive = tar::Builder::new(io::BufWriter::new(file));
        let mut append = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, name, bytes)
        };
        append("oci-layout", &layout_marker()).map_err(Error::at(&new))?;
        append("index.json", &json(&index)).map_err(Error::at(&new))?;
        for (blob, contents) in &self.blobs {
            let name = format!("blobs/sha256/{}", blob.digest().digest());
            match contents {
                Contents::Bytes(bytes) => append(&name, bytes),
                Contents::File(from) => {
                    let bytes = fs::read(from).map_err(Error::at(from))?;
                    append(&name, &bytes)
                }
            }
            .map_err(Error::at(&new))?;
        }
        archive
            .into_inner()
            .and_then(|mut file| file.flush())
            .and_then(|()| fs::rename(&new, path))
            .map_err(Error::at(path))
    }
}
