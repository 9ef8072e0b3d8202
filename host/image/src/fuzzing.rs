//! The functions that the fuzz targets in `fuzz/` call.
//!
//! Each function takes any bytes. It panics if a reader does, or if the result breaks a property
//! that must hold. Only fuzzers need the feature of this module.

use crate::elf::{EDP_SYMBOLS, Program};
use crate::layout::Layout;
use crate::manifest::{MAX_ELRANGE, PAGE};
use crate::measure::Mrenclave;
use crate::segment::{Extent, Segment};
use crate::sign::{claimed_mrsigner, sigstruct_from_bytes};
use crate::{
    Manifest, Pages, SigningRequest, build, inspect, launch_attributes, measure, pages_at_start,
    verify,
};

/// The size of the file that an input describes, in bytes.
const FILE_BYTES: usize = 0x6000;

/// Limit on the memory of a program, in bytes, for making an image of it.
const MAX_BUILT: u64 = 64 * PAGE;

/// Makes a file that is mostly zero from a sequence of places, lengths and bytes. The last place is
/// the file's end.
fn file(bytes: &[u8]) -> Vec<u8> {
    let (mut file, mut end, mut rest) = (vec![0; FILE_BYTES], 0, bytes);
    while let Some(([low, high, length], more)) = rest.split_first_chunk::<3>() {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % FILE_BYTES;
        let length = usize::from(*length).min(more.len()).min(FILE_BYTES - at);
        let (part, more) = more.split_at(length);
        file[at..at + length].copy_from_slice(part);
        end = at + length;
        rest = more;
    }
    file.truncate(end);
    file
}

/// Returns the input that describes a file.
pub fn packed(file: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut add = |at: usize, bytes: &[u8]| {
        packed.extend_from_slice(&(at as u16).to_le_bytes());
        packed.push(bytes.len() as u8);
        packed.extend_from_slice(bytes);
    };
    let mut at = 0;
    while at < file.len() {
        let end = file.len().min(at + 255);
        let zeros = file[at..].iter().take_while(|byte| **byte == 0).count();
        // A piece ends before four zeros.
        let piece = file[at..end].windows(4).position(|four| *four == [0; 4]);
        match zeros {
            0 => {
                let length = piece.unwrap_or(end - at);
                add(at, &file[at..at + length]);
                at += length;
            }
            _ => at += zeros,
        }
    }
    add(file.len(), &[]);
    packed
}

/// Reads a program, and makes an image of it if it is small.
pub fn elf(bytes: &[u8]) {
    let file = file(bytes);
    let manifest = small();
    let Ok(program) = Program::parse(&file, &manifest.entry) else { return };
    for pair in program.segments.windows(2) {
        assert!(pair[0].pages().end() <= pair[1].pages().start);
    }
    let within = |extent: Extent| {
        extent.size == 0
            || program.segments.iter().any(|s| s.memory.contains(extent.start, extent.size))
    };
    let extents = [program.text, program.eh_frame, program.eh_frame_hdr, program.text_no_sgx];
    assert!(extents.into_iter().all(within));
    let is_code = |s: &&Segment<'_>| s.execute && s.memory.contains(program.entry, 1);
    assert_eq!(program.segments.iter().filter(is_code).count(), 1);
    for (name, size) in EDP_SYMBOLS {
        assert!(within(Extent { start: program.symbols[name], size }));
    }
    let (table, count) = program.relocations;
    assert!(within(Extent { start: table, size: 24 * count }));
    if program.end() > MAX_BUILT {
        return;
    }
    let mut image = Vec::new();
    let Ok(built) = build(&file, &manifest, &mut image) else { return };
    assert_eq!(built.file_size, image.len() as u64);
    assert_eq!(measure(&image[..]).expect("the image was just built"), built.mrenclave);
    assert!(program.end() <= built.elrange_size);
    let inspection = inspect(&image[..], None).expect("the image was just built");
    assert_eq!((inspection.pages, inspection.elrange_size), (built.pages, built.elrange_size));
    assert_eq!(inspection.threads.len(), built.tcs_count as usize);
}

/// Returns the smallest manifest.
fn small() -> Manifest {
    Manifest {
        heap_size: PAGE,
        threads: 1,
        stack_size: 4 * PAGE,
        thread_stack_size: 4 * PAGE,
        ..Manifest::default()
    }
}

