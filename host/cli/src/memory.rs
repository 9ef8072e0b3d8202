//! Compares the sizes in the options with the heap of the image, and reports an exhausted heap.

use crate::failure::Failure;
use crate::locate;
use crate::options::CompilerName;
use crate::print::print_error;
use twine_host::{Error, Image, shell_word};
use twine_image::Manifest;
use twine_protocol::launch::{Launch, Source};

/// Returns the largest size of the image's heap, in bytes, if the image's manifest is beside it.
fn heap(image: &Image) -> Option<u64> {
    let manifest = Manifest::from_file(image.path().with_extension("toml")).ok()?;
    Some(manifest.heap_size.saturating_add(manifest.heap_growth_size))
}

/// Returns what sets a size of memory, options or keys of the manifest, with the sizes.
fn amounts(launch: &Launch) -> Vec<(&'static str, u64)> {
    let (limit, tree) = match launch.manifest {
        None => ("--max-memory", "--tmpfs"),
        Some(_) => ("`memory` in the manifest", "`size` in the manifest"),
    };
    let of_mounts = launch.mounts.iter().filter_map(|mount| match &mount.source {
        Source::Memory(size) => Some((tree, *size)),
        Source::Volume(volume) => Some(("--cache", volume.cache?)),
        Source::Folder(_) => None,
    });
    let memory = launch.limits.memory.map(|size| (limit, size));
    memory.into_iter().chain(of_mounts).collect()
}

/// Returns those whose size is larger than `heap`.
fn too_large(amounts: Vec<(&'static str, u64)>, heap: u64) -> Vec<(&'static str, u64)> {
    amounts.into_iter().filter(|(_, size)| *size > heap).collect()
}

/// Prints a note about each option or key that allows more memory than the image has.
pub(crate) fn warn_if_too_large(image: &Image, launch: &Launch) {
    let amounts = amounts(launch);
    if amounts.is_empty() {
        return;
    }
    let Some(heap) = heap(image) else { return };
    for (option, size) in too_large(amounts, heap) {
        let (size, heap) = (size >> 20, heap >> 20);
        print_error!("twine: {option} allows {size} MiB, but the image's heap has only {heap} MiB");
    }
}

/// Returns the cause and remedy of a failed run. If the enclave ran out of memory, the remedy names
/// a compiler that needs less, or an image that has more.
pub(crate) fn failure(error: Error, image: &Image, compiler: Option<CompilerName>) -> Failure {
    if !matches!(error, Error::Exhausted { .. }) {
        return error.into();
    }
    let mut ways = Vec::new();
    if compiler.is_some_and(|compiler| compiler != CompilerName::Baseline) {
        ways.push("use a compiler that needs less memory: --compiler baseline".to_owned());
    }
    match locate::larger_than(image) {
        Some(larger) => {
            let larger = shell_word(larger.display());
            ways.push(format!("use the larger image: --image {larger}"));
        }
        None => ways.push(error.remedy()),
    }
    Failure::new(error, ways.join("; or "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use twine_protocol::key::VolumeKey;
    use twine_protocol::launch::{Limits, Mount, VolumeSource};

    #[test]
    fn options_that_allow_more_memory_than_the_image_has_are_found() {
        let mount = |source| Mount { guest: "/".into(), source, read_only: false };
        let key = VolumeKey::File(Vec::new());
        let volume =
            VolumeSource { storage: 0, key, create: false, cache: Some(8 << 30), main: None };
        let launch = Launch {
            limits: Limits { memory: Some(1 << 30), ..Limits::default() },
            mounts: vec![mount(Source::Memory(2 << 30)), mount(Source::Volume(volume))],
            ..Launch::default()
        };
        let options = |heap| -> Vec<_> {
            too_large(amounts(&launch), heap).into_iter().map(|(option, _)| option).collect()
        };
        assert_eq!(options(1 << 20), ["--max-memory", "--tmpfs", "--cache"]);
        assert_eq!(options(1 << 30), ["--tmpfs", "--cache"]);
        assert!(options(8 << 30).is_empty());
        assert!(too_large(amounts(&Launch::default()), 0).is_empty());
        let held = Launch { manifest: Some(Vec::new()), ..launch.clone() };
        let names: Vec<_> = amounts(&held).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["`memory` in the manifest", "`size` in the manifest", "--cache"]);
    }
}
