//! The device, which represents a machine with SGX.

use std::io::{self, Read};
use std::os::raw::c_void;
use std::sync::{Arc, OnceLock};

use sgx_isa::{Attributes, Miscselect, Sigstruct};
use sgxs::loader::{Load, Mapping, MappingInfo};
use sgxs::sgxs::SgxsRead;

use crate::SIMULATED_CPUSVN;
use crate::builder::Policy;
use crate::enclave::Enclave;
use crate::error::Error;
use crate::leaf::key::Platform;
use crate::load;
use crate::stream::{Bytes, Records, Source};
use crate::{fault, vdso, xsave};

/// The size of a root secret, in bytes.
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
    /// Returns this user's simulated machine. Its root secret is the file
    /// `$XDG_STATE_HOME/sgx-sim/root-secret` (`~/.local/state` by default). The first call creates
    /// it. The environment variable `SGX_SIM_SECURITY_VERSION` sets its
    /// [`security_version`](Self::security_version).
    ///
    /// # Errors
    /// [`Error::RootSecret`] if that file cannot be read or created, and [`Error::Unsupported`] if the
    /// variable is no number from 0 to 255.
    pub fn new() -> Result<Self, Error> {
        let device =
            Self::with_root_secret(crate::secret::of_this_user().map_err(Error::RootSecret)?)?;
        let Some(version) = std::env::var_os("SGX_SIM_SECURITY_VERSION") else {
            return Ok(device);
        };
        let version = version.to_str().and_then(|version| version.parse().ok());
        let wrong = Error::Unsupported("SGX_SIM_SECURITY_VERSION is no number from 0 to 255");
        Ok(device.security_version(version.ok_or(wrong)?))
    }

    /// Returns a new machine that exists only in this value. Its root secret is random and is not
    /// stored, so data that enclaves seal on it is lost with this value.
    pub fn throwaway() -> Result<Self, Error> {
        Self::with_root_secret(
            random().map_err(|source| Error::System { call: "getrandom", source })?,
        )
    }

    /// Returns the machine with this root secret.
    pub fn with_root_secret(root_secret: [u8; ROOT_SECRET_SIZE]) -> Result<Self, Error> {
        if !segment_base_instructions() {
            return Err(Error::Unsupported(
                "the kernel does not permit WRFSBASE (FSGSBASE, Linux 5.9 or later)",
            ));
        }
        xsave::layout()?;
        vdso::link();
        Ok(Device {
            platform: Platform {
                root_secret,
                report_keyid: report_keyid()?,
                owner_epoch: [0; 16],
                security_version: SIMULATED_CPUSVN[15],
            },
            provision_key: true,
            quick_exits: false,
        })
    }

    /// Sets whether enclaves may have ATTRIBUTES.PROVISIONKEY, for which Linux asks for access to
    /// `/dev/sgx_provision`. The default is true.
    pub fn allow_provision_key(mut self, allow: bool) -> Self {
        self.provision_key = allow;
        self
    }

    /// Sets whether enclaves loaded from now on may be patched after they are measured, so that
    /// their exits trap at less cost: one byte of each ENCLU that has executed EEXIT is overwritten
    /// with HLT. Nothing else changes, but the enclave could read that byte. The default is false.
    ///
    /// In virtual machines on AMD processors, where KVM intercepts invalid opcodes, this makes a
    /// host call several times as fast.
    pub fn quick_exits(mut self, patch: bool) -> Self {
        self.quick_exits = patch;
        self
    }

    /// Sets the last byte of CPUSVN, as if the processor's microcode were older or newer. The
    /// default is that of [`SIMULATED_CPUSVN`]. An enclave gets the sealing keys of older versions,
    /// but not those of newer ones.
    pub fn security_version(mut self, version: u8) -> Self {
        self.platform.security_version = version;
        self
    }

    /// Loads an enclave from the bytes of an SGXS stream, several times as fast as [`Load::load`],
    /// which receives it record by record. It also refuses reserved fields that are not zero, which
    /// [`Load::load`] never sees. The processor measures them as zero.
    ///
    /// # Errors
    /// An error if the stream cannot be read, or if the processor or Linux would refuse the
    /// enclave.
    pub fn load_stream(
        &mut self,
        stream: impl Read,
        sigstruct: &Sigstruct,
        attributes: Attributes,
        miscselect: Miscselect,
    ) -> Result<Mapping<Self>, Error> {
        self.load_from(Bytes(stream), sigstruct, attributes, miscselect)
    }

    /// Returns the processor's keys and the device's policy.
    pub(crate) fn parts(&self) -> (Platform, Policy) {
        let policy = Policy { provision_key: self.provision_key, quick_exits: self.quick_exits };
        (self.platform.clone(), policy)
    }

    fn load_from(
        &self,
        source: impl Source,
        sigstruct: &Sigstruct,
        attributes: Attributes,
        miscselect: Miscselect,
    ) -> Result<Mapping<Self>, Error> {
        fault::adopt_signal_handlers()?;
        let (platform, policy) = self.parts();
        let enclave = load::load(source, sigstruct, attributes, miscselect, policy, platform)?;
        let tcss = enclave
            .threads
            .iter()
            .map(|thread| Tcs { address: thread.address, _enclave: enclave.clone() })
            .collect();
        Ok(Mapping { info: Info { enclave }, tcss })
    }

    /// Sets CR_SGXOWNEREPOCH, on which sealing and report keys depend. The default is zero.
    pub fn owner_epoch(mut self, epoch: [u8; 16]) -> Self {
        self.platform.owner_epoch = epoch;
        self
    }
}

impl Load for Device {
    type MappingInfo = Info;
    type Tcs = Tcs;

    /// Loads an enclave, or refuses it as the processor or Linux would. The error downcasts to
    /// [`Error`].
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
    /// Returns MRENCLAVE.
    pub fn mrenclave(&self) -> [u8; 32] {
        self.enclave.secs.mrenclave
    }

    /// Returns MRSIGNER.
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

/// Returns CR_REPORT_KEYID, chosen at "reset", which is the start of this process.
fn report_keyid() -> Result<[u8; 32], Error> {
    static KEYID: OnceLock<[u8; 32]> = OnceLock::new();
    if let Some(keyid) = KEYID.get() {
        return Ok(*keyid);
    }
    let fresh = random().map_err(|source| Error::System { call: "getrandom", source })?;
    Ok(*KEYID.get_or_init(|| fresh))
}

/// Returns fresh random bytes.
pub(crate) fn random<const SIZE: usize>() -> io::Result<[u8; SIZE]> {
    let mut bytes = [0; SIZE];
    // SAFETY: the buffer has the length given.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), SIZE, 0) };
    if got == SIZE as isize { Ok(bytes) } else { Err(io::Error::last_os_error()) }
}
