//! Shows the contents of an image, without running it.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sgx_isa::{AttributesFlags, Miscselect, PageType, SecinfoFlags, Sigstruct};

use crate::manifest::PAGE;
use crate::measure::{CHUNKS_PER_PAGE, Measurement, Mrenclave, Mrsigner, Record, Records};
use crate::{Date, Error, files, sign};

/// A description of an image. `Display` writes a text for people, serde a form for programs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The measurement, computed from the image.
    pub mrenclave: Mrenclave,
    /// The size of the address range, in bytes.
    pub elrange_size: u64,
    /// SSAFRAMESIZE.
    pub ssa_frame_pages: u32,
    /// The number of pages that are added.
    pub pages: u64,
    /// The number of pages whose content is fully measured.
    pub measured_pages: u64,
    /// Runs of pages with equal properties, in ascending order. There are no pages between them.
    pub regions: Vec<RegionInfo>,
    /// The thread control structures, in the order in which they are loaded. The first belongs to
    /// the main thread.
    pub threads: Vec<ThreadInfo>,
    /// The signature, if there is one.
    pub signature: Option<SignatureInfo>,
}

/// A run of pages with equal properties.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RegionInfo {
    /// The offset from the image base, in bytes.
    pub offset: u64,
    /// The size in bytes.
    pub size: u64,
    /// `REG` or `TCS`.
    pub page_type: &'static str,
    /// The permissions, such as `rw-`; a TCS has none.
    pub permissions: String,
    /// The part of the content that MRENCLAVE covers.
    pub measured: Coverage,
}

/// The part of a page's content that MRENCLAVE covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Coverage {
    /// All of it.
    All,
    /// Some of it.
    Part,
    /// None of it: the host may choose the content.
    None,
}

/// A thread control structure (SDM Vol. 3D, "Thread Control Structure").
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ThreadInfo {
    /// The offset of the structure.
    pub offset: u64,
    /// OENTRY: the offset at which the thread starts to run.
    pub entry: u64,
    /// OSSA: the offset at which its state is saved.
    pub ssa: u64,
    /// NSSA: the number of SSA frames.
    pub ssa_frames: u32,
    /// OFSBASGX.
    pub fs_base: u64,
    /// OGSBASGX.
    pub gs_base: u64,
}

/// The contents of a SIGSTRUCT, and whether they are correct.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SignatureInfo {
    /// The signer's identity.
    pub mrsigner: Mrsigner,
    /// The measurement that was signed.
    pub mrenclave: Mrenclave,
    /// Whether the signed measurement is that of the image.
    pub matches_image: bool,
    /// Whether the signature verifies.
    pub valid: bool,
    /// The reason if the signature does not verify.
    pub problem: Option<String>,
    /// The signed date; `None` if it is not a date.
    pub date: Option<String>,
    /// Whether a debugger may read the enclave.
    pub debug: bool,
    /// Whether the enclave learns fault addresses.
    pub exinfo: bool,
    /// ISVPRODID.
    pub prod_id: u16,
    /// ISVSVN.
    pub svn: u16,
    /// ATTRIBUTES.FLAGS, in hexadecimal.
    pub attributes: String,
    /// The bits of the flags that the signature fixes.
    pub attributes_mask: String,
    /// ATTRIBUTES.XFRM, in hexadecimal.
    pub xfrm: String,
    /// The bits of XFRM that the signature fixes.
    pub xfrm_mask: String,
    /// MISCSELECT, in hexadecimal.
    pub miscselect: String,
    /// The bits of MISCSELECT that the signature fixes.
    pub miscselect_mask: String,
}

