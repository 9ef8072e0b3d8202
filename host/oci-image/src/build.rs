//! Building an image from a program.

use crate::blob::{json, sha256};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::layer::Files;
use crate::{ARCHITECTURE, MODULE, SYSTEM, WASM_CONFIG, WASM_LAYER};
use oci_spec::image::{
    Arch, Descriptor, ImageConfigurationBuilder, ImageManifestBuilder, MediaType, Os, Platform,
    PlatformBuilder, RootFsBuilder, SCHEMA_VERSION,
};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// The form of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// A container image for the platform `wasi/wasm`: the program is a file in a layer. Every
    /// version of containerd takes it.
    #[default]
    Image,
    /// The artifact of the CNCF's Wasm working group: the program is the layer. Tools for
    /// WebAssembly take it, and containerd from 1.6.25, 1.7.7 and 2.0 on with a shim for it.
    Artifact,
}

/// What an image is built from.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// The program, a WebAssembly module in the binary format.
    pub program: Vec<u8>,
    /// The path of the program in the image.
    pub path: String,
    /// Arguments of the program, unless others are given when it is started.
    pub arguments: Vec<String>,
    /// Environment variables of the program, as `NAME=VALUE`.
    pub environment: Vec<String>,
    /// The working directory.
    pub directory: Option<String>,
    /// The user, as `UID[:GID]`.
    pub user: Option<String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Files and folders of this machine, each with its path in the image.
    pub files: Vec<(PathBuf, String)>,
    /// An image whose layers and settings this one gets first.
    pub base: Option<Image>,
}

/// A blob of an image that was built.
#[derive(Debug)]
pub(crate) enum Contents {
    Bytes(Vec<u8>),
    /// A file in the layout of the base.
    File(PathBuf),
}

/// An image that was built, and is not written yet.
#[derive(Debug)]
pub struct Built {
    pub(crate) manifest: Descriptor,
    pub(crate) blobs: Vec<(Descriptor, Contents)>,
}

impl Built {
    /// The digest of the manifest, which names the image: `sha256:` and 64 hexadecimal digits.
    pub fn digest(&self) -> String {
        self.manifest.digest().to_string()
    }

    /// The number of bytes of all blobs.
    pub fn size(&self) -> u64 {
        self.blobs.iter().map(|(blob, _)| blob.size()).sum()
    }
}

/// Builds an image.
///
/// # Errors
/// When the program is not a module, the form can't hold what is asked for, or a file can't be
/// read.
pub fn build(recipe: Recipe, form: Form) -> Result<Built> {
    if !recipe.program.starts_with(MODULE) {
        return Err(not_a_module(&recipe.program));
    }
    match form {
        Form::Image => image(recipe),
        Form::Artifact => artifact(recipe),
    }
}

fn not_a_module(program: &[u8]) -> Error {
    let (cause, remedy) = match program.starts_with(b"\0asm") {
        true => (
            "the program is not a core WebAssembly module: it may be a component",
            "build the program for wasm32-wasip1",
        ),
        false => (
            "the program is not WebAssembly in the binary format",
            "name a .wasm file; `wat2wasm` makes one from a .wat file",
        ),
    };
    Error::Recipe { cause: cause.into(), remedy: remedy.into() }
}

fn blob(kind: MediaType, bytes: Vec<u8>) -> (Descriptor, Contents) {
    (Descriptor::new(kind, bytes.len() as u64, sha256(&bytes)), Contents::Bytes(bytes))
}

/// The platform `wasi/wasm`.
fn platform() -> Platform {
    PlatformBuilder::default()
        .architecture(Arch::Wasm)
        .os(Os::Other(SYSTEM.into()))
        .build()
        .expect("a platform needs no more")
}

fn manifest(
    config: (Descriptor, Contents),
    layers: Vec<(Descriptor, Contents)>,
    platform: Option<Platform>,
) -> Built {
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(config.0.clone())
        .layers(layers.iter().map(|(layer, _)| layer.clone()).collect::<Vec<_>>())
        .build()
        .expect("a manifest needs no more");
    let (mut descriptor, bytes) = blob(MediaType::ImageManifest, json(&manifest));
    let manifest = descriptor.clone();
    if let Some(platform) = platform {
        descriptor.set_platform(Some(platform));
    }
    let blobs = layers.into_iter().chain([config, (manifest, bytes)]).collect();
    Built { manifest: descriptor, blobs }
}

fn image(recipe: Recipe) -> Result<Built> {
    let mut files = Files::default();
    let program = format!("/{}", recipe.path.trim_start_matches('/'));
    files.add(&program, recipe.program, true)?;
    for (host, guest) in &recipe.files {
        files.add_tree(host, guest)?;
    }
    // Without compression, so that the bytes depend on no compressor.
    let layer = blob(MediaType::ImageLayer, files.archive());
    let (mut layers, mut diff_ids) = match &recipe.base {
        Some(base) => (base.blobs()?, base.diff_ids().to_vec()),
        None => (Vec::new(), Vec::new()),
    };
    diff_ids.push(layer.0.digest().to_string());
    layers.push(layer);

    let below = recipe.base.as_ref().map(Image::config).unwrap_or_default();
    let mut environment = below.env().clone().unwrap_or_default();
    for variable in recipe.environment {
        let name = variable.split_once('=').map(|(name, _)| format!("{name}="));
        environment.retain(|other| name.as_ref().is_none_or(|name| !other.starts_with(name)));
        environment.push(variable);
    }
    let mut labels: HashMap<String, String> = below.labels().clone().unwrap_or_default();
    labels.extend(recipe.labels);
    // Without those that are named here, the settings are those of the base.
    let mut config = below;
    config.set_entrypoint(Some(vec![program]));
    config.set_cmd(Some(recipe.arguments).filter(|all| !all.is_empty()));
    config.set_env(Some(environment).filter(|all| !all.is_empty()));
    if recipe.directory.is_some() {
        config.set_working_dir(recipe.directory);
    }
    if recipe.user.is_some() {
        config.set_user(recipe.user);
    }
    config.set_labels(Some(labels).filter(|all| !all.is_empty()));
    let rootfs = RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build();
    let configuration = ImageConfigurationBuilder::default()
        .architecture(Arch::Wasm)
        .os(Os::Other(SYSTEM.into()))
        .config(config)
        .rootfs(rootfs.expect("layers need no more"))
        .build()
        .expect("a configuration needs no more");
    let config = blob(MediaType::ImageConfig, json(&configuration));
    Ok(manifest(config, layers, Some(platform())))
}

fn artifact(recipe: Recipe) -> Result<Built> {
    let has_more = recipe.base.is_some()
        || !recipe.files.is_empty()
        || !recipe.arguments.is_empty()
        || !recipe.environment.is_empty()
        || !recipe.labels.is_empty()
        || recipe.directory.is_some()
        || recipe.user.is_some();
    if has_more {
        return Err(Error::Recipe {
            cause: "an artifact holds a program and nothing else".into(),
            remedy: "leave out --artifact, or all options but --tag and --output".into(),
        });
    }
    let layer = blob(MediaType::Other(WASM_LAYER.into()), recipe.program);
    // The time is a field that the form needs, and 1970 so that the bytes do not depend on it.
    let config = json(&json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": ARCHITECTURE,
        "os": "wasip1",
        "layerDigests": [layer.0.digest().to_string()],
    }));
    let config = blob(MediaType::Other(WASM_CONFIG.into()), config);
    Ok(manifest(config, vec![layer], None))
}
