//! Gives SGX's devices to a container.

use rustix::fs::{major, minor};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// The kernel's devices for SGX: enclaves, and the key that attestation needs.
pub(crate) const DEVICES: [&str; 2] = ["/dev/sgx_enclave", "/dev/sgx_provision"];

/// Returns a device of this machine: its entries in `linux.devices` and `linux.resources.devices`.
pub(crate) fn device(path: &Path) -> Option<(Value, Value)> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.file_type().is_char_device() {
        return None;
    }
    let (major, minor) = (major(metadata.rdev()), minor(metadata.rdev()));
    let mode = metadata.permissions().mode() & 0o777;
    let node = json!({
        "path": path, "type": "c", "major": major, "minor": minor,
        "fileMode": mode, "uid": metadata.uid(), "gid": metadata.gid(),
    });
    let rule = json!({
        "allow": true, "type": "c", "major": major, "minor": minor, "access": "rw",
    });
    Some((node, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_its_numbers_and_a_rule_that_allows_it() {
        let (node, rule) = device(Path::new("/dev/null")).unwrap();
        assert_eq!((&node["major"], &node["minor"]), (&json!(1), &json!(3)));
        assert_eq!((&rule["major"], &rule["minor"]), (&json!(1), &json!(3)));
        assert_eq!(node["fileMode"], json!(0o666));
        assert_eq!(device(Path::new("/dev/no-such-device")), None);
        assert_eq!(device(Path::new("/etc/passwd")), None);
    }
}
