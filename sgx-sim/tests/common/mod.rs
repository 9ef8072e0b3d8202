//! Tiny enclaves written in assembly, which need no enclave toolchain. This module makes their
//! images, signs, loads and enters them.

#![allow(
    dead_code,
    missing_docs,
    clippy::undocumented_unsafe_blocks,
    reason = "each test program uses only a part of this module"
)]

use std::arch::{asm, global_asm};
use std::sync::OnceLock;

use openssl::bn::BigNum;
use openssl::hash::Hasher;
use openssl::pkey::Private;
use openssl::rsa::Rsa;
use sgx_isa::{Attributes, AttributesFlags, Miscselect, PageType, SecinfoFlags, Sigstruct};
use sgx_sim::{Device, EnclaveRun, Info};
use sgxs::loader::{Load, Mapping, MappingInfo, Tcs};
use sgxs::sgxs::{CanonicalSgxsWriter, MeasECreate, PageChunk, SecinfoTruncated};
use sgxs::sigstruct::{EnclaveHash, Signer};

pub const PAGE: u64 = 0x1000;
pub const EENTER: u32 = 2;
pub const ERESUME: u32 = 3;
pub const EEXIT: u32 = 4;

/// The layout of the image. Each thread has a TCS, then its SSA frames (two), then a data page, to
/// which FS and GS point.
pub mod at {
    pub const CODE: u64 = 0;
    pub const THREADS: u64 = 0x4000;
    pub const THREAD_SIZE: u64 = 0x4000;
    pub const SSA: u64 = 0x1000;
    pub const DATA: u64 = 0x3000;
    /// Pages for the paging tests: RW, RX, RWX.
    pub const SPARE: u64 = 0x2_0000;
    pub const SIZE: u64 = 0x4_0000;
}

global_asm!(include_str!("enclave.s"));

unsafe extern "C" {
    fn tiny_start();
    fn tiny_end();
    fn tiny_echo();
    fn tiny_leaf();
    fn tiny_leaves();
    fn tiny_trap();
    fn tiny_spin();
    fn tiny_touch();
    fn tiny_wide();
}

/// An entry point in `enclave.s`.
#[derive(Clone, Copy)]
pub enum Entry {
    Echo,
    Leaf,
    Leaves,
    Trap,
    Spin,
    Touch,
    Wide,
}

impl Entry {
    fn offset(self) -> u64 {
        let symbol: unsafe extern "C" fn() = match self {
            Entry::Echo => tiny_echo,
            Entry::Leaf => tiny_leaf,
            Entry::Leaves => tiny_leaves,
            Entry::Trap => tiny_trap,
            Entry::Spin => tiny_spin,
            Entry::Touch => tiny_touch,
            Entry::Wide => tiny_wide,
        };
        at::CODE + (symbol as usize - tiny_start as *const () as usize) as u64
    }
}

/// A description of an image, and of its signature.
#[derive(Clone)]
pub struct Spec {
    pub entry: Entry,
    pub threads: u64,
    pub attributes: Attributes,
    pub miscselect: Miscselect,
    pub ssaframesize: u32,
    pub nssa: u32,
    pub isvsvn: u16,
    pub isvprodid: u16,
    /// The byte that fills the data pages, which changes MRENCLAVE.
    pub salt: u8,
    /// A change applied to each TCS page.
    pub tcs: fn(&mut sgx_isa::Tcs),
    pub spare: SecinfoFlags,
    pub key: fn() -> &'static Rsa<Private>,
}

impl Spec {
    pub fn new(entry: Entry) -> Self {
        Spec {
            entry,
            threads: 1,
            attributes: Attributes {
                flags: AttributesFlags::MODE64BIT | AttributesFlags::DEBUG,
                xfrm: 3,
            },
            miscselect: Miscselect::EXINFO,
            ssaframesize: 1,
            nssa: 2,
            isvsvn: 3,
            isvprodid: 7,
            salt: 0,
            tcs: |_| {},
            spare: SecinfoFlags::R | SecinfoFlags::W,
            key,
        }
    }