/// Inspects an image and, if given, its signature.
///
/// A wrong signature is a finding, not an error.
pub fn inspect(sgxs: impl Read, sigstruct: Option<&Sigstruct>) -> Result<Inspection, Error> {
    let mut records = Records::new(sgxs);
    let mut measurement = Measurement::new()?;
    let mut pages = Pages::default();
    let (mut elrange_size, mut ssa_frame_pages) = (0, 0);
    while let Some(record) = records.next()? {
        match record {
            Record::Create { ssa_frame_pages: frame, elrange } => {
                (ssa_frame_pages, elrange_size) = (frame, elrange)
            }
            Record::Page { offset, flags } => pages.begin(offset, flags),
            Record::Chunk { index, measured, data } => pages.chunk(index, measured, data),
        }
        measurement.add(&records)?;
    }
    pages.finish();
    let mrenclave = measurement.finish()?;
    Ok(Inspection {
        mrenclave,
        elrange_size,
        ssa_frame_pages,
        pages: pages.count,
        measured_pages: pages.measured,
        regions: pages.regions,
        threads: pages.threads,
        signature: sigstruct.map(|s| SignatureInfo::of(s, mrenclave)),
    })
}

/// Inspects the image in a file and, if there is one, the signature beside it.
pub fn inspect_file(sgxs: impl AsRef<Path>) -> Result<Inspection, Error> {
    let path = sgxs.as_ref();
    let file = File::open(path).map_err(|e| Error::io("reading the image", path, e))?;
    inspect(file, files::read_signature(path)?.as_ref())
}

/// Joins pages into regions.
#[derive(Default)]
struct Pages {
    count: u64,
    measured: u64,
    regions: Vec<RegionInfo>,
    threads: Vec<ThreadInfo>,
    current: Option<Page>,
}

struct Page {
    offset: u64,
    flags: SecinfoFlags,
    measured_chunks: usize,
    /// The first bytes of a TCS, which contain all fields.
    fields: [u8; 72],
}

impl Pages {
    fn begin(&mut self, offset: u64, flags: SecinfoFlags) {
        self.finish();
        self.current = Some(Page { offset, flags, measured_chunks: 0, fields: [0; 72] });
    }

    fn chunk(&mut self, index: usize, measured: bool, data: &[u8]) {
        // The reader has checked that content follows its page.
        let Some(page) = &mut self.current else {
            return;
        };
        page.measured_chunks += usize::from(measured);
        if index == 0 {
            let fields = page.fields.len();
            page.fields.copy_from_slice(&data[..fields]);
        }
    }

    fn finish(&mut self) {
        let Some(page) = self.current.take() else {
            return;
        };
        let measured = match page.measured_chunks {
            0 => Coverage::None,
            CHUNKS_PER_PAGE => Coverage::All,
            _ => Coverage::Part,
        };
        self.count += 1;
        self.measured += u64::from(measured == Coverage::All);
        let is_tcs = page.flags.page_type() == PageType::Tcs as u8;
        if is_tcs {
            self.threads.push(page.thread());
        }
        let has = |flag, letter| {
            if page.flags.contains(flag) { letter } else { '-' }
        };
        let page_type = if is_tcs { "TCS" } else { "REG" };
        let permissions =
            [has(SecinfoFlags::R, 'r'), has(SecinfoFlags::W, 'w'), has(SecinfoFlags::X, 'x')];
        match self.regions.last_mut() {
            Some(last)
                if last.offset + last.size == page.offset
                    && last.page_type == page_type
                    && last.permissions.chars().eq(permissions)
                    && last.measured == measured =>
            {
                last.size += PAGE;
            }
            _ => self.regions.push(RegionInfo {
                offset: page.offset,
                size: PAGE,
                page_type,
                permissions: permissions.iter().collect(),
                measured,
            }),
        }
    }
}

