//! The places of the regions in an image.

mod common;

use common::{Image, PROGRAM_END, Program, build, manifest, small};

const GUARD: u64 = 0x10000;

fn image(program: &Program, text: &str) -> Image {
    Image::read(&build(&program.bytes(), &manifest(text)).unwrap().1)
}

#[test]
fn the_program_lies_at_its_elf_addresses_with_its_permissions() {
    let program = Program::default();
    let (image, file) = (image(&program, ""), program.bytes());
    for (pages, permissions) in
        [(0..0x3000, "r"), (0x3000..0x4000, "rx"), (0x4000..PROGRAM_END, "rw")]
    {
        for offset in pages.step_by(4096) {
            let page = &image.pages[&offset];
            assert_eq!(
                (page.permissions(), page.is_tcs(), page.measured),
                (permissions, false, 0xffff),
                "{offset:#x}"
            );
        }
    }
    // Another test checks the header's fields about sections.
    assert_eq!(image.at(0, 40), file[..40]);
    assert_eq!(image.at(64, 0x2000 - 64), file[64..0x2000]);
    assert_eq!(image.at(0x3010, 0x800), file[0x3010..0x3810]);
    assert_eq!(image.at(0x4100, 0x300), file[0x4100..0x4400]);
}

#[test]
fn memory_beyond_the_file_contents_is_measured_zeros() {
    let image = image(&Program::default(), "");
    assert_eq!(image.at(0x3000, 0x10), [0; 0x10]);
    assert_eq!(image.at(0x4000, 0x100), [0; 0x100]);
    assert_eq!(image.at(0x4400, 0x2c00), [0; 0x2c00]);
}

/// Sections move with symbols, which a file may lack, and whose names compilers derive from parts
/// that are not loaded.
#[test]
fn section_offsets_of_the_file_are_not_in_the_image() {
    let program = Program::default();
    let measured = |file: &[u8]| build(file, &manifest("")).unwrap();
    let file = program.bytes();
    assert_ne!(file[40..48], [0; 8], "e_shoff");
    let (first, sgxs) = measured(&file);
    let image = Image::read(&sgxs);
    assert_eq!(image.at(40, 8), [0; 8]);
    assert_eq!(image.at(58, 6), [0; 6]);
    assert_eq!(image.at(48, 10), file[48..58]);

    // The sections are the same, at higher file offsets.
    let table = u64::from_le_bytes(file[40..48].try_into().unwrap());
    let mut moved = file.clone();
    moved.resize(file.len().next_multiple_of(8), 0);
    let place = moved.len() as u64;
    moved.extend_from_slice(&file[table as usize..]);
    moved[40..48].copy_from_slice(&place.to_le_bytes());
    assert_eq!(measured(&moved).0.mrenclave, first.mrenclave);
}

#[test]
fn relocations_are_left_to_the_enclave() {
    let image = image(&Program::default(), "");
    assert_eq!(image.at(common::DATA, 16), [0; 16]);
    assert_eq!((image.value("RELA"), image.value("RELACOUNT")), (common::RELA, 2));
}

#[test]
fn the_standard_librarys_symbols_are_filled_in() {
    let image = image(&Program::default(), "heap-size = \"1MiB\"\ndebug = true");
    assert_eq!(image.value("HEAP_BASE"), PROGRAM_END + GUARD);
    assert_eq!(image.value("HEAP_SIZE"), 1 << 20);
    assert_eq!(image.value("ENCLAVE_SIZE"), image.elrange);
    assert!(image.value("CFGDATA_BASE") > *image.pages.keys().last().unwrap());
    assert_eq!(image.value("DEBUG"), 1);
    assert_eq!((image.value("TEXT_BASE"), image.value("TEXT_SIZE")), common::TEXT);
    assert_eq!(
        (image.value("EH_FRM_HDR_OFFSET"), image.value("EH_FRM_HDR_LEN")),
        common::EH_FRAME_HDR
    );
    assert_eq!((image.value("EH_FRM_OFFSET"), image.value("EH_FRM_LEN")), common::EH_FRAME);
}

#[test]
fn the_part_for_use_outside_is_overwritten() {
    let image = image(&Program::default(), "");
    let (start, size) = common::TEXT_NO_SGX;
    assert_eq!(image.at(start, size), [0xcc; 0x40]);
}

#[test]
fn the_heap_is_writable_and_its_content_not_measured() {
    let image = image(&Program::default(), "heap-size = \"1MiB\"");
    let base = image.value("HEAP_BASE");
    for offset in (base..base + (1 << 20)).step_by(4096) {
        let page = &image.pages[&offset];
        assert_eq!((page.permissions(), page.measured), ("rw", 0));
    }
}

