//! Measures and shows images, whole and damaged ones.

mod common;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::LazyLock;

use common::{Program, build, manifest, small};
use openssl::hash::Hasher;
use sgxs::sgxs::{Meas, MeasEExtend, SgxsWrite};
use sgxs::sigstruct::EnclaveHash;
use twine_image::{Coverage, Date, Error, Inspection, Mrenclave, SigningKey, inspect, measure};

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

fn date() -> Date {
    "2026-01-31".parse().unwrap()
}

/// Returns the measurement by the `sgxs` crate.
fn measured_by_others(mut sgxs: &[u8]) -> Mrenclave {
    Mrenclave(EnclaveHash::from_stream::<_, Hasher>(&mut sgxs).unwrap().hash())
}

fn image() -> Vec<u8> {
    build(&Program::default().bytes(), &small()).unwrap().1
}

#[test]
fn building_and_measuring_agree_with_others() {
    for text in [
        "threads = 1\nheap-size = 4096",
        "code-arena-size = \"1MiB\"\nguard-size = \"1GiB\"\nthreads = 9",
    ] {
        let (built, sgxs) = build(&Program::default().bytes(), &manifest(text)).unwrap();
        assert_eq!(built.mrenclave, measured_by_others(&sgxs));
        assert_eq!(built.mrenclave, measure(&sgxs[..]).unwrap());
        assert_eq!(built.mrenclave, inspect(&sgxs[..], None).unwrap().mrenclave);
    }
}

#[test]
fn content_that_is_not_measured_does_not_change_the_measurement() {
    let plain = image();
    let heap = inspect(&plain[..], None)
        .unwrap()
        .regions
        .iter()
        .find(|r| r.measured == Coverage::None)
        .unwrap()
        .offset;
    // This is the record that adds the page; content of the host's choice follows it.
    let record = plain
        .windows(16)
        .position(|w| w[..8] == *b"EADD\0\0\0\0" && w[8..] == heap.to_le_bytes())
        .unwrap();
    let mut poisoned = plain[..record + 64].to_vec();
    let header = MeasEExtend { offset: heap };
    poisoned.write_meas(&Meas::Unmeasured { header, data: [0xff; 256] }).unwrap();
    poisoned.extend(&plain[record + 64..]);
    assert_eq!(measure(&poisoned[..]).unwrap(), measure(&plain[..]).unwrap());
    assert_eq!(measure(&poisoned[..]).unwrap(), measured_by_others(&poisoned));
    // Measured content changes MRENCLAVE.
    let mut other = plain[..record + 64].to_vec();
    other.write_meas(&Meas::EExtend { header, data: [0xff; 256] }).unwrap();
    other.extend(&plain[record + 64..]);
    assert_ne!(measure(&other[..]).unwrap(), measure(&plain[..]).unwrap());
    assert!(
        inspect(&other[..], None).unwrap().regions.iter().any(|r| r.measured == Coverage::Part)
    );
}

