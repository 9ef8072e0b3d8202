//! Prints what a program sees inside the enclave: its arguments and environment, the clock, random
//! numbers, and the digest of a text in its arguments or, with `-`, on stdin.

mod sha256;

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The limit below which primes are counted.
const LIMIT: usize = 10_000_000;

fn main() -> ExitCode {
    match report() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("report: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let environment: Vec<String> =
        std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    let (text, shown) = match &arguments[..] {
        [dash] if dash == "-" => {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text)?;
            let shown = format!("{} bytes from standard input", grouped(text.len()));
            (text, shown)
        }
        [] => (Vec::new(), "none".to_owned()),
        words => (words.join(" ").into_bytes(), words.join(" ")),
    };
    let none_or =
        |list: Vec<String>| if list.is_empty() { "none".to_owned() } else { list.join(" ") };

    let start = Instant::now();
    let primes = primes_below(LIMIT);
    let time = start.elapsed();

    let mut out = std::io::stdout().lock();
    writeln!(out, "A report from the program\n")?;
    let mut row = |name: &str, value: &str| writeln!(out, "  {name:<12} {value}");
    row("text", &shown)?;
    row("its SHA-256", &sha256::hex(&sha256::digest(&text)))?;
    row("environment", &none_or(environment))?;
    row("clock", &utc(SystemTime::now()))?;
    row("random", &format!("{:016x}", RandomState::new().hash_one(0)))?;
    row(
        "primes",
        &format!(
            "{} below {}, counted in {} ms",
            grouped(primes),
            grouped(LIMIT),
            time.as_millis()
        ),
    )
}

/// Returns the number of primes below a limit, by Eratosthenes' sieve of the odd numbers.
fn primes_below(limit: usize) -> usize {
    if limit < 3 {
        return 0;
    }
    // `composite[i]` represents 2i + 1.
    let mut composite = vec![false; limit / 2];
    let mut i = 1;
    while (2 * i + 1) * (2 * i + 1) < limit {
        if !composite[i] {
            for multiple in composite[2 * i * (i + 1)..].iter_mut().step_by(2 * i + 1) {
                *multiple = true;
            }
        }
        i += 1;
    }
    // The entry of 1 counts for 2.
    composite.iter().filter(|composite| !**composite).count()
}

/// Returns a number with its digits in groups of three.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns the date and time of day in the Gregorian calendar.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!(
        "{year}-{month:02}-{:02} {:02}:{:02}:{:02} UTC",
        days + 1,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn primes_are_counted() {
        assert_eq!([0, 2, 3, 4, 10, 100, 1_000_000].map(primes_below), [0, 0, 1, 2, 4, 25, 78_498]);
    }

    #[test]
    fn dates_in_leap_years_are_correct() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(at(1_735_689_599), "2024-12-31 23:59:59 UTC");
    }

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
