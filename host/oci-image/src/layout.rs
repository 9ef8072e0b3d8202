//! A folder with an OCI layout: images in blobs, and an index of their names.

use crate::blob::{self, MAX_JSON, json};
use crate::build::{Built, Contents};
use crate::error::{Error, Result};
use crate::image::{Image, is_of_program};
use oci_spec::distribution;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, ImageIndex, ImageIndexBuilder, MediaType, OciLayout,
    OciLayoutBuilder, Platform, SCHEMA_VERSION,
};
use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The annotation by which containerd names an image that it imports.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The version of the layout.
const VERSION: &str = "1.0.0";

/// How many indexes may lie in one another.
const MAX_DEPTH: usize = 4;

/// How many manifests and indexes of a layout are read. An index may name another one many times.
const MAX_MANIFESTS: usize = 10_000;

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
        fs::create_dir_all(folder).map_err(Error::at(folder))?;
        let _lock = lock(folder)?;
        if fs::read_dir(folder).map_err(Error::at(folder))?.next().is_some() {
            return Layout::open(folder);
        }
        let layout = Layout { folder: folder.into(), index: new_index() };
        layout.write_index()?;
        write(&folder.join("oci-layout"), |file| file.write_all(&layout_marker()))?;
        Ok(layout)
    }

    /// Writes an image into the layout under a name. An image that has the name loses it. Images
    /// that others have added since the layout was opened stay.
    ///
    /// # Errors
    /// When a blob can't be read or written, or the name is not valid.
    pub fn add(&mut self, built: &Built, name: &str) -> Result<()> {
        let annotations = named(name)?;
        let folder = self.folder.join("blobs/sha256");
        fs::create_dir_all(&folder).map_err(Error::at(&folder))?;
        for (blob, contents) in &built.blobs {
            let path = blob::path(&self.folder, blob)?;
            match contents {
                Contents::Bytes(bytes) => write(&path, |file| file.write_all(bytes))?,
                Contents::File(from) if *from == path => {}
                Contents::File(from) => {
                    let mut from = File::open(from).map_err(Error::at(from))?;
                    write(&path, |file| io::copy(&mut from, file).map(drop))?;
                }
            }
        }
        let mut manifest = built.manifest.clone();
        manifest.set_annotations(Some(annotations));
        let _lock = lock(&self.folder)?;
        self.index = read_json(&self.folder.join("index.json"))?;
        let mut manifests = self.index.manifests().clone();
        manifests.retain(|other| name_of(other) != Some(name));
        manifests.push(manifest);
        self.index.set_manifests(manifests);
        self.write_index()
    }

    fn write_index(&self) -> Result<()> {
        write(&self.folder.join("index.json"), |file| file.write_all(&json(&self.index)))
    }

    /// Finds the image of a program with this name, or the only one that there is. An image with
    /// another name may be damaged, and parts of it may be missing.
    ///
    /// # Errors
    /// When there is none, or several and none was named, or a part of it is damaged.
    pub fn find(&self, name: Option<&str>) -> Result<Image> {
        let mut images = self.images(name)?;
        let folder = self.folder.clone();
        if images.len() == 1 {
            return Ok(images.remove(0).1);
        }
        let all = if images.is_empty() { self.images(None).unwrap_or_default() } else { images };
        let is_empty = all.is_empty();
        let mut found: Vec<String> = all.into_iter().filter_map(|(name, _)| name).collect();
        found.sort();
        found.dedup();
        match name {
            None if !is_empty => Err(Error::Several { folder, found }),
            Some(wanted) if found == [wanted] => Err(Error::Several { folder, found: Vec::new() }),
            name => Err(Error::NoImage { folder, name: name.map(str::to_owned), found }),
        }
    }

    /// The images of programs that have this name, or all of them.
    fn images(&self, wanted: Option<&str>) -> Result<Vec<(Option<String>, Image)>> {
        let mut search =
            Search { folder: &self.folder, wanted, left: MAX_MANIFESTS, images: vec![] };
        search.collect(&self.index, None, MAX_DEPTH)?;
        Ok(search.images)
    }
}

/// A search for images of programs.
struct Search<'l> {
    folder: &'l Path,
    wanted: Option<&'l str>,
    /// How many more manifests may be read.
    left: usize,
    images: Vec<(Option<String>, Image)>,
}

impl Search<'_> {
    /// Collects the images in an index, and in the indexes in it. The name is that in the index of
    /// the layout: only there names are valid.
    fn collect(&mut self, index: &ImageIndex, name: Option<&str>, depth: usize) -> Result<()> {
        for manifest in index.manifests() {
            let name = name.or_else(|| name_of(manifest));
            let is_index = match manifest.media_type() {
                MediaType::ImageIndex => true,
                MediaType::ImageManifest => false,
                // Something else that the layout has, such as a signature.
                _ => continue,
            };
            // The layout need not have the images for other platforms.
            let is_for_others = manifest.platform().as_ref().is_some_and(|p| !is_for_programs(p));
            if is_for_others || self.wanted.is_some_and(|wanted| name != Some(wanted)) {
                continue;
            }
            let path = blob::path(self.folder, manifest)?;
            self.left = self.left.checked_sub(1).ok_or_else(|| {
                Error::damaged(&path, format!("there are more than {MAX_MANIFESTS} manifests"))
            })?;
            if is_index {
                let depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| Error::damaged(&path, "too many indexes lie in one another"))?;
                let bytes = blob::read(self.folder, manifest, MAX_JSON)?;
                let index =
                    serde_json::from_slice(&bytes).map_err(|error| Error::damaged(&path, error))?;
                self.collect(&index, name, depth)?;
            } else if let Some(image) = Image::read(self.folder, manifest)? {
                self.images.push((name.map(str::to_owned), image));
            }
        }
        Ok(())
    }
}

fn is_for_programs(platform: &Platform) -> bool {
    is_of_program(platform.architecture(), platform.os())
}

/// Locks a layout until the result is dropped: two commands may add images to it.
fn lock(folder: &Path) -> Result<File> {
    let file = File::open(folder).map_err(Error::at(folder))?;
    file.lock().map_err(Error::at(folder))?;
    Ok(file)
}

/// Writes a file by a new one beside it, so that no reader sees half of it.
fn write(path: &Path, contents: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let new = tempfile::Builder::new()
        .prefix(".")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")));
    new.and_then(|mut new| {
        contents(new.as_file_mut())?;
        new.persist(path).map(drop).map_err(|error| error.error)
    })
    .map_err(Error::at(path))
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
        write(path, |file| {
            let mut archive = tar::Builder::new(io::BufWriter::new(file));
            let mut append = |name: &str, size: u64, contents: &mut dyn Read| {
                let mut header = tar::Header::new_gnu();
                header.set_mode(0o644);
                header.set_size(size);
                archive.append_data(&mut header, name, contents)
            };
            for (name, bytes) in [("oci-layout", layout_marker()), ("index.json", json(&index))] {
                append(name, bytes.len() as u64, &mut &bytes[..])?;
            }
            for (blob, contents) in &self.blobs {
                let name = format!("blobs/sha256/{}", blob.digest().digest());
                match contents {
                    Contents::Bytes(bytes) => append(&name, blob.size(), &mut &bytes[..])?,
                    Contents::File(from) => append(&name, blob.size(), &mut File::open(from)?)?,
                }
            }
            archive.into_inner()?.flush()
        })
    }
}
