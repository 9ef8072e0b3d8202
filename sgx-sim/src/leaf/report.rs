//! EREPORT (SDM Vol. 3D, EREPORT; "Report", "Report Target Info").

use sgx_isa::Report;

use super::key::{Platform, Target, report_mac, report_mac_verifies};
use super::{all_zero, check, field, read, write};
use crate::enclave::Enclave;
use crate::epcm::Permissions;
use crate::exception::{Exception, GP};

/// The sizes of TARGETINFO, and of the part of REPORT that its MAC covers.
pub(crate) const TARGETINFO: usize = 512;
const BODY: usize = 384;
const REPORTDATA_ALIGN: usize = 128;
const REPORT_ALIGN: usize = 512;

/// Executes ENCLU\[EREPORT\]: RBX points to a TARGETINFO, RCX to 64 bytes of REPORTDATA, RDX to the
/// place for the report.
pub(super) fn ereport(
    enclave: &Enclave,
    rbx: usize,
    rcx: usize,
    rdx: usize,
) -> Result<(), Exception> {
    check(enclave, rdx, Report::UNPADDED_SIZE, REPORT_ALIGN, Permissions::RW)?;
    let target = parse_target(&read(enclave, rbx, TARGETINFO)?)?;
    let reportdata = read::<64>(enclave, rcx, REPORTDATA_ALIGN)?;

    let secs = &enclave.secs;
    let platform = &enclave.platform;
    let mut report = Report {
        cpusvn: platform.cpusvn(),
        miscselect: secs.miscselect,
        isvextnprodid: secs.isvextprodid,
        attributes: secs.attributes,
        mrenclave: secs.mrenclave,
        mrsigner: secs.mrsigner,
        configid: secs.configid,
        isvprodid: secs.isvprodid,
        isvsvn: secs.isvsvn,
        configsvn: secs.configsvn,
        isvfamilyid: secs.isvfamilyid,
        reportdata,
        keyid: platform.report_keyid,
        ..Report::default()
    };
    report.mac = report_mac(platform, &target, report.mac_data());
    write(rdx, report.as_ref())
}

/// Whether EREPORT made this report, for this target, on a machine with these keys.
pub(crate) fn verifies(
    platform: &Platform,
    target: &[u8; TARGETINFO],
    report: &[u8; Report::UNPADDED_SIZE],
) -> bool {
    let Ok(target) = parse_target(target) else { return false };
    let (keyid, mac) = (field(report, BODY), field(report, BODY + 32));
    report_mac_verifies(platform, &target, keyid, &report[..BODY], &mac)
}

/// Parses TARGETINFO. Raises #GP for values that the SDM reserves.
fn parse_target(bytes: &[u8; TARGETINFO]) -> Result<Target, Exception> {
    // CET_ATTRIBUTES (byte 48) is reserved on a processor without CET.
    if !(all_zero(&bytes[48..50]) && all_zero(&bytes[56..64]) && all_zero(&bytes[128..])) {
        return Err(GP);
    }
    Ok(Target {
        measurement: field(bytes, 0),
        attributes: [u64::from_le_bytes(field(bytes, 32)), u64::from_le_bytes(field(bytes, 40))],
        configsvn: u16::from_le_bytes(field(bytes, 50)),
        miscselect: u32::from_le_bytes(field(bytes, 52)),
        configid: field(bytes, 64),
    })
}
