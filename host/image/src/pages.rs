//! Reads an image page by page, as Linux's driver adds the pages.

use std::io::Read;

use sgx_isa::SecinfoFlags;

use crate::Error;
use crate::manifest::PAGE;
use crate::measure::{CHUNK, CHUNKS_PER_PAGE, Record, Records};

/// One page.
#[derive(Debug)]
pub struct Page<'a> {
    /// The offset from the enclave's base, in bytes.
    pub offset: u64,
    /// `SECINFO.FLAGS`: type and permissions.
    pub flags: SecinfoFlags,
    /// Whether its content is measured (EEXTEND).
    pub measured: bool,
    /// The contents; `None` if the image has none, which means zeros.
    pub content: Option<&'a [u8; PAGE as usize]>,
}

/// Returns the number of pages that are added when an image is loaded: the EPC that the enclave
/// uses before its first instruction.
///
/// # Errors
/// If the stream can't be read or is not canonical.
pub fn pages_at_start(sgxs: impl Read) -> Result<u64, Error> {
    let mut records = Records::new(sgxs);
    let mut count = 0;
    while let Some(record) = records.next()? {
        count += u64::from(matches!(record, Record::Page { .. }));
    }
    Ok(count)
}

/// Reads the pages of an image in ascending order. It checks the form of the image, as
/// [`measure`](crate::measure) does: the processor ignores reserved fields, so that changes there
/// would otherwise go unnoticed.
#[derive(Debug)]
pub struct Pages<R> {
    records: Records<R>,
    /// SSAFRAMESIZE.
    ssa_frame_pages: u32,
    /// The size of ELRANGE, in bytes.
    elrange: u64,
    /// The page whose record was read last.
    page: Option<(u64, SecinfoFlags)>,
    content: Box<[u8; PAGE as usize]>,
}

impl<R: Read> Pages<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// If the stream can't be read, or does not begin like an image.
    pub fn new(sgxs: R) -> Result<Self, Error> {
        let mut records = Records::new(sgxs);
        let refuse = |reason| Err(Error::Sgxs { at: 0, reason });
        let Some(Record::Create { ssa_frame_pages, elrange }) = records.next()? else {
            return refuse("it does not begin with ECREATE");
        };
        let page = match records.next()? {
            Some(Record::Page { offset, flags }) => Some((offset, flags)),
            Some(_) => return refuse("ECREATE is not followed by a page"),
            None => None,
        };
        Ok(Pages { records, ssa_frame_pages, elrange, page, content: Box::new([0; PAGE as usize]) })
    }

    /// Returns SSAFRAMESIZE, in pages.
    pub fn ssa_frame_pages(&self) -> u32 {
        self.ssa_frame_pages
    }

    /// Returns the size of ELRANGE, in bytes.
    pub fn elrange(&self) -> u64 {
        self.elrange
    }

    /// Returns the next page, or `None` after the last one.
    ///
    /// # Errors
    /// If the stream can't be read or is not canonical, or if a page is measured in another way
    /// than Linux's driver does it: as a whole, from its start to its end.
    #[expect(clippy::should_implement_trait, reason = "an item borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Page<'_>>, Error> {
        let Some((offset, flags)) = self.page.take() else { return Ok(None) };
        let (mut chunks, mut measured_chunks, mut next_measured) = (0, 0, 0);
        while let Some(record) = self.records.next()? {
            match record {
                Record::Chunk { index, measured, data } => {
                    if chunks == 0 {
                        self.content.fill(0);
                    }
                    self.content[index * CHUNK..][..CHUNK].copy_from_slice(data);
                    chunks += 1;
                    if measured {
                        measured_chunks += 1;
                        let reason = "a page's measured content is not in ascending order";
                        if index < next_measured {
                            return Err(Error::Sgxs { at: self.records.position(), reason });
                        }
                        next_measured = index + 1;
                    }
                }
                Record::Page { offset, flags } => {
                    self.page = Some((offset, flags));
                    break;
                }
                Record::Create { .. } => {}
            }
        }
        let measured = measured_chunks != 0;
        if measured && measured_chunks != CHUNKS_PER_PAGE {
            let reason = "a page is measured in part, which Linux does not do";
            return Err(Error::Sgxs { at: self.records.position(), reason });
        }
        let content = (chunks != 0).then_some(&*self.content);
        Ok(Some(Page { offset, flags, measured, content }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sgx_isa::PageType;
    use sgxs::sgxs::{Meas, MeasEAdd, MeasECreate, MeasEExtend, SecinfoTruncated, SgxsWrite};

    const RW: SecinfoFlags = SecinfoFlags::R.union(SecinfoFlags::W);

    /// A chunk: its number, whether it is measured, and the byte that fills it.
    type Chunk = (u64, bool, u8);

    fn image(pages: &[(u64, &[Chunk])]) -> Vec<u8> {
        let mut image = Vec::new();
        let create = MeasECreate { ssaframesize: 1, size: 0x10000 };
        image.write_meas(&Meas::ECreate(create)).unwrap();
        for (offset, chunks) in pages {
            let secinfo = SecinfoTruncated { flags: RW | PageType::Reg.into() };
            image.write_meas(&Meas::EAdd(MeasEAdd { offset: *offset, secinfo })).unwrap();
            for (index, measured, byte) in *chunks {
                let header = MeasEExtend { offset: offset + index * 256 };
                let data = [*byte; 256];
                image
                    .write_meas(&match measured {
                        true => Meas::EExtend { header, data },
                        false => Meas::Unmeasured { header, data },
                    })
                    .unwrap();
            }
        }
        image
    }

    #[test]
    fn pages_are_read_with_their_contents() {
        let whole: Vec<_> = (0..16).map(|index| (index, true, index as u8)).collect();
        let image = image(&[(0, &whole), (0x3000, &[]), (0x4000, &[(2, false, 9)])]);
        assert_eq!(pages_at_start(&image[..]).unwrap(), 3);
        let mut pages = Pages::new(&image[..]).unwrap();
        assert_eq!((pages.ssa_frame_pages(), pages.elrange()), (1, 0x10000));
        let page = pages.next().unwrap().unwrap();
        assert_eq!((page.offset, page.measured), (0, true));
        assert_eq!(page.flags, RW | PageType::Reg.into());
        let content = page.content.unwrap();
        assert!((0..4096).all(|at| content[at] == (at / 256) as u8));
        let page = pages.next().unwrap().unwrap();
        assert_eq!((page.offset, page.measured, page.content), (0x3000, false, None));
        let page = pages.next().unwrap().unwrap();
        assert!(!page.measured);
        let content = page.content.unwrap();
        assert!((0..4096).all(|at| content[at] == if at / 256 == 2 { 9 } else { 0 }));
        assert!(pages.next().unwrap().is_none());
    }

    #[test]
    fn pages_that_linux_would_measure_in_another_way_are_refused() {
        let backwards: Vec<_> = (0..16).rev().map(|index| (index, true, 1)).collect();
        for (chunks, reason) in [(&[(0, true, 1)][..], "in part"), (&backwards, "ascending")] {
            let image = image(&[(0, chunks)]);
            let error = Pages::new(&image[..]).unwrap().next().map(drop).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
