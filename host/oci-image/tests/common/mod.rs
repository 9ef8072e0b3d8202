//! Images for tests: archives and layouts, right and wrong ones.
#![allow(dead_code, reason = "each test uses some of it")]

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use twine_oci_image::{Error, Image, Layout, Recipe, Unpacked};

pub const PROGRAM: &[u8] = b"\0asm\x01\0\0\0";
pub const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const NAME: &str = "org.opencontainers.image.ref.name";

pub fn recipe() -> Recipe {
    Recipe { program: PROGRAM.into(), path: "app.wasm".into(), ..Recipe::default() }
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// An entry of a tar archive, with each field as it is given: nothing is checked.
pub struct Entry {
    path: Vec<u8>,
    kind: u8,
    mode: u32,
    target: Vec<u8>,
    contents: Vec<u8>,
    /// The size that the header has, if it is not that of the contents.
    size: Option<u64>,
}

fn entry(path: &str, kind: u8, target: &str, contents: &[u8]) -> Entry {
    let (path, target) = (path.into(), target.into());
    Entry { path, kind, mode: 0o644, target, contents: contents.into(), size: None }
}

pub fn file(path: &str, contents: &str) -> Entry {
    entry(path, b'0', "", contents.as_bytes())
}

pub fn folder(path: &str) -> Entry {
    entry(path, b'5', "", b"").mode(0o755)
}

pub fn symlink(path: &str, target: &str) -> Entry {
    entry(path, b'2', target, b"")
}

pub fn link(path: &str, target: &str) -> Entry {
    entry(path, b'1', target, b"")
}

pub fn other(path: &str, kind: u8) -> Entry {
    entry(path, kind, "", b"")
}

impl Entry {
    /// The same entry once more.
    pub fn again(&self) -> Self {
        let (path, target) = (self.path.clone(), self.target.clone());
        Entry { path, target, contents: self.contents.clone(), ..*self }
    }

    pub fn set_contents(&mut self, contents: &str) {
        self.contents = contents.into();
    }

    pub fn mode(self, mode: u32) -> Self {
        Entry { mode, ..self }
    }

    pub fn claims(self, size: u64) -> Self {
        Entry { size: Some(size), ..self }
    }
}

fn block(archive: &mut Vec<u8>, bytes: &[u8]) {
    archive.extend(bytes);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

fn header(archive: &mut Vec<u8>, entry: &Entry) {
    let mut header = tar::Header::new_gnu();
    for (field, bytes) in [(0..100, &entry.path), (157..257, &entry.target)] {
        let field = &mut header.as_mut_bytes()[field];
        let most = bytes.len().min(100);
        field[..most].copy_from_slice(&bytes[..most]);
    }
    header.set_mode(entry.mode);
    header.set_size(entry.size.unwrap_or(entry.contents.len() as u64));
    header.as_mut_bytes()[156] = entry.kind;
    header.set_cksum();
    archive.extend(header.as_bytes());
}

/// A tar archive of these entries.
pub fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in entries {
        for (kind, long) in [(b'L', &entry.path), (b'K', &entry.target)] {
            if long.len() > 100 {
                let contents = [&long[..], b"\0"].concat();
                let size = Some(contents.len() as u64);
                let (path, target) = (b"././@LongLink".into(), Vec::new());
                let long = Entry { path, kind, mode: 0, target, contents, size };
                header(&mut archive, &long);
                block(&mut archive, &long.contents);
            }
        }
        header(&mut archive, entry);
        block(&mut archive, &entry.contents);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A folder with a layout, and what belongs into its index.
pub struct Store {
    folder: TempDir,
    pub manifests: Vec<Value>,
}

impl Store {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Store { folder, manifests: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The file of a blob with this digest.
    pub fn file(&self, digest: &str) -> PathBuf {
        self.path().join("blobs").join(digest.replace(':', "/"))
    }

    /// Writes a blob, and returns its descriptor.
    pub fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        fs::write(self.file(&digest), bytes).unwrap();
        json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
    }

    pub fn json(&self, kind: &str, value: &Value) -> Value {
        self.blob(kind, value.to_string().as_bytes())
    }

    /// A manifest of these layers, each with its media type and its bytes, and of a config that
    /// names these archives.
    pub fn manifest(&self, platform: (&str, &str), layers: &[Value], diff_ids: &[String]) -> Value {
        let config = json!({
            "architecture": platform.1, "os": platform.0,
            "config": { "Entrypoint": ["/app.wasm"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.json(CONFIG, &config);
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.json(MANIFEST, &manifest)
    }

    /// A program's image with these archives as layers.
    pub fn image(&self, archives: &[Vec<u8>]) -> Value {
        let layers: Vec<_> = archives.iter().map(|archive| self.blob(TAR, archive)).collect();
        let diff_ids: Vec<_> = archives.iter().map(|archive| digest(archive)).collect();
        self.manifest(("wasi", "wasm"), &layers, &diff_ids)
    }

    /// Writes the index, with a manifest under a name.
    pub fn add(&mut self, name: &str, mut manifest: Value) {
        if !name.is_empty() {
            manifest["annotations"] = json!({ NAME: name });
        }
        self.manifests.push(manifest);
        let index = json!({ "schemaVersion": 2, "manifests": self.manifests });
        fs::write(self.path().join("index.json"), index.to_string()).unwrap();
    }

    pub fn find(&self, name: Option<&str>) -> Result<Image, Error> {
        Layout::open(self.path())?.find(name)
    }
}

/// Puts an image with these layers into a folder.
pub fn unpack(layers: &[Vec<Entry>]) -> Result<Unpacked, Error> {
    let mut store = Store::new();
    let archives: Vec<_> = layers.iter().map(|entries| archive(entries)).collect();
    let manifest = store.image(&archives);
    store.add("", manifest);
    store.find(None)?.unpack()
}

/// All that is in a folder: `path=contents`, `path/` or `path->target`, sorted.
pub fn tree(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            all.push(if kind.is_dir() {
                folders.push(path);
                format!("{name}/")
            } else if kind.is_symlink() {
                format!("{name}->{}", fs::read_link(path).unwrap().display())
            } else {
                format!("{name}={}", String::from_utf8_lossy(&fs::read(path).unwrap()))
            });
        }
    }
    all.sort();
    all
}
