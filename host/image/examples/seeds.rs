//! Writes the first inputs of the fuzz targets into a folder, as `TARGET/NUMBER`. The inputs follow
//! the formats: when those change, write them again with `cargo xtask fuzz --seeds`.

#[path = "../tests/common/mod.rs"]
mod common;

use sgx_isa::{PageType, SecinfoFlags};
use sgxs::sgxs::{Meas, MeasEAdd, MeasECreate, MeasEExtend, SecinfoTruncated, SgxsWrite};
use std::io;
use twine_image::fuzzing::packed;
use twine_image::{Date, Manifest, Mrenclave, SigningKey, sign};

/// Returns programs. Their code does not matter.
fn programs() -> Vec<Vec<u8>> {
    let program = common::Program::default();
    let without_relocations =
        common::Program { dynamic: vec![], relocations: vec![], ..program.clone() };
    let mut other = program.clone();
    other.more_symbols = other.symbols.split_off(4);
    [program, without_relocations, other]
        .map(|program| {
            let mut file = program.bytes();
            file[common::TEXT.0 as usize..][..common::TEXT.1 as usize].fill(0);
            packed(&file)
        })
        .into()
}

/// A part of a page: its number, whether it is measured, and the byte that fills it.
type Chunk = (u64, bool, u8);

/// Returns an image with these pages.
fn image(pages: &[(u64, SecinfoFlags, &[Chunk])]) -> Vec<u8> {
    let mut image = Vec::new();
    let create = MeasECreate { ssaframesize: 1, size: 0x10000 };
    image.write_meas(&Meas::ECreate(create)).expect("writing to memory succeeds");
    for (offset, flags, chunks) in pages {
        let secinfo = SecinfoTruncated { flags: *flags };
        let add = MeasEAdd { offset: *offset, secinfo };
        image.write_meas(&Meas::EAdd(add)).expect("writing to memory succeeds");
        for (index, measured, byte) in *chunks {
            let header = MeasEExtend { offset: offset + index * 256 };
            let mut data = [0; 256];
            data[8] = *byte;
            let record = match measured {
                true => Meas::EExtend { header, data },
                false => Meas::Unmeasured { header, data },
            };
            image.write_meas(&record).expect("writing to memory succeeds");
        }
    }
    packed(&image)
}

fn seeds() -> Result<Vec<(&'static str, Vec<u8>)>, twine_image::Error> {
    let mut seeds: Vec<_> = programs().into_iter().map(|program| ("elf", program)).collect();
    let whole: Vec<Chunk> = (0..16).map(|index| (index, true, 1)).collect();
    let rw = SecinfoFlags::R | SecinfoFlags::W | PageType::Reg.into();
    let tcs = PageType::Tcs.into();
    seeds.push(("sgxs", image(&[])));
    seeds.push(("sgxs", image(&[(0, rw, &whole), (0x1000, tcs, &whole), (0x3000, rw, &[])])));
    seeds.push(("sgxs", image(&[(0, rw, &[(2, false, 9)]), (0x1000, rw, &[(1, true, 1)])])));
    let own = include_str!("../../../enclave/runtime/image.toml");
    let manifest = Manifest::from_toml_str(own)?;
    seeds.push(("manifest", own.into()));
    seeds.push((
        "manifest",
        "heap-growth-size = \"1GiB\"\ncode-arena-at-start = 0\nxfrm = [\"avx\"]\ndebug = true\n\
         date = \"2026-01-31\"\nelrange = 4096\n"
            .into(),
    ));
    let key = SigningKey::generate()?;
    for manifest in [manifest, Manifest::default()] {
        let date = Date::choose(Date::from_unix(1_700_000_000), &manifest)?;
        let signed = sign(Mrenclave([3; 32]), &manifest, date, &key)?;
        seeds.push(("sigstruct", signed.as_ref().to_vec()));
    }
    Ok(seeds)
}

fn main() -> io::Result<()> {
    twine_fuzz_input::write_seeds(seeds().map_err(io::Error::other)?)
}
