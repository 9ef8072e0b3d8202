//! Hardware or software: which SGX this machine has.

use crate::error::Error;
use crate::image::Image;
use crate::process::{self, Shortage};
use sgx_isa::ErrorCode;
use sgxs::loader::{Load, Mapping, MappingInfo, Tcs};
use sgxs::sgxs::SgxsRead;
use sgxs_loaders::isgx::SgxIoctlError;
use std::ffi::c_void;
use std::io::{BufReader, ErrorKind};
use twine_image::{Attributes, Sigstruct};

/// Which SGX a user wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tee {
    /// Hardware where it can be used, else software.
    #[default]
    Auto,
    /// Hardware or nothing.
    Sgx,
    /// Software.
    Sim,
}

/// Which SGX an enclave runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// The CPU's.
    Hardware,
    /// The software one, which protects nothing.
    Simulated,
    /// The software one, as a machine that ends with this process: what is sealed on it can't be
    /// opened again, and nothing is.
    Throwaway,
}

impl Platform {
    /// Whether what is sealed here can be opened again. On software SGX that takes its root secret,
    /// which is made if there is none.
    ///
    /// # Errors
    /// [`Error::RootSecret`]: then [`Platform::Throwaway`] still runs what seals nothing.
    pub fn sealing(self) -> Result<(), Error> {
        match self {
            Platform::Hardware => Ok(()),
            Platform::Simulated => sgx_sim::Device::new().map(drop).map_err(simulated_error),
            Platform::Throwaway => Err(Error::Throwaway),
        }
    }
}

/// The device of Linux's own driver.
pub(crate) const DEVICE: &str = "/dev/sgx_enclave";

/// What this machine has of SGX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The CPU has SGX1 (CPUID leaf 12H).
    pub sgx1: bool,
    /// The CPU has SGX2: permissions and pages can change while an enclave runs.
    pub sgx2: bool,
    /// The kernel's device is there.
    pub device: bool,
    /// Why hardware is not used, if it can't be.
    pub why_not: Option<String>,
}

impl Machine {
    /// Looks at the CPU and the kernel.
    pub fn look() -> Self {
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
            Some(format!("the kernel has no {DEVICE}: it wants Linux 5.11 or later with SGX"))
        } else {
            opened.err().map(|error| format!("{DEVICE} can't be opened: {error}"))
        };
        Machine { sgx1, sgx2, device, why_not }
    }
}

impl Tee {
    /// The SGX to run on.
    ///
    /// # Errors
    /// When hardware is asked for and can't be used.
    pub fn choose(self) -> Result<Platform, Error> {
        let machine = || Machine::look().why_not;
        match self {
            Tee::Sim => Ok(Platform::Simulated),
            Tee::Sgx => machine().map_or(Ok(Platform::Hardware), |why| Err(Error::NoSgx(why))),
            Tee::Auto => {
                Ok(if machine().is_none() { Platform::Hardware } else { Platform::Simulated })
            }
        }
    }
}

/// The addresses of a loaded enclave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elrange {
    pub base: usize,
    pub size: usize,
}

/// Either device.
pub(crate) struct Device(Inner);

enum Inner {
    Hardware(sgxs_loaders::isgx::Device),
    Simulated(sgx_sim::Device),
}

impl Device {
    pub(crate) fn open(platform: Platform) -> Result<Self, Error> {
        Ok(Device(match platform {
            Platform::Hardware => Inner::Hardware(
                sgxs_loaders::isgx::Device::new()
                    .map_err(|error| Error::NoSgx(error.to_string()))?
                    .build(),
            ),
            Platform::Simulated => {
                Inner::Simulated(sgx_sim::Device::new().map_err(simulated_error)?)
            }
            Platform::Throwaway => {
                Inner::Simulated(sgx_sim::Device::throwaway().map_err(simulated_error)?)
            }
        }))
    }

    /// Loads the enclave of an image.
    pub(crate) fn load(&mut self, image: &Image, attributes: Attributes) -> Result<Loaded, Error> {
        let sigstruct = &image.sigstruct;
        let mapping = match &mut self.0 {
            Inner::Hardware(device) => {
                // Read at once: the loader reads record by record, 64 bytes at a time. It also
                // passes over reserved fields, where bytes could be changed and nobody would
                // notice.
                let sgxs = image.read()?;
                twine_image::check(&sgxs[..]).map_err(|error| Error::Damaged {
                    path: image.path.clone(),
                    reason: error.to_string(),
                })?;
                device
                    .load(&mut &sgxs[..], sigstruct, attributes, sigstruct.miscselect)
                    .map(erase)
                    .map_err(|error| hardware_error(&error, image))?
            }
            Inner::Simulated(device) => device
                .load_stream(image.file()?, sigstruct, attributes, sigstruct.miscselect)
                .map(erase)
                .map_err(|error| loading_error(error, image))?,
        };
        let info = &mapping.info;
        let elrange = Elrange { base: info.address() as usize, size: info.size() };
        Ok(Loaded { elrange, threads: mapping.tcss.len(), mapping: Some(mapping) })
    }
}

