//! The file trees of a launch request.

use crate::host_storage::HostStorage;
use crate::sealing_keys::SealingKeys;
use crate::takeover::Takeover;
use std::fmt::Display;
use twine_hostfs::Folder;
use twine_protocol::key::{Sealing, VolumeKey};
use twine_protocol::launch::{MainFile, Mount, Source, VolumeSource, VolumeStatistics};
use twine_protocol::wire::Clock;
use twine_sgx::host;
use twine_vfs::{FileSystem, Memory, Shared};
use twine_volume::{
    Cost, Error, KeyEncryptionKey, NewSlot, Options, Refusal, SlotInfo, SlotKind, Storage, Unlock,
    Volume, Zeroizing,
};
use twine_volume_tool::{Advice, Opening, Unclear, UsedBy};

const _: () = assert!(
    twine_protocol::key::MIN_KEY_FILE_BYTES == twine_volume::MIN_KEY_FILE_BYTES,
    "the host checks key files by the volume's limit"
);

/// Why a mount is refused, and the remedy.
#[derive(Debug)]
pub(crate) struct Refused {
    pub cause: String,
    pub remedy: String,
}

/// The mounts that a program sees, and the volumes to report on at the end.
pub(crate) struct Mounted {
    pub files: Vec<(String, Box<dyn FileSystem>)>,
    pub volumes: Volumes,
}

/// The volumes among the mounts, with the paths at which the program sees them.
#[derive(Default)]
pub(crate) struct Volumes(Vec<(String, Shared<Volume>)>);

/// Opens the mounts, for a program that may have these sealing keys, and in a deployment those of
/// each mount and what its manifest takes over. Passes warnings to `warn`, one line each.
pub(crate) fn open(
    mounts: &[Mount],
    keys: SealingKeys,
    takeover: Option<&Takeover<'_>>,
    warn: impl Fn(String),
) -> Result<Mounted, Refused> {
    let deployment = takeover.map(Takeover::deployment);
    refuse_shared(mounts)?;
    let mut mounted = Mounted { files: Vec::new(), volumes: Volumes::default() };
    for mount in mounts {
        let files: Box<dyn FileSystem> = match &mount.source {
            Source::Volume(source) => {
                let keys = keys.in_deployment(deployment.as_ref(), &mount.guest);
                let from = takeover.map(|takeover| From { takeover, guest: &mount.guest });
                let volume = of_program(source, mount, keys, from, &warn)?;
                if let Some(dropped) = volume.dropped() {
                    // Say this now, because the program may end in any way.
                    warn(format!("warning: the volume for {}: {dropped}", mount.guest));
                }
                let mut volume = Shared::new(volume);
                if let Some(MainFile { name, former }) = &source.main {
                    twine_volume_tool::rename_main_file(&mut volume, name, former)
                        .map_err(|error| refused_main(&mount.guest, &error))?;
                }
                mounted.volumes.0.push((mount.guest.clone(), volume.clone()));
                Box::new(volume)
            }
            Source::Folder(number) => {
                let folder = Folder::open(host(), *number, mount.read_only);
                Box::new(folder.map_err(|error| refused_folder(&mount.guest, &error))?)
            }
            Source::Memory(size) => Box::new(Memory::new(*size, Box::new(now))),
        };
        mounted.files.push((mount.guest.clone(), files));
    }
    refuse_hidden(mounts, &mut mounted.files)?;
    Ok(mounted)
}

/// Refuses two volumes in one storage: each would overwrite the other.
fn refuse_shared(mounts: &[Mount]) -> Result<(), Refused> {
    let storages = mounts.iter().filter_map(|mount| match &mount.source {
        Source::Volume(volume) => Some((volume.storage, &mount.guest)),
        Source::Folder(_) | Source::Memory(_) => None,
    });
    let mut seen: Vec<(u64, &String)> = Vec::new();
    for (storage, guest) in storages {
        if let Some((_, other)) = seen.iter().find(|(other, _)| *other == storage) {
            return Err(Refused {
                cause: format!("the volumes for {other} and for {guest} are in one file"),
                remedy: "give each volume a file of its own".into(),
            });
        }
        seen.push((storage, guest));
    }
    Ok(())
}

/// Refuses a folder of the host in place of a name that a volume has. The program would read and
/// write it as if it were protected.
fn refuse_hidden(
    mounts: &[Mount],
    files: &mut [(String, Box<dyn FileSystem>)],
) -> Result<(), Refused> {
    let is_folder = |mount: &&Mount| matches!(mount.source, Source::Folder(_));
    for (mount, (volume, files)) in mounts.iter().zip(files) {
        if !matches!(mount.source, Source::Volume(_)) {
            continue;
        }
        for Mount { guest, .. } in mounts.iter().filter(is_folder) {
            let hides =
                twine_wasi::hides(&mut **files, volume, guest).map_err(|error| Refused {
                    cause: format!("the volume for {volume} can't be read: {error}"),
                    remedy: "check it with `twine volume check`".into(),
                })?;
            if hides {
                return Err(Refused {
                    cause: format!(
                        "the unprotected folder for {guest} would hide what the volume for \
                         {volume} has there"
                    ),
                    remedy: "give the folder a path that the volume does not have".into(),
                });
            }
        }
    }
    Ok(())
}

