//! Prints its arguments, which shows that memory, streams and arguments work.

use std::collections::BTreeMap;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let counted = words.iter().fold(BTreeMap::new(), |mut counts, word| {
        *counts.entry(word.as_str()).or_insert(0u32) += 1;
        counts
    });
    println!("hello from inside: {counted:?}");
    println!("floating point: {:.3}", words.len() as f64 / 3.0);
}