/// Why software SGX can't be had.
fn simulated_error(error: sgx_sim::Error) -> Error {
    match error {
        sgx_sim::Error::RootSecret(_) => Error::RootSecret(error),
        sgx_sim::Error::Unsupported(_) => Error::NoSimulation(error.to_string()),
        error => Error::System(error.to_string()),
    }
}

/// Why software SGX did not load an image.
fn loading_error(error: sgx_sim::Error, image: &Image) -> Error {
    use sgx_sim::Error as Sim;
    let path = || image.path.clone();
    let reason = error.to_string();
    match error {
        Sim::InvalidMeasurement { .. } => Error::Changed { path: path(), reason },
        Sim::InvalidSigStruct(_) | Sim::InvalidSignature(_) => {
            Error::Signature { path: twine_image::signature_path(&image.path), reason }
        }
        Sim::NotCanonical(_) | Sim::Stream(_) => Error::Damaged { path: path(), reason },
        Sim::Read(source) => Error::Read { path: path(), source },
        Sim::InvalidAttribute(_) | Sim::Create(_) | Sim::Add { .. } | Sim::Permissions { .. } => {
            refused(reason, image)
        }
        Sim::AddressSpace { .. } => {
            Error::NoMemory { what: reason, shortage: Shortage::of_addresses() }
        }
        Sim::Memory { .. } => Error::NoMemory { what: reason, shortage: Shortage::of_memory() },
        Sim::Thread(source) => process::no_thread(source),
        Sim::System { source, .. } => system_error(&source, reason),
        error => simulated_error(error),
    }
}

/// Why the system refused a call that `what` tells of.
fn system_error(error: &std::io::Error, what: String) -> Error {
    match error.raw_os_error() {
        Some(libc::ENOMEM) => Error::NoMemory { what, shortage: Shortage::of_memory() },
        Some(libc::EACCES | libc::EPERM) => Error::NotPermitted(what),
        _ => Error::System(what),
    }
}

/// Why the driver or the processor did not load an image.
fn hardware_error(error: &anyhow::Error, image: &Image) -> Error {
    let reason = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    if let Some(system) = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>()) {
        return system_error(system, reason);
    }
    let answer = error.chain().find_map(|cause| cause.downcast_ref::<SgxIoctlError>());
    match answer {
        Some(SgxIoctlError::Ret(ErrorCode::InvalidMeasurement)) => {
            Error::Changed { path: image.path.clone(), reason }
        }
        Some(SgxIoctlError::Ret(ErrorCode::InvalidSignature | ErrorCode::InvalidSigStruct)) => {
            Error::Signature { path: twine_image::signature_path(&image.path), reason }
        }
        _ => refused(reason, image),
    }
}

/// Why the enclave that an image describes was refused: that is for its signer to mend, unless the
/// image is another than the one that was signed. Pages are refused before that is known.
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

/// A TCS of either device.
#[derive(Debug)]
pub(crate) struct AnyTcs(Box<dyn Tcs>);

impl Tcs for AnyTcs {
    fn address(&self) -> *mut c_void {
        self.0.address()
    }
}

/// What either device says of a loaded enclave.
#[derive(Debug)]
pub(crate) struct AnyInfo(Box<dyn MappingInfo>);

impl MappingInfo for AnyInfo {
    fn address(&self) -> *mut c_void {
        self.0.address()
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

fn erase<L: Load>(mapping: Mapping<L>) -> Mapping<Loaded> {
    Mapping {
        info: AnyInfo(Box::new(mapping.info)),
        tcss: mapping.tcss.into_iter().map(|tcs| AnyTcs(Box::new(tcs))).collect(),
    }
}

/// A loaded enclave, in the form in which `enclave-runner` takes one: as a loader.
pub(crate) struct Loaded {
    /// Where it lies.
    pub elrange: Elrange,
    /// How many threads can be inside at once: its TCSs.
    pub threads: usize,
    mapping: Option<Mapping<Self>>,
}

impl Load for Loaded {
    type MappingInfo = AnyInfo;
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