/// The time of changes to files, which is the host's time.
fn now() -> u64 {
    twine_sgx::time(Clock::Realtime).unwrap_or_default()
}

/// Where keys come from that older images have sealed.
#[derive(Debug, Clone, Copy)]
struct From<'a> {
    takeover: &'a Takeover<'a>,
    /// The path of the mount.
    guest: &'a str,
}

/// Opens or makes a volume for a program. If making it was interrupted before, makes it again.
fn of_program(
    source: &VolumeSource,
    mount: &Mount,
    keys: SealingKeys,
    from: Option<From<'_>>,
    warn: &impl Fn(String),
) -> Result<Volume, Refused> {
    let guest = &mount.guest;
    let open = |source: &VolumeSource, opening| {
        let mut opener = Opener::new(&source.key, keys, from);
        let storage = Box::new(HostStorage::new(source.storage));
        match opened(storage, source, opening, &mut opener) {
            Ok(volume) => Ok((volume, opener.used)),
            Err(error) => Err((opener.refused(guest, &error), error)),
        }
    };
    let opening = Opening::of(mount.read_only);
    let (volume, used) = match open(source, opening) {
        Err((_, Error::Unfinished)) if opening == Opening::ReadWrite => {
            let source = VolumeSource { create: true, ..source.clone() };
            open(&source, opening).map_err(|(refused, _)| refused)?
        }
        result => result.map_err(|(refused, _)| refused)?,
    };
    // Not the program, but the enclave renews a slot of a deployment, so that older versions of the
    // manifest and older images are shut out also where the program only reads.
    let renews = |parameters: Vec<u8>| from.is_some() && !keys.is_present(&parameters);
    if opening == Opening::ReadWrite || !used.is_some_and(renews) {
        return Ok(volume);
    }
    drop(volume);
    match open(source, Opening::ReadWrite) {
        Ok((volume, _)) => drop(volume),
        Err((refused, _)) => warn(format!(
            "warning: {}; it can still be read by the older image, or under the older version of the \
             manifest, that opened it last",
            refused.cause
        )),
    }
    open(source, opening).map(|(volume, _)| volume).map_err(|(refused, _)| refused)
}

/// Opens or makes a volume.
pub(crate) fn volume(
    source: &VolumeSource,
    opening: Opening,
    keys: SealingKeys,
) -> Result<Volume, Error> {
    volume_in(Box::new(HostStorage::new(source.storage)), source, opening, keys)
}

/// Opens or makes a volume in this storage, which is that of `source`.
pub(crate) fn volume_in(
    storage: Box<dyn Storage>,
    source: &VolumeSource,
    opening: Opening,
    keys: SealingKeys,
) -> Result<Volume, Error> {
    opened(storage, source, opening, &mut Opener::new(&source.key, keys, None))
}

fn opened(
    storage: Box<dyn Storage>,
    source: &VolumeSource,
    opening: Opening,
    opener: &mut Opener<'_>,
) -> Result<Volume, Error> {
    let mut options = Options {
        read_only: opening == Opening::ReadOnly,
        repair: opening == Opening::Repair,
        clock: Box::new(now),
        ..Options::default()
    };
    if let Some(bytes) = source.cache {
        options.cache_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    if source.create {
        let slot = new_slot(&source.key, opener.keys)?;
        return Volume::create(storage, &[slot], options);
    }
    let mut volume = Volume::open(storage, opener, options)?;
    if opening == Opening::ReadWrite
        && let Some(parameters) = &opener.used
    {
        renew_slot(&mut volume, parameters, opener.keys)?;
    }
    Ok(volume)
}

/// Replaces the slot with these parameters, if its key is not one that would be made now: if it was
/// sealed under another CPUSVN or ISVSVN, by an older image, or under an older version of the manifest.
/// Whoever broke the firmware or the image of that time may know its key.
fn renew_slot(volume: &mut Volume, parameters: &[u8], keys: SealingKeys) -> Result<(), Error> {
    let Some(sealing) = SealingKeys::sealing(parameters) else { return Ok(()) };
    if keys.is_present(parameters) {
        return Ok(());
    }
    let is_it = |slot: &SlotInfo| slot.kind == SlotKind::Sealed && slot.parameters == parameters;
    let Some(old) = volume.slots().into_iter().find(is_it) else { return Ok(()) };
    let new = keys.new_slot(sealing)?;
    volume.replace_slot(old.number, &new).map(drop)
}

/// Makes a slot for a key of the launch request.
pub(crate) fn new_slot(key: &VolumeKey, keys: SealingKeys) -> Result<NewSlot, Error> {
    match key {
        VolumeKey::Sealed(sealing) => keys.new_slot(*sealing),
        VolumeKey::File(contents) => NewSlot::key_file(contents),
        VolumeKey::Passphrase(passphrase) => {
            NewSlot::passphrase(passphrase.as_bytes(), Cost::default())
        }
    }
}

/// Opens slots with a key of the kind in the launch request.
struct Opener<'a> {
    key: &'a VolumeKey,
    keys: SealingKeys,
    from: Option<From<'a>>,
    /// The parameters of the sealed slot that was tried last. If the volume opens, that slot has
    /// opened it.
    used: Option<Vec<u8>>,
    /// The remedy for the slot of a deployment that was refused last.
    remedy: Option<String>,
}

