//! Gives SGX's devices to a container.

use rustix::fs::{major, minor};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// The kernel's devices for SGX: enclaves, and the key that attestation needs.
const DEVICES: [&str; 2] = ["/dev/sgx_enclave", "/dev/sgx_provision"];

/// Returns a device of this machine: its entries in `linux.devices` and `linux.resources.devices`.
fn device(path: &str) -> Option<(Value, Value)> {
    let metadata = fs::metadata(Path::new(path)).ok()?;
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

/// Returns the devices of SGX that this machine has.
pub(crate) fn sgx() -> Vec<(Value, Value)> {
    DEVICES.iter().filter_map(|path| device(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_its_numbers_and_a_rule_that_allows_it() {
        let (node, rule) = device("/dev/null").unwrap();
        assert_eq!((&node["major"], &node["minor"]), (&json!(1), &json!(3)));
        assert_eq!((&rule["major"], &rule["minor"]), (&json!(1), &json!(3)));
        assert_eq!(node["fileMode"], json!(0o666));
        assert_eq!(device("/dev/no-such-device"), None);
        assert_eq!(device("/etc/passwd"), None);
    }
}