impl Page {
    fn thread(&self) -> ThreadInfo {
        let field = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&self.fields[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        ThreadInfo {
            offset: self.offset,
            ssa: field(16),
            ssa_frames: (field(24) >> 32) as u32,
            entry: field(32),
            fs_base: field(48),
            gs_base: field(56),
        }
    }
}

impl SignatureInfo {
    fn of(sigstruct: &Sigstruct, measured: Mrenclave) -> SignatureInfo {
        let mrenclave = Mrenclave(sigstruct.enclavehash);
        let problem = sign::verify(sigstruct).err().map(|e| e.to_string());
        SignatureInfo {
            mrsigner: sign::claimed_mrsigner(sigstruct),
            mrenclave,
            matches_image: mrenclave == measured,
            valid: problem.is_none(),
            problem,
            date: Date::from_bcd(sigstruct.date).map(|d| d.to_string()),
            debug: sigstruct.attributes.flags.contains(AttributesFlags::DEBUG),
            exinfo: sigstruct.miscselect.contains(Miscselect::EXINFO),
            prod_id: sigstruct.isvprodid,
            svn: sigstruct.isvsvn,
            attributes: format!("{:#x}", sigstruct.attributes.flags.bits()),
            attributes_mask: format!("{:#x}", sigstruct.attributemask[0]),
            xfrm: format!("{:#x}", sigstruct.attributes.xfrm),
            xfrm_mask: format!("{:#x}", sigstruct.attributemask[1]),
            miscselect: format!("{:#x}", sigstruct.miscselect.bits()),
            miscselect_mask: format!("{:#x}", sigstruct.miscmask),
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "MRENCLAVE  {}", self.mrenclave)?;
        match &self.signature {
            Some(signature) => write!(f, "{signature}")?,
            None => writeln!(f, "signature  none")?,
        }
        writeln!(f, "ELRANGE    {}", Bytes(self.elrange_size))?;
        writeln!(
            f,
            "pages      {} at the start, {} of them with measured content",
            self.pages, self.measured_pages
        )?;
        writeln!(f, "\n      offset        size  type  access  content")?;
        let mut end = 0;
        for region in &self.regions {
            if region.offset > end {
                writeln!(f, "{end:#12x}  {:>10}  none", Bytes(region.offset - end).to_string())?;
            }
            end = region.offset + region.size;
            let content = match region.measured {
                Coverage::All => "measured",
                Coverage::Part => "measured in part",
                Coverage::None => "not measured",
            };
            let (size, kind, access) =
                (Bytes(region.size).to_string(), region.page_type, &region.permissions);
            writeln!(f, "{:#12x}  {size:>10}  {kind:4}  {access:6}  {content}", region.offset)?;
        }
        if end < self.elrange_size {
            writeln!(f, "{end:#12x}  {:>10}  none", Bytes(self.elrange_size - end).to_string())?;
        }
        writeln!(f, "\n         TCS       entry         SSA  frames     FS base     GS base")?;
        for thread in &self.threads {
            let ThreadInfo { offset, entry, ssa, ssa_frames, fs_base, gs_base } = thread;
            writeln!(
                f,
                "{offset:#12x}{entry:#12x}{ssa:#12x}{ssa_frames:8}{fs_base:#12x}{gs_base:#12x}"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for SignatureInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (&self.problem, self.matches_image) {
            (Some(problem), _) => format!("NOT VALID: {problem}"),
            (None, false) => format!("valid, but for ANOTHER IMAGE: {}", self.mrenclave),
            (None, true) => "valid, and for this image".into(),
        };
        writeln!(f, "MRSIGNER   {}", self.mrsigner)?;
        writeln!(f, "signature  {state}")?;
        writeln!(f, "signed on  {}", self.date.as_deref().unwrap_or("no valid date"))?;
        writeln!(f, "identity   ISVPRODID {}, ISVSVN {}", self.prod_id, self.svn)?;
        let debug = if self.debug { " (DEBUG: protects nothing)" } else { "" };
        writeln!(f, "attributes {}, mask {}{debug}", self.attributes, self.attributes_mask)?;
        writeln!(f, "XFRM       {}, mask {}", self.xfrm, self.xfrm_mask)?;
        let exinfo = if self.exinfo { " (EXINFO)" } else { "" };
        writeln!(f, "MISCSELECT {}, mask {}{exinfo}", self.miscselect, self.miscselect_mask)
    }
}

/// A size, shown in the largest unit without a fraction.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bytes(size) = *self;
        match size.trailing_zeros() {
            _ if size == 0 => f.write_str("0"),
            40.. => write!(f, "{} TiB", size >> 40),
            30.. => write!(f, "{} GiB", size >> 30),
            20.. => write!(f, "{} MiB", size >> 20),
            10.. => write!(f, "{} KiB", size >> 10),
            _ => write!(f, "{size} B"),
        }
    }
}
