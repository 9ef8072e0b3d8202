//! An ordinary image for this machine, with busybox: as other tools make it.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use tar::{Builder, EntryType, Header};

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn append(archive: &mut Builder<Vec<u8>>, path: &str, bytes: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o755);
    archive.append_data(&mut header, path, bytes).unwrap();
}

/// Writes an archive with an image that has this command and this name.
pub fn write(path: &Path, busybox: &Path, command: &[&str], name: &str) {
    let mut layer = Builder::new(Vec::new());
    append(&mut layer, "bin/busybox", &fs::read(busybox).unwrap());
    for applet in ["cat", "sh", "sleep", "true"] {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        layer.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    let layer = layer.into_inner().unwrap();
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Env": ["PATH=/bin"], "Cmd": command },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
    });
    let described = |kind: &str, bytes: &[u8]| -> Value {
        let kind = format!("application/vnd.oci.image.{kind}");
        json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() })
    };
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", &config),
        "layers": [described("layer.v1.tar", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut descriptor = described("manifest.v1+json", &manifest);
    descriptor["annotations"] = json!({ "io.containerd.image.name": name });
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor] });
    let mut archive = Builder::new(Vec::new());
    append(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    append(&mut archive, "index.json", index.to_string().as_bytes());
    for blob in [layer, config, manifest] {
        append(&mut archive, &digest(&blob).replacen("sha256:", "blobs/sha256/", 1), &blob);
    }
    fs::write(path, archive.into_inner().unwrap()).unwrap();
}
