//! Shows what an image is, without running it.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sgx_isa::{AttributesFlags, Miscselect, PageType, SecinfoFlags, Sigstruct};

use crate::manifest::PAGE;
use crate::measure::{CHUNKS_PER_PAGE, Measurement, Mrenclave, Mrsigner, Record, Records};
use crate::{Date, Error, files, sign};

/// An image, seen from outside. `Display` gives a text for people, serde a form for machines.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The measurement, computed from the image.
    pub mrenclave: Mrenclave,
    /// The size of the address range.
    pub elrange_size: u64,
    /// SSAFRAMESIZE.
    pub ssa_frame_pages: u32,
    /// Number of pages that are added.
    pub pages: u64,
    /// Number of pages whose content is measured as a whole.
    pub measured_pages: u64,
    /// Runs of pages that are alike, in ascending order. What lies between them has no pages.
    pub regions: Vec<RegionInfo>,
    /// The thread control structures, in the order in which they are loaded: the first is
    /// the main thread's.
    pub threads: Vec<ThreadInfo>,
    /// The signature, if there is one.
    pub signature: Option<SignatureInfo>,
}

/// A run of pages that are alike.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RegionInfo {
    /// Relative to the image base.
    pub offset: u64,
    /// In bytes.
    pub size: u64,
    /// `REG` or `TCS`.
    pub page_type: &'static str,
    /// Such as `rw-`; a TCS has none.
    pub permissions: String,
    /// How much of the content MRENCLAVE covers.
    pub measured: Coverage,
}

/// How much of a page's content MRENCLAVE covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Coverage {
    /// All of it.
    All,
    /// Some of it.
    Part,
    /// None of it: the host may choose it.
    None,
}

/// A thread control structure (SDM Vol. 3D, "Thread Control Structure").
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ThreadInfo {
    /// Where it lies.
    pub offset: u64,
    /// OENTRY: where the thread starts to run.
    pub entry: u64,
    /// OSSA: where its state is saved.
    pub ssa: u64,
    /// NSSA: how often.
    pub ssa_frames: u32,
    /// OFSBASGX.
    pub fs_base: u64,
    /// OGSBASGX.
    pub gs_base: u64,
}

/// What a SIGSTRUCT says, and whether it is true.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SignatureInfo {
    /// The signer's identity.
    pub mrsigner: Mrsigner,
    /// The measurement that was signed.
    pub mrenclave: Mrenclave,
    /// Whether that is the measurement of the image.
    pub matches_image: bool,
    /// Whether the signature verifies.
    pub valid: bool,
    /// If not, why.
    pub problem: Option<String>,
    /// The date signed; `None` if it is not one.
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
    /// The bits of it that are fixed.
    pub attributes_mask: String,
    /// ATTRIBUTES.XFRM, in hexadecimal.
    pub xfrm: String,
    /// The bits of it that are fixed.
    pub xfrm_mask: String,
    /// MISCSELECT, in hexadecimal.
    pub miscselect: String,
    /// The bits of it that are fixed.
    pub miscselect_mask: String,
}

/// Inspects an image and, if given, the signature that belongs to it.
///
/// A signature that is wrong is a finding, not an error.
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
    /// The first bytes of a TCS: all the fields that there are.
    fields: [u8; 72],
}

impl Pages {
    fn begin(&mut self, offset: u64, flags: SecinfoFlags) {
        self.finish();
        self.current = Some(Page { offset, flags, measured_chunks: 0, fields: [0; 72] });
    }

    fn chunk(&mut self, index: usize, measured: bool, data: &[u8]) {
        // The reader has seen to it that content follows its page.
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

/// A size, in the largest unit that leaves no fraction.
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
