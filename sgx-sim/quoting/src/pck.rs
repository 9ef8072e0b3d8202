//! The extension of PCK certificates ("SGX PCK Certificate and Certificate Revocation List Profile
//! Specification", section 1.3.5).

use rcgen::CustomExtension;
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, DERWriterSeq, construct_der};

/// The object identifier of the extension, and the beginning of those of its fields.
const EXTENSION: [u64; 7] = [1, 2, 840, 113741, 1, 13, 1];

/// SGX Type: memory is encrypted without integrity.
const SCALABLE: i64 = 1;

/// The configuration of a machine, as its PCK certificate has it. Most servers have all three.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Packages can be added to the machine.
    pub dynamic_platform: bool,
    /// Intel's registration service keeps the machine's keys.
    pub cached_keys: bool,
    /// Simultaneous multithreading is on.
    pub smt: bool,
}

/// The identity and the SVNs of a machine.
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    pub(crate) ppid: [u8; 16],
    pub(crate) instance: [u8; 16],
    pub(crate) fmspc: [u8; 6],
    pub(crate) cpusvn: [u8; 16],
    pub(crate) pce_svn: u16,
    pub(crate) configuration: Configuration,
}

impl Platform {
    /// Returns the extension. The TCB components are the bytes of CPUSVN.
    pub(crate) fn extension(&self) -> CustomExtension {
        let content = construct_der(|writer| {
            writer.write_sequence(|fields| {
                field(fields, &[1], |writer| writer.write_bytes(&self.ppid));
                field(fields, &[2], |writer| writer.write_sequence(|fields| self.tcb(fields)));
                // PCE-ID: Intel's only one.
                field(fields, &[3], |writer| writer.write_bytes(&[0, 0]));
                field(fields, &[4], |writer| writer.write_bytes(&self.fmspc));
                field(fields, &[5], |writer| writer.write_enum(SCALABLE));
                field(fields, &[6], |writer| writer.write_bytes(&self.instance));
                field(fields, &[7], |writer| {
                    writer.write_sequence(|fields| self.configuration(fields));
                });
            });
        });
        CustomExtension::from_oid_content(&EXTENSION, content)
    }

    fn tcb(&self, fields: &mut DERWriterSeq<'_>) {
        for (component, svn) in (1..).zip(self.cpusvn) {
            field(fields, &[2, component], |writer| writer.write_u8(svn));
        }
        field(fields, &[2, 17], |writer| writer.write_u16(self.pce_svn));
        field(fields, &[2, 18], |writer| writer.write_bytes(&self.cpusvn));
    }

    fn configuration(&self, fields: &mut DERWriterSeq<'_>) {
        let Configuration { dynamic_platform, cached_keys, smt } = self.configuration;
        for (flag, value) in (1..).zip([dynamic_platform, cached_keys, smt]) {
            field(fields, &[7, flag], |writer| writer.write_bool(value));
        }
    }
}

/// Writes a field: its object identifier and its value.
fn field(fields: &mut DERWriterSeq<'_>, name: &[u64], value: impl FnOnce(DERWriter<'_>)) {
    fields.next().write_sequence(|pair| {
        pair.next().write_oid(&ObjectIdentifier::from_slice(&[&EXTENSION, name].concat()));
        value(pair.next());
    });
}
