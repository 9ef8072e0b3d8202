//! The device: what stands for a machine with SGX.

use std::fs;
use std::io::{self, Read, Write};
use std::os::raw::c_void;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sgx_isa::{Attributes, Miscselect, Sigstruct};
use sgxs::loader::{Load, Mapping, MappingInfo};
use sgxs::sgxs::SgxsRead;

use crate::enclave::Enclave;
use crate::error::Error;
use crate::leaf::key::Platform;
use crate::load::{self, Policy};
use crate::stream::{Bytes, Records, Source};
use crate::{fault, vdso, xsave};

/// Bytes of a root secret.
pub const ROOT_SECRET_SIZE: usize = 16;

/// A simulated machine with SGX, into which enclaves are loaded.
///
/// All devices with the same root secret are the same machine: enclaves in them derive the
/// same sealing keys and can verify each other's reports.
#[derive(Clone)]
pub struct Device {
    platform: Platform,
    provision_key: bool,
    quick_exits: bool,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("provision_key", &self.provision_key)
            .field("quick_exits", &self.quick_exits)
            .finish_non_exhaustive()
    }
}

impl Device {
    /// This user's simulated machine. Its root secret is the file
    /// `$XDG_STATE_HOME/sgx-sim/root-secret` (`~/.local/state` by default), made at the
    /// first call.
    pub fn new() -> Result<Self, Error> {
        Self::with_root_secret(root_secret()?)
    }

    /// The machine that has this root secret.
    pub fn with_root_secret(root_secret: [u8; ROOT_SECRET_SIZE]) -> Result<Self, Error> {
        if !segment_base_instructions() {
            return Err(Error::Unsupported("the kernel does not permit WRFSBASE (FSGSBASE)"));
        }
        xsave::layout()?;
        vdso::link();
        Ok(Device {
            platform: Platform { root_secret, report_keyid: report_keyid()?, owner_epoch: [0; 16] },
            provision_key: true,
            quick_exits: false,
        })
    }

    /// Whether enclaves may have ATTRIBUTES.PROVISIONKEY, for which Linux asks for access to
    /// `/dev/sgx_provision`. They may unless told otherwise.
    pub fn allow_provision_key(mut self, allow: bool) -> Self {
        self.provision_key = allow;
        self
    }

    /// Whether enclaves loaded from now on may be patched, after they are measured, so that
    /// their exits trap at less cost: one byte of each ENCLU that has executed EEXIT is
    /// overwritten with HLT. Nothing else changes, but the enclave could read that byte. They
    /// are not patched unless told otherwise.
    ///
    /// In virtual machines on AMD processors, where KVM intercepts invalid opcodes, this makes
    /// a host call several times as fast.
    pub fn quick_exits(mut self, patch: bool) -> Self {
        self.quick_exits = patch;
        self
    }

    /// Loads an enclave from the bytes of an SGXS stream, several times as fast as
    /// [`Load::load`], which gets it record by record. It also refuses what [`Load::load`] never
    /// sees: reserved fields that are not zero, though the processor measures them as zero.
    ///
    /// # Errors
    /// When the stream can't be read, or the processor or Linux would refuse the enclave.
    pub fn load_stream(
        &mut self,
        stream: impl Read,
        sigstruct: &Sigstruct,
        attributes: Attributes,
        miscselect: Miscselect,
    ) -> Result<Mapping<Self>, Error> {
        self.load_from(Bytes(stream), sigstruct, attributes, miscselect)
    }

    fn load_from(
        &self,
        source: impl Source,
        sigstruct: &Sigstruct,
        attributes: Attributes,
        miscselect: Miscselect,
    ) -> Result<Mapping<Self>, Error> {
        fault::adopt_signal_handlers()?;
        let policy = Policy { provision_key: self.provision_key, quick_exits: self.quick_exits };
        let enclave =
            load::load(source, sigstruct, attributes, miscselect, &policy, self.platform.clone())?;
        let tcss = enclave
            .threads
            .iter()
            .map(|thread| Tcs { address: thread.address, _enclave: enclave.clone() })
            .collect();
        Ok(Mapping { info: Info { enclave }, tcss })
    }

    /// CR_SGXOWNEREPOCH, which sealing and report keys depend on; zero unless told otherwise.
    pub fn owner_epoch(mut self, epoch: [u8; 16]) -> Self {
        self.platform.owner_epoch = epoch;
        self
    }
}

