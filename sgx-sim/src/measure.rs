//! MRENCLAVE, computed while the image streams by (SDM Vol. 3D, ECREATE, EADD, EEXTEND).
//!
//! Each of the three instructions extends a SHA-256 hash by one 64-byte record; EEXTEND also
//! by the 256 bytes that it measures.

use sgx_isa::{MEAS_EADD, MEAS_ECREATE, MEAS_EEXTEND};
use sha2::{Digest, Sha256};

const RECORD: usize = 64;
const CHUNK: usize = 256;
/// Records are hashed in batches: an unmeasured page adds one record only, and hashing
/// those one by one costs more in calls than in compression.
const BATCH: usize = 128 * RECORD;

/// A measurement in progress.
pub(crate) struct Measurement {
    hash: Sha256,
    pending: Box<[u8; BATCH]>,
    filled: usize,
}

impl Measurement {
    /// ECREATE: 8 bytes "ECREATE\0", SSAFRAMESIZE (4), SIZE (8), zeros.
    pub(crate) fn ecreate(ssaframesize: u32, size: u64) -> Self {
        let mut measurement =
            Measurement { hash: Sha256::new(), pending: Box::new([0; BATCH]), filled: 0 };
        let record = measurement.record(MEAS_ECREATE);
        record[8..12].copy_from_slice(&ssaframesize.to_le_bytes());
        record[12..20].copy_from_slice(&size.to_le_bytes());
        measurement
    }

    /// EADD: 8 bytes "EADD\0\0\0\0", the page's offset (8), the first 48 bytes of SECINFO.
    pub(crate) fn eadd(&mut self, offset: u64, secinfo_flags: u64) {
        let record = self.record(MEAS_EADD);
        record[8..16].copy_from_slice(&offset.to_le_bytes());
        record[16..24].copy_from_slice(&secinfo_flags.to_le_bytes());
    }

    /// EEXTEND: 8 bytes "EEXTEND\0", the chunk's offset (8), zeros; then the chunk.
    pub(crate) fn eextend(&mut self, offset: u64, chunk: &[u8; CHUNK]) {
        let record = self.record(MEAS_EEXTEND);
        record[8..16].copy_from_slice(&offset.to_le_bytes());
        self.push(CHUNK).copy_from_slice(chunk);
    }

    /// EINIT's final value.
    pub(crate) fn finish(mut self) -> [u8; 32] {
        self.flush();
        self.hash.finalize().into()
    }

    fn record(&mut self, tag: u64) -> &mut [u8] {
        let record = self.push(RECORD);
        record.fill(0);
        record[..8].copy_from_slice(&tag.to_le_bytes());
        record
    }

    fn push(&mut self, len: usize) -> &mut [u8] {
        if self.filled + len > BATCH {
            self.flush();
        }
        let at = self.filled;
        self.filled += len;
        &mut self.pending[at..at + len]
    }

    fn flush(&mut self) {
        self.hash.update(&self.pending[..self.filled]);
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sgxs::sgxs::{MeasEAdd, MeasECreate, SecinfoTruncated, SgxsWrite};

    #[test]
    fn a_stream_measures_as_the_sgxs_crate_writes_it() {
        let mut stream = Vec::new();
        let ecreate = MeasECreate { ssaframesize: 1, size: 0x10000 };
        stream.write_meas(&sgxs::sgxs::Meas::ECreate(ecreate)).unwrap();
        let secinfo =
            SecinfoTruncated { flags: sgx_isa::SecinfoFlags::R | sgx_isa::PageType::Reg.into() };
        let page: Vec<u8> = (0..4096u32).map(|i| (i * 7) as u8).collect();
        stream.write_page(Some(&mut &page[..]), 0x1000, secinfo).unwrap();
        for i in 0..500 {
            stream
                .write_meas(&sgxs::sgxs::Meas::EAdd(MeasEAdd {
                    offset: 0x2000 + i * 0x1000,
                    secinfo,
                }))
                .unwrap();
        }

        let mut ours = Measurement::ecreate(1, 0x10000);
        ours.eadd(0x1000, secinfo.flags.bits());
        for (i, chunk) in page.chunks(CHUNK).enumerate() {
            ours.eextend(0x1000 + (i * CHUNK) as u64, chunk.try_into().unwrap());
        }
        for i in 0..500 {
            ours.eadd(0x2000 + i * 0x1000, secinfo.flags.bits());
        }
        let expected: [u8; 32] = Sha256::digest(&stream).into();
        assert_eq!(ours.finish(), expected);
    }
}
