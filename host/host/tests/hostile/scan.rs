//! The search for the secret in the memory of the process outside of the enclave.
//!
//! Every word of the secret (8 bytes, 512 of them) is looked for at every byte of every page
//! that is present. Words are held complemented, and compared in registers, so that the search
//! does not find itself.
//!
//! Software SGX keeps the registers and the vector state of the enclave in signal frames on its
//! alternate stacks, and, for ERESUME, beside them: hardware keeps these in the SSA, inside. What
//! is found there is counted apart.

use std::arch::asm;
use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// What a search found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    /// Places of the process, with the name of their mapping.
    pub outside: Vec<String>,
    /// Words in the frames of software SGX.
    pub frames: usize,
    /// Bytes that were searched.
    pub searched: usize,
}

/// Looks for the words of one secret.
pub struct Search {
    complemented: HashSet<u64>,
    /// By the first two bytes of a word, and by the next two: whether there is such a word.
    first: Box<[u8; 1 << 16]>,
    second: Box<[u8; 1 << 16]>,
    room: Mutex<Room>,
}

/// Memory for a search, taken before there is something to be found in what was given back.
struct Room {
    /// The list of mappings.
    text: String,
    /// A piece of memory: it is left out of the search.
    copy: Box<[u8]>,
}

const COPY: usize = 1 << 20;

/// What is left of a range without another.
fn without(range: Range<usize>, hole: &Range<usize>) -> Vec<Range<usize>> {
    if range.end <= hole.start || hole.end <= range.start {
        return vec![range];
    }
    // Whole pages: the hole may begin within one.
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

/// Runs of pages of the mapping that are in memory: the others hold nothing, or what the file
/// holds.
fn present(pagemap: &fs::File, mapping: &Range<usize>, mut each: impl FnMut(Range<usize>)) {
    let mut run: Option<Range<usize>> = None;
    // On the stack: memory that a case has given back must not be taken before it is searched.
    let mut entries = [[0; 8]; 512];
    for first in mapping.clone().step_by(entries.len() * PAGE) {
        let count = entries.len().min((mapping.end - first) / PAGE);
        let entries = &mut entries[..count];
        if pagemap.read_exact_at(entries.as_flattened_mut(), (first / PAGE * 8) as u64).is_err() {
            break;
        }
        for (at, entry) in entries.iter().enumerate() {
            // Present or swapped.
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
            // Part by part: the word itself must not come to lie on the stack.
            let part = |at: u32| (((word >> at) & 0xffff) ^ 0xffff) as usize;
            first[part(0)] = 1;
            second[part(16)] = 1;
        }
        let copy = vec![0; COPY + 8].into();
        let room = Mutex::new(Room { text: String::with_capacity(1 << 20), copy });
        Search { complemented, first, second, room }
    }

    /// Searches the whole process but for the ranges `inside`; hits in `frames` count apart.
    ///
    /// Threads of the process may give memory back meanwhile, so it is read as a file.
    pub fn process(&self, inside: &[Range<usize>], frames: &[Range<usize>]) -> Found {
        let open = |name: &str| fs::File::open(name).expect("Linux has it");
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

    /// Addresses in the range, which is readable, at which a word of the secret lies.
    pub fn range(&self, range: Range<usize>) -> Vec<usize> {
        let mut hits = Vec::new();
        let Some(end) = range.end.checked_sub(7) else { return hits };
        let mut at = range.start;
        while at < end {
            let complement: u64;
            // SAFETY: reads the bytes from `at` up to `end + 7`, which the caller answers for, and the
            // tables, which have an element for each value of two bytes. Bytes may change meanwhile.
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
                // More of the same is no news.
                at += 256;
            }
            at += 1;
        }
        hits
    }
}