#[test]
fn every_setting_that_matters_changes_the_measurement() {
    let file = Program::default().bytes();
    let base = build(&file, &small()).unwrap().0.mrenclave;
    let mut seen = vec![base];
    for text in [
        "heap-size = 8192",
        "threads = 2",
        "stack-size = 20480",
        "code-arena-size = 4096",
        "guard-size = 4096",
        "ssa-frames = 3\nentry = \"stub\"",
        "entry = \"stub\"",
        "debug = true",
        "elrange = \"1GiB\"",
    ] {
        let small = "heap-size = 4096\nthreads = 1\nstack-size = 16384\nthread-stack-size = 16384";
        let key = text.split(' ').next().unwrap();
        let kept: Vec<&str> =
            small.lines().filter(|line| !line.starts_with(key)).chain([text]).collect();
        seen.push(build(&file, &manifest(&kept.join("\n"))).unwrap().0.mrenclave);
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn an_inspection_shows_the_whole_address_range() {
    let text =
        "heap-size = \"1MiB\"\nthreads = 2\ncode-arena-size = \"1MiB\"\nguard-size = \"1GiB\"";
    let (built, sgxs) = build(&Program::default().bytes(), &manifest(text)).unwrap();
    let inspection = inspect(&sgxs[..], None).unwrap();
    let Inspection { mrenclave, elrange_size, pages, ref threads, ref regions, .. } = inspection;
    assert_eq!(
        (mrenclave, elrange_size, pages),
        (built.mrenclave, built.elrange_size, built.pages)
    );
    assert_eq!(inspection.measured_pages * 4096, built.measured_bytes);
    let shown: Vec<_> =
        regions.iter().map(|r| (r.size >> 12, r.page_type, &*r.permissions, r.measured)).collect();
    use Coverage::{All, None as No};
    let thread = |stack| {
        [
            (stack, "REG", "rw-", No),
            (1, "REG", "rw-", All),
            (1, "TCS", "---", All),
            (1, "REG", "rw-", All),
        ]
    };
    let mut expected = vec![
        (3, "REG", "r--", All),
        (1, "REG", "r-x", All),
        (3, "REG", "rw-", All),
        (256, "REG", "rw-", No),
    ];
    expected.extend(thread(512));
    expected.extend(thread(128));
    expected.push((256, "REG", "rwx", No));
    assert_eq!(shown, expected);
    assert_eq!(threads.len(), 2);
    let tcs = &threads[0];
    assert_eq!((tcs.entry, tcs.ssa_frames, tcs.ssa), (common::ENTRY, 1, tcs.offset + 4096));
    assert_eq!((tcs.fs_base, tcs.gs_base), (tcs.offset - 4096, tcs.offset - 4096));
}

#[test]
fn an_inspection_is_text_and_json() {
    let (built, sgxs) = build(&Program::default().bytes(), &small()).unwrap();
    let sigstruct = twine_image::sign(built.mrenclave, &small(), date(), &KEY).unwrap();
    let inspection = inspect(&sgxs[..], Some(&sigstruct)).unwrap();
    let text = inspection.to_string();
    for word in [
        "valid, and for this image",
        "2026-01-31",
        "0xe7",
        "r-x",
        "TCS",
        "not measured",
        &built.mrenclave.to_string(),
    ] {
        assert!(text.contains(word), "{word}:\n{text}");
    }
    let json = serde_json::to_value(&inspection).unwrap();
    assert_eq!(json["mrenclave"], built.mrenclave.to_string());
    assert_eq!(json["signature"]["xfrm"], "0xe7");
    assert_eq!(json["signature"]["valid"], true);
    assert_eq!(json["regions"][0]["measured"], "all");
}

#[test]
fn a_signature_that_is_wrong_is_a_finding() {
    let (built, sgxs) = build(&Program::default().bytes(), &small()).unwrap();
    let sigstruct = twine_image::sign(Mrenclave([0; 32]), &small(), date(), &KEY).unwrap();
    let inspection = inspect(&sgxs[..], Some(&sigstruct)).unwrap();
    let signature = inspection.signature.as_ref().unwrap();
    assert!(signature.valid && !signature.matches_image);
    assert!(inspection.to_string().contains("ANOTHER IMAGE"));

    let mut sigstruct = twine_image::sign(built.mrenclave, &small(), date(), &KEY).unwrap();
    sigstruct.isvsvn += 1;
    let inspection = inspect(&sgxs[..], Some(&sigstruct)).unwrap();
    let signature = inspection.signature.as_ref().unwrap();
    assert!(!signature.valid && signature.matches_image);
    assert!(inspection.to_string().contains("NOT VALID"));
}

#[test]
fn no_byte_of_an_image_can_be_changed_unnoticed() {
    let image = image();
    let mrenclave = measure(&image[..]).unwrap();
    // These are every byte of the first records, and a sample of the others that includes every
    // offset within a record.
    for at in (0..1024).chain((1024..image.len()).step_by(61)) {
        let mut tampered = image.clone();
        tampered[at] ^= 0x20;
        if let Ok(other) = measure(&tampered[..]) {
            assert_ne!(other, mrenclave, "byte {at}");
        }
        let _ = inspect(&tampered[..], None);
    }
}

#[test]
fn an_image_cut_within_a_record_is_an_error() {
    let image = image();
    for length in (0..1024).chain((1024..image.len()).step_by(61)) {
        match measure(&image[..length]) {
            Ok(part) => assert_ne!(part, measure(&image[..]).unwrap()),
            Err(Error::Sgxs { at, .. }) => assert!(at <= length as u64),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(measure(&b""[..]).is_err());
}

#[test]
fn a_stream_that_is_not_canonical_is_an_error() {
    let image = image();
    let record = |tag: &[u8; 8], a: u64, b: u64| {
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(tag);
        bytes[8..16].copy_from_slice(&a.to_le_bytes());
        bytes[16..24].copy_from_slice(&b.to_le_bytes());
        bytes.to_vec()
    };
    let after = |more: &[Vec<u8>]| [&image[..64], &more.concat()].concat();
    let (add, extend, data) = (b"EADD\0\0\0\0", b"EEXTEND\0", vec![0; 256]);
    let with_reserved_byte = |mut record: Vec<u8>| {
        record[40] = 1;
        record
    };
    let unsized_image = [&b"UNSIZED\0"[..], &image[8..]].concat();
    let cases = [
        (unsized_image, "no size yet"),
        (with_reserved_byte(image[..64].to_vec()), "reserved"),
        (after(&[with_reserved_byte(record(add, 0, 0x203))]), "reserved"),
        (image[64..].to_vec(), "first record"),
        (after(&[image[..64].to_vec()]), "first record"),
        (after(&[record(b"EREMOVE\0", 0, 0)]), "tag"),
        (after(&[record(add, 1, 0x203)]), "page boundary"),
        (after(&[record(add, 1 << 40, 0x203)]), "page boundary"),
        (after(&[record(add, 4096, 0x203), record(add, 4096, 0x203)]), "follow"),
        (after(&[record(add, 4096, 0x203), record(add, 0, 0x203)]), "follow"),
        (after(&[record(add, 0, 0x103)]), "type or permissions"),
        (after(&[record(add, 0, 0x303)]), "type or permissions"),
        (after(&[record(add, 0, 0x202)]), "type or permissions"),
        (after(&[record(add, 0, 1 << 40)]), "flags"),
        (after(&[record(extend, 0, 0), data.clone()]), "follow its page"),
        (after(&[record(add, 0, 0x203), record(extend, 4096, 0), data.clone()]), "follow its page"),
        (after(&[record(add, 0, 0x203), record(extend, 1, 0), data.clone()]), "256"),
        (after(&[record(add, 0, 0x203), record(extend, 0, 1), data.clone()]), "reserved"),
        (
            after(&[
                record(add, 0, 0x203),
                record(extend, 256, 0),
                data.clone(),
                record(extend, 256, 0),
                data,
            ]),
            "twice",
        ),
    ];
    for (stream, word) in cases {
        let error = measure(&stream[..]).unwrap_err();
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn image_and_signature_are_in_the_same_folder() {
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pair-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (elf, sgxs) = (folder.join("program"), folder.join("a.b.sgxs"));
    fs::write(&elf, Program::default().bytes()).unwrap();

    let built = twine_image::build_file(&elf, &small(), &sgxs).unwrap();
    assert_eq!(fs::read(&sgxs).unwrap(), image());
    assert!(twine_image::inspect_file(&sgxs).unwrap().signature.is_none());

    let sigstruct = twine_image::sign(built.mrenclave, &small(), date(), &KEY).unwrap();
    twine_image::write_signature(&sgxs, &sigstruct).unwrap();
    assert_eq!(twine_image::signature_path(&sgxs), folder.join("a.b.sig"));
    assert_eq!(fs::read(folder.join("a.b.sig")).unwrap(), sigstruct.as_ref() as &[u8]);
    let read = twine_image::read_signature(&sgxs).unwrap().unwrap();
    assert_eq!(read.as_ref() as &[u8], sigstruct.as_ref() as &[u8]);
    assert!(twine_image::inspect_file(&sgxs).unwrap().signature.unwrap().valid);

    fs::write(folder.join("a.b.sig"), [0; 1807]).unwrap();
    assert!(matches!(twine_image::inspect_file(&sgxs), Err(Error::Signature { .. })));

    // A failed build leaves the existing file unchanged, and no other file.
    fs::write(&elf, "no program").unwrap();
    assert!(matches!(twine_image::build_file(&elf, &small(), &sgxs), Err(Error::Elf { .. })));
    assert_eq!(fs::read(&sgxs).unwrap(), image());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    let missing = twine_image::build_file(folder.join("missing"), &small(), &sgxs).unwrap_err();
    assert!(matches!(missing, Error::Io { source, .. } if source.kind() == ErrorKind::NotFound));
    fs::remove_dir_all(&folder).unwrap();
}