    /// Returns the SGXS stream.
    pub fn image(&self) -> Vec<u8> {
        let mut image = Vec::new();
        let create = MeasECreate { ssaframesize: self.ssaframesize, size: at::SIZE };
        let mut writer = CanonicalSgxsWriter::new(&mut image, create, true).unwrap();
        let reg = |flags: SecinfoFlags| SecinfoTruncated { flags: flags | PageType::Reg.into() };
        let tcs = SecinfoTruncated { flags: PageType::Tcs.into() };
        let (r, w, x) = (SecinfoFlags::R, SecinfoFlags::W, SecinfoFlags::X);

        let code = code();
        let pages = code.len().div_ceil(PAGE as usize);
        assert!(pages as u64 * PAGE <= at::THREADS);
        writer.write_pages(Some(&mut &code[..]), pages, Some(at::CODE), reg(r | x)).unwrap();
        for thread in 0..self.threads {
            let base = at::THREADS + thread * at::THREAD_SIZE;
            let mut page = sgx_isa::Tcs {
                ossa: base + at::SSA,
                nssa: self.nssa,
                oentry: self.entry.offset(),
                ofsbasgx: base + at::DATA,
                ogsbasgx: base + at::DATA,
                fslimit: 0xfff,
                gslimit: 0xfff,
                ..Default::default()
            };
            (self.tcs)(&mut page);
            writer.write_page(Some(&mut page.as_ref()), Some(base), tcs).unwrap();
            writer.write_pages(None::<&mut &[u8]>, 2, Some(base + at::SSA), reg(r | w)).unwrap();
            // The contents are not measured, except one chunk.
            let mut chunks = [PageChunk::Included; 16];
            chunks[15] = PageChunk::IncludedMeasured;
            let data = vec![self.salt; PAGE as usize];
            writer.write_page((&mut &data[..], chunks), Some(base + at::DATA), reg(r | w)).unwrap();
        }
        for page in 0..4 {
            let offset = at::SPARE + page * PAGE;
            writer.write_page(None::<&mut &[u8]>, Some(offset), reg(self.spare)).unwrap();
        }
        image
    }

    pub fn signer(&self, image: &[u8]) -> Signer {
        let hash = EnclaveHash::from_stream::<_, Hasher>(&mut &image[..]).unwrap();
        let mut signer = Signer::new(hash);
        signer
            .attributes_flags(self.attributes.flags, !0)
            .attributes_xfrm(self.attributes.xfrm, !0)
            .miscselect(self.miscselect, !0)
            .isvsvn(self.isvsvn)
            .isvprodid(self.isvprodid);
        signer
    }

    pub fn sign(&self, image: &[u8]) -> Sigstruct {
        self.signer(image).sign::<_, Hasher>(&**(self.key)()).unwrap()
    }

    pub fn load(&self) -> Enclave {
        self.load_on(device())
    }

    pub fn load_on(&self, device: Device) -> Enclave {
        let image = self.image();
        let sig = self.sign(&image);
        self.try_load(device, &image, &sig).unwrap_or_else(|error| panic!("{error:#}"))
    }

    pub fn try_load(
        &self,
        mut device: Device,
        image: &[u8],
        sig: &Sigstruct,
    ) -> Result<Enclave, anyhow::Error> {
        let Mapping { info, tcss } =
            device.load(&mut &image[..], sig, self.attributes, self.miscselect)?;
        Ok(Enclave { info, tcss })
    }
}

pub fn device() -> Device {
    Device::with_root_secret(*b"a test's machine").unwrap()
}

fn code() -> &'static [u8] {
    let (start, end) = (tiny_start as *const () as usize, tiny_end as *const () as usize);
    unsafe { std::slice::from_raw_parts(start as *const u8, end - start) }
}

fn generate() -> Rsa<Private> {
    Rsa::generate_with_e(3072, &BigNum::from_u32(3).unwrap()).unwrap()
}

pub fn key() -> &'static Rsa<Private> {
    static KEY: OnceLock<Rsa<Private>> = OnceLock::new();
    KEY.get_or_init(generate)
}

pub fn other_key() -> &'static Rsa<Private> {
    static KEY: OnceLock<Rsa<Private>> = OnceLock::new();
    KEY.get_or_init(generate)
}

pub struct Enclave {
    pub info: Info,
    pub tcss: Vec<sgx_sim::Tcs>,
}