impl<'a> Opener<'a> {
    fn new(key: &'a VolumeKey, keys: SealingKeys, from: Option<From<'a>>) -> Self {
        Opener { key, keys, from, used: None, remedy: None }
    }

    /// Returns the key of a sealed slot: this enclave's own, or one that an older image hands over.
    fn sealing_key(
        &mut self,
        asked: Sealing,
        parameters: &[u8],
    ) -> Result<KeyEncryptionKey, Refusal> {
        let newer = self.keys.newer_version(parameters);
        let image =
            SealingKeys::image(parameters).filter(|image| *image != SealingKeys::own_image());
        let (Some(From { takeover, guest }), Some(image), None) = (self.from, image, newer) else {
            self.remedy = newer.map(|version| {
                format!("have its owner deploy version {version} of the manifest, or a newer one")
            });
            return self.keys.key(asked, parameters);
        };
        takeover.volume_key(guest, image, parameters).map_err(|Refused { cause, remedy }| {
            self.remedy = Some(remedy);
            Refusal(cause)
        })
    }

    /// Says why the volume does not open, and what to do.
    fn refused(&self, guest: &str, error: &Error) -> Refused {
        let Refused { cause, remedy } = refused_volume(guest, self.key, error);
        match (error, &self.remedy) {
            (Error::NoSlotOpens(_), Some(better)) => Refused { cause, remedy: better.clone() },
            _ => Refused { cause, remedy },
        }
    }
}

impl Unlock for Opener<'_> {
    fn sealed(&mut self, parameters: &[u8]) -> Result<KeyEncryptionKey, Refusal> {
        match self.key {
            VolumeKey::Sealed(asked) => {
                self.used = Some(parameters.to_vec());
                self.sealing_key(*asked, parameters)
            }
            _ => Err(Refusal("it was not asked for".into())),
        }
    }

    fn key_file(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        match self.key {
            VolumeKey::File(contents) => Some(Zeroizing::new(contents.clone())),
            _ => None,
        }
    }

    fn passphrase(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        match self.key {
            VolumeKey::Passphrase(passphrase) => {
                Some(Zeroizing::new(passphrase.clone().into_bytes()))
            }
            _ => None,
        }
    }
}

fn refused_folder(guest: &str, error: &impl Display) -> Refused {
    Refused {
        cause: format!("the folder for {guest} can't be used: {error}"),
        remedy: "check that it is still there, and who may read it".into(),
    }
}

fn refused_main(guest: &str, error: &Unclear) -> Refused {
    let remedy = match error {
        Unclear::Several(_) | Unclear::ReadOnly(_) => "name the file in it: VOLUME::/NAME",
        Unclear::Files(_) => "check it with `twine volume check`",
    };
    Refused { cause: format!("the volume for {guest}: {error}"), remedy: remedy.into() }
}

fn refused_volume(guest: &str, key: &VolumeKey, error: &Error) -> Refused {
    let Advice { cause, remedy } = Advice::refused(key, error, UsedBy::Program);
    Refused { cause: format!("the volume for {guest}: {cause}"), remedy }
}

impl Volumes {
    /// Closes the volumes, and returns their errors and statistics.
    pub(crate) fn finish(self) -> (Vec<String>, Vec<VolumeStatistics>) {
        let mut troubles = Vec::new();
        let mut statistics = Vec::new();
        for (guest, volume) in self.0 {
            let Some(volume) = volume.into_inner() else { continue };
            let counts = counts(&volume);
            // The first error explains more than the error of closing.
            let trouble = volume.first_error().cloned();
            let closing = volume.close().err();
            if let Some(error) = trouble.or(closing) {
                troubles.push(format!("the volume for {guest}: {error}"));
            }
            statistics.push(VolumeStatistics { guest, counts });
        }
        (troubles, statistics)
    }
}

fn counts(volume: &Volume) -> Vec<(String, u64)> {
    let statistics = volume.statistics();
    [
        ("blocks opened", statistics.blocks_opened),
        ("blocks sealed", statistics.blocks_sealed),
        ("cache hits", statistics.cache_hits),
        ("cache misses", statistics.cache_misses),
        ("bytes read", statistics.bytes_read),
        ("bytes written", statistics.bytes_written),
        ("writes", statistics.writes),
        ("syncs", statistics.syncs),
        ("commits", statistics.commits),
        ("tree commits", statistics.tree_commits),
    ]
    .map(|(name, count)| (name.to_owned(), count))
    .into()
}
