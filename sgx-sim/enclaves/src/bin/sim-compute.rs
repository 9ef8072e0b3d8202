//! Computes for a while with integer and floating-point registers, while signals of the host
//! arrive, and prints the result. A lost register would change it.

fn main() {
    let rounds: u64 =
        std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut sums = [0f64; 8];
    for round in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum = *sum * 0.5 + (state >> lane & 0xffff) as f64;
        }
        if round % 65_536 == 0 {
            std::thread::yield_now();
        }
    }
    let bits = sums.iter().fold(state, |acc, sum| acc.rotate_left(7) ^ sum.to_bits());
    println!("{bits:016x}");
}
