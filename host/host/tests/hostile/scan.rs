//! Searches for the secret in the memory of the process outside of the enclave.
//!
//! The search looks for every word of the secret (8 bytes, 512 of them) at every byte of every
//! present page. It holds the words complemented, and compares them in registers, so that it does
//! not find itself.
//!
//! Software SGX stores the registers and the vector state of the enclave in signal frames on its
//! alternate stacks and, for ERESUME, beside them. Hardware stores these in the SSA, inside. Words
//! found there are counted separately.

use std::arch::asm;
use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// The result of a search.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    /// The addresses outside, with the names of their mappings.
    pub outside: Vec<String>,
    /// The number of words in the frames of software SGX.
    pub frames: usize,
    /// The number of bytes searched.
    pub searched: usize,
}

/// The words of one secret, prepared for a search.
pub struct Search {
    complemented: HashSet<u64>,
    /// Whether a word of the secret begins with these two bytes, and whether one has these as the
    /// next two.
    first: Box<[u8; 1 << 16]>,
    second: Box<[u8; 1 << 16]>,
    room: Mutex<Room>,
}

/// Memory for a search, allocated before freed memory can contain the secret.
struct Room {
    /// The list of mappings.
    text: String,
    /// A piece of memory, which the search leaves out.
    copy: Box<[u8]>,
}

const COPY: usize = 1 << 20;

/// Returns the parts of a range outside of another.
fn without(range: Range<usize>, hole: &Range<usize>) -> Vec<Range<usize>> {
    if range.end <= hole.start || hole.end <= range.start {
        return vec![range];
    }
    // The parts consist of whole pages, although the hole may begin within one.
    let before = range.start..(hole.start & !(PAGE - 1)).max(range.start);
    let after = hole.end.next_multiple_of(PAGE).min(range.end)..range.end;
    [before, after].into_iter().filter(|part| !part.is_empty()).collect()
}

fn mappings(text: &str) -> Vec<(Range<usize>, String)> {
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        let readable = fields.next()?.starts_with('r');
        let name = fields.nth(3).unwrap_or("anonymous").to_owned();
        (readable && !name.starts_with("[v")).then_some((range, name))
    };
    text.lines().filter_map(parse).collect()
}

const PAGE: usize = 4096;

/// Calls `each` for every run of the mapping's pages that are in memory. The other pages are empty,
/// or equal the file.
fn present(pagemap: &fs::File, mapping: &Range<usize>, mut each: impl FnMut(Range<usize>)) {
    let mut run: Option<Range<usize>> = None;
    // This is on the stack, because an allocation could reuse freed memory before it is searched.
    let mut entries = [[0; 8]; 512];
    for first in mapping.clone().step_by(entries.len() * PAGE) {
        let count = entries.len().min((mapping.end - first) / PAGE);
        let entries = &mut entries[..count];
        if pagemap.read_exact_at(entries.as_flattened_mut(), (first / PAGE * 8) as u64).is_err() {
            break;
        }
        for (at, entry) in entries.iter().enumerate() {
            // The page is present or swapped.
            if u64::from_le_bytes(*entry) >> 62 == 0 {
                continue;
            }
            let page = first + at * PAGE;
            match &mut run {
                Some(run) if run.end == page => run.end += PAGE,
                _ => {
                    run.take().into_iter().for_each(&mut each);
                    run = Some(page..page + PAGE);
                }
            }
        }
    }
    run.into_iter().for_each(each);
}

impl Search {
    pub fn new(complemented: impl IntoIterator<Item = u64>) -> Self {
        let complemented: HashSet<u64> = complemented.into_iter().collect();
        let mut first = Box::new([0; 1 << 16]);
        let mut second = Box::new([0; 1 << 16]);
        for word in &complemented {
            // This handles the parts one by one, so that the word itself is never on the stack.
            let part = |at: u32| (((word >> at) & 0xffff) ^ 0xffff) as usize;
            first[part(0)] = 1;
            second[part(16)] = 1;
        }
        let copy = vec![0; COPY + 8].into();
        let room = Mutex::new(Room { text: String::with_capacity(1 << 20), copy });
        Search { complemented, first, second, room }
    }

    /// Searches the whole process except the ranges `inside`. Hits in `frames` are counted
    /// separately.
    ///
    /// Other threads may free memory meanwhile, so this reads memory as a file.
    pub fn process(&self, inside: &[Range<usize>], frames: &[Range<usize>]) -> Found {
        let open = |name: &str| fs::File::open(name).expect("Linux has this file");
        let (pagemap, memory) = (open("/proc/self/pagemap"), open("/proc/self/mem"));
        let mut found = Found::default();
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let Room { text, copy } = &mut *room;
        text.clear();
        let _ = open("/proc/self/maps").read_to_string(text);
        let own = copy.as_ptr_range();
        let own = own.start as usize..own.end as usize;
        for (mapping, name) in mappings(text) {
            let is_frame = frames.iter().any(|f| mapping.start < f.end && f.start < mapping.end);
            let mut parts = vec![mapping];
            for hole in inside.iter().chain([&own]) {
                parts = parts.into_iter().flat_map(|part| without(part, hole)).collect();
            }
            for part in &parts {
                present(&pagemap, part, |run| {
                    found.searched += run.len();
                    for start in run.clone().step_by(COPY) {
                        // Words that begin in this piece may end in the next.
                        let copy = &mut copy[..(run.end - start).min(COPY + 7)];
                        if memory.read_exact_at(copy, start as u64).is_err() {
                            continue;
                        }
                        let copied = copy.as_ptr() as usize;
                        for hit in self.range(copied..copied + copy.len()) {
                            if is_frame {
                                found.frames += 1;
                            } else {
                                let hit = hit - copied + start;
                                found.outside.push(format!("{hit:#x} ({name})"));
                            }
                        }
                    }
                });
            }
        }
        copy.fill(0);
        found.outside.truncate(8);
        found
    }

    /// Returns the addresses in the range, which must be readable, that hold a word of the secret.
    pub fn range(&self, range: Range<usize>) -> Vec<usize> {
        let mut hits = Vec::new();
        let Some(end) = range.end.checked_sub(7) else { return hits };
        let mut at = range.start;
        while at < end {
            let complement: u64;
            // SAFETY: this reads the bytes from `at` up to `end + 7`, for which the caller is
            // responsible, and the tables, which have an element for each value of two bytes. Bytes
            // may change meanwhile.
            unsafe {
                asm!(
                    "2:",
                    "cmp {at}, {end}",
                    "jae 4f",
                    "movzx {value:e}, word ptr [{at}]",
                    "cmp byte ptr [{first} + {value}], 0",
                    "jne 5f",
                    "3:",
                    "inc {at}",
                    "jmp 2b",
                    "5:",
                    "movzx {value:e}, word ptr [{at} + 2]",
                    "cmp byte ptr [{second} + {value}], 0",
                    "je 3b",
                    "mov {value}, [{at}]",
                    "not {value}",
                    "4:",
                    at = inout(reg) at,
                    end = in(reg) end,
                    first = in(reg) self.first.as_ptr(),
                    second = in(reg) self.second.as_ptr(),
                    value = out(reg) complement,
                    options(nostack, readonly),
                );
            }
            if at < end && self.complemented.contains(&complement) {
                hits.push(at);
                // Further words of the same copy add nothing.
                at += 256;
            }
            at += 1;
        }
        hits
    }
}