impl Load for Device {
    type MappingInfo = Info;
    type Tcs = Tcs;

    /// Loads an enclave, or refuses it as the processor or Linux would. The error is an
    /// [`Error`], to which it downcasts.
    fn load<R: SgxsRead>(
        &mut self,
        reader: &mut R,
        sigstruct: &Sigstruct,
        attributes: Attributes,
        miscselect: Miscselect,
    ) -> Result<Mapping<Self>, anyhow::Error> {
        Ok(self.load_from(Records(reader), sigstruct, attributes, miscselect)?)
    }
}

/// A loaded enclave. It is unloaded when this and all its [`Tcs`] are dropped.
#[derive(Debug)]
pub struct Info {
    enclave: Arc<Enclave>,
}

impl Info {
    /// MRENCLAVE.
    pub fn mrenclave(&self) -> [u8; 32] {
        self.enclave.secs.mrenclave
    }

    /// MRSIGNER.
    pub fn mrsigner(&self) -> [u8; 32] {
        self.enclave.secs.mrsigner
    }
}

impl MappingInfo for Info {
    fn address(&self) -> *mut c_void {
        self.enclave.secs.base as *mut c_void
    }

    fn size(&self) -> usize {
        self.enclave.secs.size
    }
}

/// A thread control structure of a loaded enclave.
#[derive(Debug)]
pub struct Tcs {
    address: usize,
    _enclave: Arc<Enclave>,
}

impl sgxs::loader::Tcs for Tcs {
    fn address(&self) -> *mut c_void {
        self.address as *mut c_void
    }
}

fn segment_base_instructions() -> bool {
    /// `HWCAP2_FSGSBASE` of Linux' `asm/hwcap2.h`.
    const FSGSBASE: u64 = 1 << 1;
    // SAFETY: reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & FSGSBASE != 0 }
}

/// CR_REPORT_KEYID: chosen at "reset", the start of this process.
fn report_keyid() -> Result<[u8; 32], Error> {
    static KEYID: OnceLock<[u8; 32]> = OnceLock::new();
    if let Some(keyid) = KEYID.get() {
        return Ok(*keyid);
    }
    let fresh = random()?;
    Ok(*KEYID.get_or_init(|| fresh))
}

fn random<const SIZE: usize>() -> Result<[u8; SIZE], Error> {
    let mut bytes = [0; SIZE];
    // SAFETY: the buffer has the length given.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), SIZE, 0) };
    if got == SIZE as isize { Ok(bytes) } else { Err(Error::last_os("getrandom")) }
}

fn root_secret() -> Result<[u8; ROOT_SECRET_SIZE], Error> {
    let path = root_secret_path()?;
    read_or_create(&path).map_err(|source| Error::RootSecret { path, source })
}

fn root_secret_path() -> Result<PathBuf, Error> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .ok_or(Error::Unsupported(
            "neither XDG_STATE_HOME nor HOME says where to keep the root secret",
        ))?;
    Ok(state.join("sgx-sim").join("root-secret"))
}

/// Two processes may make the file at the same time: each writes its own beside it, and the
/// first to link it into place has made it for both.
fn read_or_create(path: &Path) -> io::Result<[u8; ROOT_SECRET_SIZE]> {
    match read_secret(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => return result,
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let tag: [u8; 8] = random().map_err(io::Error::other)?;
    let draft = path.with_extension(format!("{:016x}", u64::from_le_bytes(tag)));
    let secret: [u8; ROOT_SECRET_SIZE] = random().map_err(io::Error::other)?;
    let linked = write_secret(&draft, &secret).and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_secret(path),
    }
}

fn write_secret(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret)?;
    file.sync_all()
}

fn read_secret(path: &Path) -> io::Result<[u8; ROOT_SECRET_SIZE]> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(ROOT_SECRET_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    bytes.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not 16 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_root_secret_is_made_once_and_only_for_its_user() {
        let folder = std::env::temp_dir().join(format!("sgx-sim-secret-{}", std::process::id()));
        let path = folder.join("state").join("root-secret");
        let first = read_or_create(&path).unwrap();
        assert_eq!(read_or_create(&path).unwrap(), first);
        assert_ne!(first, [0; ROOT_SECRET_SIZE]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let entries = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(entries, 1, "drafts are removed");
        fs::write(&path, b"short").unwrap();
        assert!(read_or_create(&path).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
