//! The properties of this machine's processor that affect what runs on it, and how fast.

use sgx_sim::EncluException;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::fmt;

/// The processor of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processor {
    /// The name (CPUID leaves 80000002H to 80000004H).
    pub name: String,
    /// Family, with the extended family added (SDM Vol. 2A, CPUID).
    pub family: u32,
    /// Model, with the extended model before it.
    pub model: u32,
    /// Stepping.
    pub stepping: u32,
    /// AVX-512 with VAES and VPCLMULQDQ, which make the encryption of volumes faster.
    pub avx512: bool,
    /// AMX tiles: 8 KiB of thread state that enclaves can't use.
    pub amx: bool,
    /// The exception that ENCLU raises outside of hardware enclaves. `None` if it is not known.
    pub enclu: Option<EncluException>,
}

impl Processor {
    /// Reads CPUID, and executes ENCLU in a child process.
    pub fn detect() -> Self {
        let signature = __cpuid(1).eax;
        let field = |shift: u32, bits: u32| signature >> shift & ((1 << bits) - 1);
        let (family, model) = (field(8, 4), field(4, 4));
        Processor {
            name: name(),
            family: if family == 0xf { family + field(20, 8) } else { family },
            model: if matches!(family, 6 | 0xf) { field(16, 4) << 4 | model } else { model },
            stepping: field(0, 4),
            avx512: std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512vl")
                && std::arch::is_x86_feature_detected!("vaes")
                && std::arch::is_x86_feature_detected!("vpclmulqdq"),
            // EDX bit 24: AMX-TILE.
            amx: __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & 1 << 24 != 0,
            enclu: sgx_sim::enclu_exception().ok(),
        }
    }
}

fn name() -> String {
    const NAME: std::ops::RangeInclusive<u32> = 0x8000_0002..=0x8000_0004;
    if __cpuid(0x8000_0000).eax < *NAME.end() {
        return "unknown".into();
    }
    let registers = |leaf| {
        let found = __cpuid(leaf);
        [found.eax, found.ebx, found.ecx, found.edx]
    };
    let bytes: Vec<u8> = NAME.flat_map(registers).flat_map(u32::to_le_bytes).collect();
    let text = String::from_utf8_lossy(&bytes);
    text.trim_matches(['\0', ' ']).to_owned()
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Processor { name, family, model, stepping, .. } = self;
        let with = |has: bool| if has { "" } else { "no " };
        write!(f, "{name} (family {family}, model {model}, stepping {stepping}), ")?;
        write!(f, "{}AVX-512, {}AMX, ", with(self.avx512), with(self.amx))?;
        match self.enclu {
            Some(exception) => write!(f, "ENCLU raises {exception}"),
            None => f.write_str("the exception of ENCLU is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_the_one_that_linux_reports() {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let field = |name: &str| {
            let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(key, _)| key.trim() == name).unwrap().1.trim()
        };
        let processor = Processor::detect();
        assert_eq!(processor.name, field("model name"));
        assert_eq!(processor.family.to_string(), field("cpu family"));
        assert_eq!(processor.model.to_string(), field("model"));
        assert_eq!(processor.stepping.to_string(), field("stepping"));
        let flags: Vec<&str> = field("flags").split(' ').collect();
        let has = |all: &[&str]| all.iter().all(|flag| flags.contains(flag));
        assert_eq!(processor.avx512, has(&["avx512bw", "avx512vl", "vaes", "vpclmulqdq"]));
        assert_eq!(processor.amx, has(&["amx_tile"]));
        assert!(processor.enclu.is_some());
    }
}