#[test]
fn each_thread_has_stack_tls_tcs_and_ssa_in_this_order() {
    let image = image(
        &Program::default(),
        "threads = 3\nstack-size = 0x10000\nthread-stack-size = 0x8000\nssa-frames = 3\nentry = \"stub\"",
    );
    assert_eq!(image.ssa_frame_pages, 1);
    let tcss = image.tcss();
    assert_eq!(tcss.len(), 3);
    for (index, &tcs) in tcss.iter().enumerate() {
        let (main, tls, ssa) = (index == 0, tcs - 0x1000, tcs + 0x1000);
        let stack_size = if main { 0x10000 } else { 0x8000 };
        for offset in (tls - stack_size..tls).step_by(4096) {
            assert_eq!(
                (image.pages[&offset].permissions(), image.pages[&offset].measured),
                ("rw", 0)
            );
        }
        let mut expected = vec![0; 4096];
        expected[..8].copy_from_slice(&(tls - 16).to_le_bytes());
        expected[8] = !main as u8;
        assert_eq!(image.at(tls, 4096), expected);
        assert_eq!((image.pages[&tls].permissions(), image.pages[&tls].measured), ("rw", 0xffff));

        let page = &image.pages[&tcs];
        assert_eq!((page.permissions(), page.measured), ("", 0xffff));
        let mut expected = vec![0; 4096];
        for (at, value) in [(16, ssa), (32, common::STUB), (48, tls), (56, tls)] {
            expected[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        }
        expected[28] = 3;
        expected[64..72].copy_from_slice(&0x0fff_0000_0fff_u64.to_le_bytes());
        assert_eq!(page.data[..], expected);

        for offset in (ssa..ssa + 3 * 4096).step_by(4096) {
            let page = &image.pages[&offset];
            assert_eq!((page.permissions(), page.measured, page.data), ("rw", 0xffff, [0; 4096]));
        }
    }
}

#[test]
fn no_region_touches_another() {
    let image = image(
        &Program::default(),
        "threads = 3\ncode-arena-size = \"1MiB\"\nguard-size = \"1GiB\"\nheap-size = 4096",
    );
    let mut gaps = Vec::new();
    let mut end = 0;
    for &offset in image.pages.keys() {
        if offset > end {
            gaps.push(offset - end);
        }
        end = offset + 4096;
    }
    // There are gaps before the heap, before each thread, and before the arena.
    assert_eq!(gaps, [GUARD; 5]);
    assert!(image.elrange - end >= (1 << 30) + GUARD);
}

#[test]
fn a_growing_heap_starts_without_pages_and_the_program_knows_its_addresses() {
    let (built, bytes) = build(
        &Program::default().bytes(),
        &manifest("heap-size = \"1MiB\"\nheap-growth-size = \"3GiB\""),
    )
    .unwrap();
    let image = Image::read(&bytes);
    let (heap, size) = built.heap;
    assert_eq!((image.value("HEAP_BASE"), image.value("HEAP_SIZE")), (heap, size));
    assert_eq!(size, 1 << 20);
    let growth = (image.value("TWINE_GROWTH_BASE"), image.value("TWINE_GROWTH_SIZE"));
    assert_eq!(growth, (heap + size + GUARD, 3 << 30));
    assert_eq!(growth, built.heap_growth);
    assert!(image.pages.range(heap + size..growth.0 + growth.1 + GUARD).next().is_none());
    assert!(image.pages.contains_key(&(growth.0 + growth.1 + GUARD)));
    assert_eq!(image.elrange, 4 << 30);
}

#[test]
fn the_first_tcs_is_the_main_threads() {
    let image = image(&Program::default(), "threads = 4");
    let secondary: Vec<u8> =
        image.tcss().iter().map(|tcs| image.at(tcs - 0x1000 + 8, 1)[0]).collect();
    assert_eq!(secondary, [0, 1, 1, 1]);
}

#[test]
fn the_code_arena_is_writable_and_executable_and_the_program_knows_its_place() {
    let (built, bytes) = build(
        &Program::default().bytes(),
        &manifest("code-arena-size = \"1MiB\"\nguard-size = \"4GiB\""),
    )
    .unwrap();
    let image = Image::read(&bytes);
    let (base, size) = (image.value("TWINE_ARENA_BASE"), image.value("TWINE_ARENA_SIZE"));
    assert_eq!((base, size), built.arena);
    assert_eq!(size, 1 << 20);
    for offset in (base..base + size).step_by(4096) {
        assert_eq!((image.pages[&offset].permissions(), image.pages[&offset].measured), ("rwx", 0));
    }
    let executable = image.pages.values().filter(|p| p.permissions() == "rwx").count();
    assert_eq!(executable, 256);

    assert_eq!(
        (image.value("TWINE_GUARD_BASE"), image.value("TWINE_GUARD_SIZE")),
        (base + size + GUARD, 4 << 30)
    );
    assert_eq!((image.value("TWINE_GUARD_BASE"), image.value("TWINE_GUARD_SIZE")), built.guard);
    assert!(image.pages.range(base + size..).next().is_none());
    assert_eq!(image.elrange, 8 << 30);
}

#[test]
fn the_part_of_the_arena_absent_at_start_has_no_pages() {
    let sizes = "code-arena-size = \"1MiB\"\ncode-arena-at-start = 0\nguard-size = 4096";
    let (built, bytes) = build(&Program::default().bytes(), &manifest(sizes)).unwrap();
    let image = Image::read(&bytes);
    let (base, size) = built.arena;
    assert_eq!((image.value("TWINE_ARENA_SIZE"), image.value("TWINE_ARENA_AT_START")), (size, 0));
    assert_eq!(image.value("TWINE_GUARD_BASE"), base + (1 << 20) + GUARD);
    assert!(image.pages.range(base..).next().is_none());
    let (_, bytes) =
        build(&Program::default().bytes(), &manifest("code-arena-size = 8192")).unwrap();
    assert_eq!(Image::read(&bytes).value("TWINE_ARENA_AT_START"), 8192, "all of it");
}

#[test]
fn without_an_arena_nothing_is_writable_and_executable() {
    let image = image(&Program::default(), "");
    for name in ["TWINE_ARENA_BASE", "TWINE_ARENA_SIZE", "TWINE_GUARD_BASE", "TWINE_GUARD_SIZE"] {
        assert_eq!(image.value(name), 0);
    }
    assert!(image.pages.values().all(|p| p.permissions() != "rwx"));
}

#[test]
fn an_entry_stub_takes_the_place_of_the_standard_one() {
    let image = image(&Program::default(), "entry = \"stub\"");
    for tcs in image.tcss() {
        assert_eq!(image.u64_at(tcs + 32), common::STUB);
    }
}

#[test]
fn symbols_that_are_not_exported_are_found_too() {
    let mut program = Program::default();
    for name in ["TWINE_ARENA_BASE", "TWINE_ARENA_SIZE", "stub"] {
        let symbol = program.symbol(name).clone();
        program = program.without_symbol(name);
        program.more_symbols.push(symbol);
    }
    let image = image(&program, "entry = \"stub\"\ncode-arena-size = 4096");
    assert_eq!(image.value("TWINE_ARENA_SIZE"), 4096);
    assert_eq!(image.u64_at(image.tcss()[0] + 32), common::STUB);
}

#[test]
fn elrange_is_the_least_power_of_two_unless_more_is_reserved() {
    let small = image(&Program::default(), "heap-size = \"1MiB\"\nthreads = 1");
    assert_eq!(small.elrange, 4 << 20);
    let large = image(&Program::default(), "heap-size = \"1MiB\"\nthreads = 1\nelrange = \"5GiB\"");
    assert_eq!((large.elrange, large.value("ENCLAVE_SIZE")), (8 << 30, 8 << 30));
}

#[test]
fn the_last_region_does_not_border_on_memory_of_the_hosts() {
    // The arena would end exactly at 1 MiB.
    let text = "threads = 1\nstack-size = 0x4000\nheap-size = 0xc1000\ncode-arena-size = 4096";
    let image = image(&Program::default(), text);
    assert_eq!(*image.pages.keys().last().unwrap(), (1 << 20) - 4096);
    assert_eq!(image.elrange, 2 << 20);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let file = Program::default().bytes();
    assert_eq!(build(&file, &small()).unwrap(), build(&file, &small()).unwrap());
    // The result does not depend on the program's address in memory.
    let mut shifted = vec![0];
    shifted.extend(&file);
    assert_eq!(build(&file, &small()).unwrap(), build(&shifted[1..], &small()).unwrap());
}

#[test]
fn the_numbers_returned_are_those_of_the_image() {
    let (built, bytes) = build(&Program::default().bytes(), &small()).unwrap();
    let image = Image::read(&bytes);
    assert_eq!(built.file_size, bytes.len() as u64);
    assert_eq!(built.pages, image.pages.len() as u64);
    assert_eq!(
        built.measured_bytes,
        4096 * image.pages.values().filter(|p| p.measured == 0xffff).count() as u64
    );
    assert_eq!((built.tcs_count, built.elrange_size), (1, image.elrange));
    assert_eq!(built.heap, (image.value("HEAP_BASE"), 4096));
}

#[test]
fn an_output_that_takes_little_at_a_time_gets_the_same_bytes() {
    struct Slow(Vec<u8>);
    impl std::io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let count = bytes.len().min(1000);
            self.0.extend(&bytes[..count]);
            Ok(count)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (file, mut slow) = (Program::default().bytes(), Slow(Vec::new()));
    let built = twine_image::build(&file, &small(), &mut slow).unwrap();
    assert_eq!((built, slow.0), build(&file, &small()).unwrap());
}

#[test]
fn an_output_that_fails_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = twine_image::build(&Program::default().bytes(), &small(), &mut Full).unwrap_err();
    assert!(error.to_string().contains("writing the image"), "{error}");
}
