//! An image that was found in a layout.

use crate::blob::{self, MAX_JSON};
use crate::build::Contents;
use crate::error::{Error, Result};
use crate::unpack::{self, Unpacked};
use crate::{ARCHITECTURE, SYSTEM, WASM_CONFIG, WASM_LAYER};
use oci_spec::image::{Arch, Config, Descriptor, ImageConfiguration, ImageManifest, MediaType, Os};
use std::path::{Path, PathBuf};

/// The name of the program of an artifact, which has no name there.
const ARTIFACT_PROGRAM: &str = "program.wasm";

/// An image of a WebAssembly program: its settings, and where its layers are. The manifest and the
/// config were compared with their digests. The layers are compared when they are read.
#[derive(Debug, Clone)]
pub struct Image {
    layout: PathBuf,
    layers: Vec<Descriptor>,
    /// The config of a container image. An artifact has none.
    configuration: Option<ImageConfiguration>,
}

/// Whether an image for this platform is that of a program.
pub(crate) fn is_of_program(architecture: &Arch, system: &Os) -> bool {
    architecture.to_string() == ARCHITECTURE && system.to_string().starts_with(SYSTEM)
}

impl Image {
    /// Reads the image with this manifest. Returns `None` if it is not an image of a program.
    ///
    /// # Errors
    /// When a part of it can't be read, or is damaged.
    pub(crate) fn read(layout: &Path, manifest: &Descriptor) -> Result<Option<Self>> {
        let path = blob::path(layout, manifest)?;
        let bytes = blob::read(layout, manifest, MAX_JSON)?;
        let manifest: ImageManifest =
            serde_json::from_slice(&bytes).map_err(|error| Error::damaged(&path, error))?;
        let config = manifest.config();
        let layers = manifest.layers().clone();
        let image = |configuration| Image { layout: layout.to_owned(), layers, configuration };
        if config.media_type().as_ref() == WASM_CONFIG {
            return Ok(Some(image(None)));
        }
        if *config.media_type() != MediaType::ImageConfig {
            // Another kind of artifact.
            return Ok(None);
        }
        let path = blob::path(layout, config)?;
        let bytes = blob::read(layout, config, MAX_JSON)?;
        let configuration: ImageConfiguration =
            serde_json::from_slice(&bytes).map_err(|error| Error::damaged(&path, error))?;
        if !is_of_program(configuration.architecture(), configuration.os()) {
            return Ok(None);
        }
        if configuration.rootfs().diff_ids().len() != manifest.layers().len() {
            return Err(Error::damaged(&path, "it names more or fewer layers than the manifest"));
        }
        Ok(Some(image(Some(configuration))))
    }

    /// The settings of the container; none for an artifact.
    pub(crate) fn config(&self) -> Config {
        let config = self.configuration.as_ref().and_then(|all| all.config().clone());
        config.unwrap_or_default()
    }

    /// The digests of the layers without compression.
    pub(crate) fn diff_ids(&self) -> &[String] {
        self.configuration.as_ref().map_or(&[], |all| all.rootfs().diff_ids())
    }

    /// The layers, as the first of another image.
    ///
    /// # Errors
    /// When this is an artifact, or a layer is damaged.
    pub(crate) fn blobs(&self) -> Result<Vec<(Descriptor, Contents)>> {
        if self.configuration.is_none() {
            return Err(Error::Recipe {
                cause: "an artifact can't be the base of an image: it has no files".into(),
                remedy: "name a container image, or scratch".into(),
            });
        }
        let file = |layer: &Descriptor| {
            Ok((layer.clone(), Contents::File(blob::verify(&self.layout, layer)?)))
        };
        self.layers.iter().map(file).collect()
    }

    /// The command line: the program's path in the image, and its first arguments. If the user has
    /// `given` arguments, these follow, and those are left out that the image has for a start
    /// without any.
    ///
    /// # Errors
    /// When the image has no command.
    pub fn command(&self, given: bool) -> Result<Vec<String>> {
        if self.configuration.is_none() {
            return Ok(vec![ARTIFACT_PROGRAM.into()]);
        }
        let config = self.config();
        let mut command = config.entrypoint().clone().unwrap_or_default();
        if !given || command.is_empty() {
            command.extend(config.cmd().clone().unwrap_or_default());
        }
        match command.is_empty() {
            true => Err(Error::Unsupported {
                what: "no command".into(),
                remedy: "build the image with an entrypoint".into(),
            }),
            false => Ok(command),
        }
    }

    /// The environment variables, as `NAME=VALUE`.
    pub fn environment(&self) -> Vec<String> {
        self.config().env().clone().unwrap_or_default()
    }

    /// The working directory.
    pub fn directory(&self) -> String {
        let directory = self.config().working_dir().clone().filter(|path| !path.is_empty());
        directory.unwrap_or_else(|| "/".into())
    }

    /// Puts the files of the image into a temporary folder. An artifact has one file, the program.
    ///
    /// # Errors
    /// When a layer can't be read, is damaged or leads out of the folder, or the folder can't be
    /// written.
    pub fn unpack(&self) -> Result<Unpacked> {
        let unpacked = Unpacked::new()?;
        self.unpack_into(&unpacked)?;
        Ok(unpacked)
    }

    /// As [`unpack`](Self::unpack), into an empty temporary folder that was made before.
    ///
    /// # Errors
    /// As [`unpack`](Self::unpack).
    pub fn unpack_into(&self, unpacked: &Unpacked) -> Result<()> {
        if self.configuration.is_none() {
            let [layer] = &self.layers[..] else {
                return Err(Error::Unsupported {
                    what: format!("{} layers", self.layers.len()),
                    remedy: "name an artifact with one layer: components are composed first".into(),
                });
            };
            if layer.media_type().as_ref() != WASM_LAYER {
                return Err(Error::Unsupported {
                    what: format!("a layer of the type {}", layer.media_type()),
                    remedy: format!("name an artifact with a layer of the type {WASM_LAYER}"),
                });
            }
            return unpacked.write(ARTIFACT_PROGRAM, &self.layout, layer);
        }
        for (layer, diff_id) in self.layers.iter().zip(self.diff_ids()) {
            unpack::layer(&self.layout, layer, diff_id, unpacked.folder())?;
        }
        Ok(())
    }
}
