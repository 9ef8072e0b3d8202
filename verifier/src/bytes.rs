//! Bytes that people and JSON see in hexadecimal, and moments that they see as dates.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::time::Duration;
use x509_cert::der::DateTime;

/// `N` bytes, written in lower-case hexadecimal. Upper case is read too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Hex<const N: usize>(pub [u8; N]);

/// The text is not the hexadecimal form of as many bytes as are expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected {expected} bytes in hexadecimal ({digits} digits)", digits = expected * 2)]
pub struct HexError {
    /// The number of bytes.
    expected: usize,
}

impl<const N: usize> TryFrom<String> for Hex<N> {
    type Error = HexError;

    fn try_from(text: String) -> Result<Self, HexError> {
        let mut bytes = [0; N];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| HexError { expected: N })?;
        Ok(Hex(bytes))
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Bytes of any number, written in lower-case hexadecimal.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A moment in whole seconds since 1970, without leap seconds. It is written as RFC 3339 has it:
/// `2025-06-21T00:00:00Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

/// The seconds of a day.
pub(crate) const DAY: u64 = 86_400;

/// Says a number of days.
pub(crate) fn days(count: u64) -> String {
    match count {
        1 => "1 day".to_owned(),
        count => format!("{count} days"),
    }
}

impl Moment {
    /// Reads a date as Intel's collateral has it: in RFC 3339, in UTC, without fractions.
    pub fn parse(text: &str) -> Option<Moment> {
        let date: DateTime = text.parse().ok()?;
        Some(Moment(date.unix_duration().as_secs()))
    }

    /// Returns the whole days from an earlier moment to this one; 0 if that one is later.
    pub(crate) fn days_since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0) / DAY
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_unix_duration(Duration::from_secs(self.0)) {
            Ok(date) => fmt::Display::fmt(&date, out),
            // Past the year 9999, which RFC 3339 can't write.
            Err(_) => write!(out, "{} s after 1970", self.0),
        }
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_and_read_back() {
        assert_eq!(Moment(1_750_464_000).to_string(), "2025-06-21T00:00:00Z");
        assert_eq!(Moment::parse("2025-06-21T00:00:00Z"), Some(Moment(1_750_464_000)));
        assert_eq!(Moment::parse("2025-06-21"), None);
        assert_eq!(Moment(u64::MAX).to_string(), "18446744073709551615 s after 1970");
    }

    #[test]
    fn hexadecimal_of_the_wrong_length_is_refused_with_the_right_one() {
        assert_eq!(Hex::try_from("0Aff".to_owned()), Ok(Hex([10, 255])));
        let error = Hex::<2>::try_from("0aff00".to_owned()).unwrap_err();
        assert_eq!(error.to_string(), "expected 2 bytes in hexadecimal (4 digits)");
    }
}
