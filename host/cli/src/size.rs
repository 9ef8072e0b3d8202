//! Sizes and times on the command line.

use std::time::Duration;

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

/// Parses a size in bytes: a whole number with an optional unit, a power of 1024 (`64MiB`, `64M`).
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(format!("{unit:?} is not a unit of size: use KiB, MiB, GiB or TiB")),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "a size is a whole number with a unit, such as 64MiB".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "the size is too large".to_owned())
}

/// Parses a time: a number with an optional unit, by default seconds (`500ms`, `2m`).
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let scale = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is not a unit of time: use ms, s, m or h")),
    };
    let number: f64 =
        number.parse().map_err(|_| "a time is a number with a unit, such as 30s".to_owned())?;
    match Duration::try_from_secs_f64(number * scale) {
        Ok(Duration::ZERO) => Err("the time must be longer than zero".into()),
        time => time.map_err(|_| "the time is too long".into()),
    }
}

/// Returns a time in nanoseconds. Centuries are cut to the largest number.
pub(crate) fn to_nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Parses a time as [`time`] does, and returns it in nanoseconds.
pub(crate) fn nanoseconds(text: &str) -> Result<u64, String> {
    time(text).map(to_nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_users_write_them() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        assert_eq!(bytes("64 M"), Ok(64 << 20));
        assert_eq!(bytes("2g"), Ok(2 << 30));
        for wrong in ["", "MiB", "-1", "1.5G", "1X", "99999999999G"] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times_are_read_as_users_write_them() {
        assert_eq!(time("2"), Ok(Duration::from_secs(2)));
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["", "s", "-1", "1d", "1e30h"] {
            assert!(time(wrong).is_err(), "{wrong:?}");
        }
    }
}
