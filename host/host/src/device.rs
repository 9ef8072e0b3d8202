//! Hardware and software SGX: which of them this machine can use, and loading enclaves on either.

use crate::driver::{self, DEVICE, Kernel, LoadError, Memory, Refusal};
use crate::elrange::Elrange;
use crate::error::Error;
use crate::image::Image;
use crate::limits::Shortage;
use sgx_isa::AttributesFlags;
use sgxs::loader::{Load, Mapping, Tcs};
use sgxs::sgxs::SgxsRead;
use std::ffi::c_void;
use std::io::{BufReader, ErrorKind};
use std::sync::Arc;
use twine_image::{Attributes, Sigstruct};

/// The SGX that a user requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tee {
    /// Hardware SGX if this machine can use it, otherwise software SGX.
    #[default]
    Auto,
    /// Hardware SGX.
    Sgx,
    /// Software SGX.
    Sim,
}

/// The SGX that an enclave runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Hardware SGX.
    Hardware,
    /// Software SGX, which protects nothing.
    Simulated,
    /// Software SGX with a root secret that exists only in this process. Nothing is sealed on it,
    /// because sealed data could not be opened again.
    Throwaway,
}

impl Platform {
    /// Checks that data sealed on this platform can be opened again. Software SGX needs its root
    /// secret for that, which is created if there is none.
    ///
    /// # Errors
    /// [`Error::RootSecret`]. [`Platform::Throwaway`] can then still run requests that seal nothing.
    pub fn sealing(self) -> Result<(), Error> {
        match self {
            Platform::Hardware => Ok(()),
            Platform::Simulated => sgx_sim::Device::new().map(drop).map_err(simulated_error),
            Platform::Throwaway => Err(Error::Throwaway),
        }
    }
}

/// The support for SGX on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The CPU has SGX1 (CPUID leaf 12H).
    pub sgx1: bool,
    /// The CPU has SGX2: pages can be added and changed while an enclave runs.
    pub sgx2: bool,
    /// The kernel's device exists.
    pub device: bool,
    /// The reason why hardware SGX can't be used, if it can't.
    pub why_not: Option<String>,
}

impl Machine {
    /// Checks the CPU and the kernel.
    pub fn detect() -> Self {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        let sgx = __cpuid(0).eax >= 0x12 && __cpuid_count(7, 0).ebx & (1 << 2) != 0;
        let leaf = if sgx { __cpuid_count(0x12, 0).eax } else { 0 };
        let (sgx1, sgx2) = (leaf & 1 != 0, leaf & 2 != 0);
        let opened = std::fs::OpenOptions::new().read(true).write(true).open(DEVICE);
        let device = !matches!(&opened, Err(error) if error.kind() == ErrorKind::NotFound);
        let why_not = if !sgx {
            Some("the CPU has no SGX".to_owned())
        } else if !sgx1 {
            Some("the firmware has SGX switched off".to_owned())
        } else if !device {
            Some(format!("the kernel has no {DEVICE}, which needs Linux 5.11 or later with SGX"))
        } else {
            opened.err().map(|error| format!("{DEVICE} can't be opened: {error}"))
        };
        Machine { sgx1, sgx2, device, why_not }
    }
}

impl Tee {
    /// Chooses the SGX to run on.
    ///
    /// # Errors
    /// If hardware SGX is requested and can't be used.
    pub fn choose(self) -> Result<Platform, Error> {
        let machine = || Machine::detect().why_not;
        match self {
            Tee::Sim => Ok(Platform::Simulated),
            Tee::Sgx => machine().map_or(Ok(Platform::Hardware), |why| Err(Error::NoSgx(why))),
            Tee::Auto => {
                Ok(if machine().is_none() { Platform::Hardware } else { Platform::Simulated })
            }
        }
    }
}

/// The driver of a machine, which loads enclaves.
pub(crate) struct Device(Box<dyn Kernel>);

impl Device {
    pub(crate) fn open(platform: Platform) -> Result<Self, Error> {
        let simulated = match platform {
            Platform::Hardware => return Ok(Device(Box::new(driver::Linux))),
            Platform::Simulated => sgx_sim::Device::new(),
            Platform::Throwaway => sgx_sim::Device::throwaway(),
        };
        let simulated = simulated.map_err(simulated_error)?;
        Ok(Device(Box::new(sgx_sim::Kernel::new(&simulated))))
    }

    /// Returns the driver of a modelled kernel.
    pub(crate) fn of_model(kernel: sgx_sim::Kernel) -> Self {
        Device(Box::new(kernel))
    }

    /// Loads the enclave of an image.
    pub(crate) fn load(&self, image: &Image, attributes: Attributes) -> Result<Loaded, Error> {
        let loaded = driver::load(&*self.0, image.file()?, &image.sigstruct, attributes)
            .map_err(|error| loading_error(error, image, attributes))?;
        let memory = Arc::new(loaded.memory);
        let tcss = loaded
            .threads
            .iter()
            .map(|&address| AnyTcs { address, _memory: memory.clone() })
            .collect();
        let mapping = Some(Mapping { info: memory.elrange(), tcss });
        Ok(Loaded { memory, threads: loaded.threads.len(), mapping })
    }
}