/// Reads an image, and checks that all readers agree on it.
pub fn sgxs(bytes: &[u8]) {
    let image = file(bytes);
    let measured = measure(&image[..]).ok();
    let inspected = inspect(&image[..], None).ok();
    assert_eq!(measured, inspected.as_ref().map(|inspection| inspection.mrenclave));
    assert_eq!(pages_at_start(&image[..]).ok(), inspected.as_ref().map(|found| found.pages));
    let mut pages = 0;
    let mut last = None;
    let mut walk = || {
        let mut reader = Pages::new(&image[..]).ok()?;
        while let Some(page) = reader.next().ok()? {
            assert!(page.offset < reader_range(&image) && last < Some(page.offset));
            assert!(page.content.is_some() || !page.measured);
            (last, pages) = (Some(page.offset), pages + 1);
        }
        Some(())
    };
    // An image that Linux would measure differently is refused.
    let walked = walk().is_some();
    let Some(inspection) = inspected else {
        assert!(!walked);
        return;
    };
    assert!(!walked || pages == inspection.pages);
    assert_eq!(measured, Some(measured_alone(&image)));
    assert!(inspection.elrange_size.is_power_of_two());
    assert!(inspection.measured_pages <= inspection.pages);
    assert!(!inspection.to_string().is_empty());
}

/// Returns the size of ELRANGE in ECREATE's record.
fn reader_range(image: &[u8]) -> u64 {
    image[12..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Returns MRENCLAVE of a canonical image: SHA-256 of all records except the unmeasured ones.
fn measured_alone(image: &[u8]) -> Mrenclave {
    let (mut measured, mut rest) = (Vec::new(), image);
    while !rest.is_empty() {
        let length = if matches!(&rest[..8], b"ECREATE\0" | b"EADD\0\0\0\0") { 64 } else { 320 };
        let (record, more) = rest.split_at(length);
        if &record[..8] != b"UNMEASRD" {
            measured.extend_from_slice(record);
        }
        rest = more;
    }
    Mrenclave(openssl::sha::sha256(&measured))
}

/// Parses a SIGSTRUCT. Returns MRSIGNER, if EINIT would accept all of it.
pub fn sigstruct(bytes: &[u8]) -> Option<[u8; 32]> {
    let sigstruct = sigstruct_from_bytes(bytes).ok()?;
    assert_eq!(sigstruct.as_ref(), bytes);
    for xcr0 in [3, 7, 0xe7, u64::MAX] {
        if let Ok(attributes) = launch_attributes(&sigstruct, xcr0) {
            assert_eq!(attributes.xfrm & !(xcr0 & sigstruct.attributes.xfrm), 0);
            let required = sigstruct.attributes.xfrm & sigstruct.attributemask[1];
            assert_eq!(required & !attributes.xfrm, 0);
        }
    }
    // For an inspection, a wrong signature is a finding, not an error.
    let image = [b"ECREATE\0\x01\0\0\0\0\x20".as_slice(), &[0; 50]].concat();
    let inspection = inspect(&image[..], Some(&sigstruct)).expect("it is an image without pages");
    assert!(!inspection.to_string().is_empty());
    let key = verify(&sigstruct).ok()?;
    assert_eq!(key.mrsigner(), claimed_mrsigner(&sigstruct));
    let (header, body) = sigstruct.signature_data();
    let request = SigningRequest::from_bytes(&[header, body].concat()).expect("it was signed");
    let signature: Vec<u8> = sigstruct.signature.iter().rev().copied().collect();
    let again = request.complete(&signature, &key).expect("the signature verifies");
    assert_eq!(again.as_ref(), bytes);
    Some(key.mrsigner().0)
}

/// Parses a manifest, and lays out an image by it.
pub fn manifest(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let manifest = match Manifest::from_toml_str(&text) {
        Ok(manifest) => manifest,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    manifest.check().expect("the manifest was checked before");
    let data = [0; PAGE as usize];
    let segment = |start, execute: bool| Segment {
        memory: Extent { start, size: PAGE },
        data: &data,
        write: !execute,
        execute,
    };
    let program = Program {
        segments: vec![segment(0, false), segment(PAGE, true)],
        relocations: (0, 0),
        text: Extent { start: PAGE, size: PAGE },
        eh_frame: Extent::default(),
        eh_frame_hdr: Extent::default(),
        text_no_sgx: Extent::default(),
        section_fields: Vec::new(),
        entry: PAGE,
        symbols: EDP_SYMBOLS.into_iter().map(|(name, _)| (name, 0)).collect(),
    };
    let Ok(layout) = Layout::plan(&program, &manifest) else { return };
    assert!(layout.elrange.is_power_of_two() && layout.elrange <= MAX_ELRANGE);
    let mut end = 0;
    for region in &layout.regions {
        assert!(region.offset >= end && region.size > 0);
        assert!(region.offset.is_multiple_of(PAGE) && region.size.is_multiple_of(PAGE));
        end = region.offset.checked_add(region.size).expect("the region is in the address range");
    }
    assert!(end <= layout.elrange);
    for (start, size) in [layout.heap, layout.growth, layout.arena, layout.memory, layout.guard] {
        assert!(start.checked_add(size).is_some_and(|end| end <= layout.elrange));
    }
}
