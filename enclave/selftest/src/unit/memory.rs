//! Tests of copying and filling, which the enclave implements itself.

use super::{Verdict, ensure, tests};
use std::hint::black_box;

tests!(
    copies_of_every_length_and_overlap_are_exact,
    copies_between_buffers_of_every_length_are_exact,
    fills_of_every_length_are_exact,
);

/// Lengths around every size at which the functions change their method.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=400).chain([511, 512, 513, 1000, 1024, 4095, 4096, 4097, 20_000])
}

/// Makes bytes in which neighbours differ.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(167) ^ (at >> 8)) as u8).collect()
}

fn copies_of_every_length_and_overlap_are_exact() -> Verdict {
    for length in lengths() {
        for (from, to) in [(0, 1), (1, 0), (3, 40), (40, 3), (0, 128), (128, 0), (7, 7), (0, 500)] {
            let mut bytes = pattern(length + 600);
            let mut expected = bytes.clone();
            let source: Vec<u8> = (from..from + length).map(|at| bytes[at]).collect();
            for (at, byte) in source.iter().enumerate() {
                expected[to + at] = *black_box(byte);
            }
            black_box(&mut bytes).copy_within(from..from + length, to);
            ensure!(bytes == expected, "{length} bytes from {from} to {to}");
        }
    }
    Ok(())
}

fn copies_between_buffers_of_every_length_are_exact() -> Verdict {
    for length in lengths() {
        for (from, to) in [(0, 0), (1, 0), (0, 1), (5, 11), (31, 33)] {
            let source = pattern(length + 64);
            let mut target = vec![0xee; length + 64];
            black_box(&mut target[to..to + length])
                .copy_from_slice(black_box(&source[from..from + length]));
            let right = target.iter().enumerate().all(|(at, &byte)| {
                let inside = (to..to + length).contains(&at);
                byte == if inside { source[at - to + from] } else { 0xee }
            });
            ensure!(right, "{length} bytes from {from} to {to}");
        }
    }
    Ok(())
}

fn fills_of_every_length_are_exact() -> Verdict {
    for length in lengths() {
        for start in [0, 1, 7, 31] {
            let mut bytes = vec![0xee; length + 64];
            black_box(&mut bytes[start..start + length]).fill(black_box(0x5a));
            let right = bytes.iter().enumerate().all(|(at, &byte)| {
                byte == if (start..start + length).contains(&at) { 0x5a } else { 0xee }
            });
            ensure!(right, "{length} bytes at {start}");
        }
    }
    Ok(())
}
