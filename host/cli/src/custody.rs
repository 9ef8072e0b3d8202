//! The note about volumes that are sealed to a signer whose key lies on this machine.

use crate::image;
use crate::print::print_error;
use twine_host::{Image, Platform};
use twine_image::inspect_file;
use twine_protocol::key::{Sealing, VolumeKey};
use twine_protocol::launch::{Launch, Source};

/// Prints a note if a launch on hardware makes a volume that is sealed to the signer of the image,
/// and that signer is this user's development key: whoever reads the key can sign an image that
/// opens the volume.
pub(crate) fn note(image: &Image, platform: Platform, launch: &Launch) {
    if platform != Platform::Hardware || !seals_to_the_signer(launch) {
        return;
    }
    let signer = inspect_file(image.path()).ok().and_then(|image| image.signature);
    let Some(signer) = signer.map(|signature| signature.mrsigner) else { return };
    if image::development_signer().is_some_and(|development| development == signer) {
        print_error!(
            "twine: the new volume is sealed to images of this machine's development key: whoever \
             reads that key can open it; --key sealed:image does not depend on the key"
        );
    }
}

/// Whether a launch makes a volume that other images of the signer can open.
fn seals_to_the_signer(launch: &Launch) -> bool {
    launch.mounts.iter().any(|mount| match &mount.source {
        Source::Volume(volume) => {
            let key = &volume.key;
            volume.create && matches!(key, VolumeKey::Sealed(Sealing { this_image: false, .. }))
        }
        Source::Folder(_) | Source::Memory(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use twine_protocol::key::Scope;
    use twine_protocol::launch::{Mount, VolumeSource};

    #[test]
    fn only_new_volumes_that_other_images_open_depend_on_the_signer() {
        let launch = |key, create| {
            let volume = VolumeSource { storage: 0, key, create, cache: None, main: None };
            let source = Source::Volume(volume);
            let mounts = vec![Mount { guest: "/".into(), source, read_only: false }];
            Launch { mounts, ..Launch::default() }
        };
        let sealed = |this_image| VolumeKey::Sealed(Sealing { this_image, scope: Scope::Program });
        assert!(seals_to_the_signer(&launch(sealed(false), true)));
        assert!(!seals_to_the_signer(&launch(sealed(false), false)));
        assert!(!seals_to_the_signer(&launch(sealed(true), true)));
        assert!(!seals_to_the_signer(&launch(VolumeKey::File(vec![1; 32]), true)));
        assert!(!seals_to_the_signer(&Launch::default()));
    }
}