/// Returns the error for software SGX that can't be used.
fn simulated_error(error: sgx_sim::Error) -> Error {
    match error {
        sgx_sim::Error::RootSecret(_) => Error::RootSecret(error),
        sgx_sim::Error::Unsupported(_) => Error::NoSimulation(error.to_string()),
        error => Error::System(error.to_string()),
    }
}

/// Returns the error for an image that was not loaded, by the step that failed and the driver's
/// error code (Linux `arch/x86/kernel/cpu/sgx/ioctl.c`).
fn loading_error(error: LoadError, image: &Image, attributes: Attributes) -> Error {
    match error {
        LoadError::Open(error) => match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => {
                Error::NoFile { source: error, shortage: Shortage::of_files() }
            }
            _ => Error::NoSgx(format!("{DEVICE} can't be opened: {error}")),
        },
        LoadError::Image(twine_image::Error::Io { source, .. }) => {
            Error::Read { path: image.path.clone(), source }
        }
        LoadError::Image(error) => {
            Error::Damaged { path: image.path.clone(), reason: error.to_string() }
        }
        LoadError::Addresses { size, error } => Error::NoMemory {
            what: format!("{size} bytes of address space can't be reserved: {error}"),
            shortage: Shortage::of_addresses(),
        },
        LoadError::Memory => Error::NoMemory {
            what: "the image's pages can't be read into memory".into(),
            shortage: Shortage::of_memory(),
        },
        LoadError::Create(refusal) => match refusal.errno() {
            Some(libc::ENOMEM) if !refusal.is_logged() => Error::NoEpc(refusal.what("ECREATE")),
            Some(libc::EINVAL | libc::EIO) => refused(refusal.what("ECREATE"), image),
            _ => system_error(&refusal, "ECREATE"),
        },
        LoadError::Add { offset, refusal } => {
            let what = format!("EADD of the page at offset {offset:#x}");
            match refusal.errno() {
                Some(libc::EINVAL | libc::EIO | libc::EBUSY) => refused(refusal.what(&what), image),
                Some(libc::ENOMEM) if !refusal.is_logged() => Error::NoEpc(refusal.what(&what)),
                _ => system_error(&refusal, &what),
            }
        }
        LoadError::Map { offset, refusal } => {
            system_error(&refusal, &format!("mmap of the pages at offset {offset:#x}"))
        }
        LoadError::Probe(refusal) => system_error(&refusal, "the check for SGX2"),
        LoadError::Init(refusal) => match refusal.errno() {
            Some(libc::EPERM | libc::EINVAL) => not_initialized(refusal.what("EINIT"), image),
            Some(libc::EACCES) if attributes.flags.contains(AttributesFlags::PROVISIONKEY) => {
                Error::NotPermitted("the enclave asks for the provisioning key".into())
            }
            _ => system_error(&refusal, "EINIT"),
        },
    }
}

/// Returns the error for a system call that was refused.
fn system_error(refusal: &Refusal, call: &str) -> Error {
    let what = refusal.what(call);
    match refusal.errno() {
        _ if refusal.is_of_memory() => Error::NoMemory { what, shortage: Shortage::of_memory() },
        Some(libc::EACCES | libc::EPERM) => Error::NotPermitted(what),
        _ => Error::System(what),
    }
}

/// Returns the error for a refused EINIT. Linux returns EPERM for all error codes of EINIT, so this
/// repeats its checks.
fn not_initialized(reason: String, image: &Image) -> Error {
    match twine_image::verify(&image.sigstruct) {
        Ok(_) => refused(reason, image),
        Err(error) => Error::Signature {
            path: twine_image::signature_path(&image.path),
            reason: match error {
                twine_image::Error::Signature { reason } => reason.to_owned(),
                _ => reason,
            },
        },
    }
}

/// Returns the error for an image that was refused. The image may differ from the one that was
/// signed: the driver refuses pages before EINIT compares the measurement, so this compares it.
fn refused(reason: String, image: &Image) -> Error {
    let path = || image.path.clone();
    let file = match image.file() {
        Ok(file) => file,
        Err(error) => return error,
    };
    match twine_image::measure(BufReader::with_capacity(1 << 20, file)) {
        Ok(mrenclave) if mrenclave.0 == image.sigstruct.enclavehash => Error::Refused(reason),
        Ok(_) => Error::Changed { path: path(), reason },
        Err(error) => Error::Damaged { path: path(), reason: error.to_string() },
    }
}

/// A TCS. It keeps the enclave loaded.
#[derive(Debug)]
pub(crate) struct AnyTcs {
    address: usize,
    _memory: Arc<Memory>,
}

impl Tcs for AnyTcs {
    fn address(&self) -> *mut c_void {
        self.address as *mut c_void
    }
}

/// A loaded enclave. It implements `Load`, because `enclave-runner` takes enclaves from a loader.
pub(crate) struct Loaded {
    pub memory: Arc<Memory>,
    /// The number of TCSs: that many threads can be inside at once.
    pub threads: usize,
    mapping: Option<Mapping<Self>>,
}

impl Load for Loaded {
    type MappingInfo = Elrange;
    type Tcs = AnyTcs;

    fn load<R: SgxsRead>(
        &mut self,
        _: &mut R,
        _: &Sigstruct,
        _: Attributes,
        _: sgx_isa::Miscselect,
    ) -> Result<Mapping<Self>, anyhow::Error> {
        self.mapping.take().ok_or_else(|| anyhow::anyhow!("an enclave is loaded once"))
    }
}