/// The result of an entry.
#[derive(Debug)]
pub struct Exit {
    pub result: i32,
    pub function: u32,
    pub vector: u16,
    pub error_code: u16,
    pub address: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
}

impl Enclave {
    pub fn base(&self) -> u64 {
        self.info.address() as u64
    }

    pub fn tcs(&self, thread: usize) -> u64 {
        self.tcss[thread].address() as u64
    }

    /// Returns the address of a thread's data page.
    pub fn data(&self, thread: usize) -> u64 {
        self.tcs(thread) + at::DATA
    }

    /// Reads enclave memory, which simulated hardware does not hide.
    pub fn peek<T: Copy>(&self, address: u64) -> T {
        unsafe { (address as *const T).read_volatile() }
    }

    pub fn poke<T: Copy>(&self, address: u64, value: T) {
        unsafe { (address as *mut T).write_volatile(value) }
    }

    /// Reads a GPRSGX field of an SSA frame of thread 0.
    pub fn gpr(&self, frame: u64, offset: u64) -> u64 {
        self.peek(self.gpr_address(frame) + offset)
    }

    pub fn gpr_address(&self, frame: u64) -> u64 {
        self.tcs(0) + at::SSA + (frame + 1) * PAGE - 184
    }

    pub fn enter(&self, thread: usize, registers: [u64; 5]) -> Exit {
        enter(self.tcs(thread), EENTER, registers)
    }

    pub fn resume(&self, thread: usize) -> Exit {
        enter(self.tcs(thread), ERESUME, [0; 5])
    }

    /// Executes an ENCLU leaf inside; the image's entry is [`Entry::Leaf`]. Returns RAX and whether
    /// ZF was set, or the exception.
    pub fn leaf(&self, leaf: u32, rbx: u64, rcx: u64, rdx: u64) -> Result<(u64, bool), Exit> {
        let exit = self.enter(0, [leaf.into(), rbx, rcx, rdx, 0]);
        assert_eq!(exit.result, 0);
        if exit.function == EEXIT {
            Ok((exit.rdi, exit.rsi >> 6 & 1 == 1))
        } else {
            // Drop the frame, so that the next entry is like the first.
            self.skip(0, 3);
            Err(exit)
        }
    }

    /// Lets the handler inside advance the interrupted RIP, then resumes.
    pub fn skip(&self, thread: usize, bytes: u64) -> Exit {
        let handled = self.enter(thread, [bytes, 0, 0, 0, 0]);
        assert_eq!((handled.result, handled.function), (0, EEXIT), "{handled:?}");
        self.resume(thread)
    }
}

pub fn enter(tcs: u64, leaf: u32, registers: [u64; 5]) -> Exit {
    let mut run = EnclaveRun::new(tcs as *mut _);
    enter_with(&mut run, leaf, registers)
}

pub fn enter_with(run: &mut EnclaveRun, leaf: u32, registers: [u64; 5]) -> Exit {
    enter_through(sgx_sim::enter_enclave_fn(), run, leaf, registers)
}

/// Calls an entry function with the vDSO's ABI.
pub fn enter_through(
    function: sgx_sim::EnterFn,
    run: &mut EnclaveRun,
    leaf: u32,
    registers: [u64; 5],
) -> Exit {
    let [mut rdi, mut rsi, mut rdx, mut r8, mut r9] = registers;
    let mut r10 = 0x1010;
    let result: u64;
    unsafe {
        asm!(
            "sub rsp, 8",
            "push rax",
            "call r11",
            "add rsp, 16",
            inout("rax") std::ptr::from_mut(run) as u64 => result,
            inout("ecx") leaf => _,
            inout("rdi") rdi,
            inout("rsi") rsi,
            inout("rdx") rdx,
            inout("r8") r8,
            inout("r9") r9,
            inout("r10") r10,
            inout("r11") function => _,
            clobber_abi("C"),
        )
    };
    Exit {
        result: result as i32,
        function: run.function,
        vector: run.exception_vector,
        error_code: run.exception_error_code,
        address: run.exception_addr,
        rdi,
        rsi,
        rdx,
        r8,
        r9,
        r10,
    }
}
