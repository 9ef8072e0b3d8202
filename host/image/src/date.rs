//! The date in a signature.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Error, Manifest};

/// A day, as in SIGSTRUCT.DATE.
///
/// The date is signed, so making the same signature again requires the same date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Chooses the date for a signature: `given`, otherwise the manifest's, otherwise the day of
    /// `SOURCE_DATE_EPOCH` in the environment, otherwise today (UTC).
    pub fn choose(given: Option<Date>, manifest: &Manifest) -> Result<Date, Error> {
        if let Some(date) = given.or(manifest.date) {
            return Ok(date);
        }
        match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => {
                text.trim().parse().ok().and_then(Date::from_unix).ok_or(Error::Date { text })
            }
            Err(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                Date::from_unix(now).ok_or_else(|| Error::Date { text: now.to_string() })
            }
        }
    }

    /// Returns the day (UTC) this many seconds after the start of 1970. `None` after the year 9999.
    pub fn from_unix(seconds: u64) -> Option<Date> {
        let mut day = seconds / 86_400;
        let mut year = 1970;
        while day >= days_in_year(year) {
            day -= days_in_year(year);
            year += 1;
            if year > 9999 {
                return None;
            }
        }
        let mut month = 1;
        while day >= days_in_month(year, month) {
            day -= days_in_month(year, month);
            month += 1;
        }
        Some(Date { year, month, day: day as u8 + 1 })
    }

    /// Returns year, month and day.
    pub fn parts(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }

    /// Reads the date in a SIGSTRUCT: `0xYYYYMMDD`, in binary-coded decimal.
    pub(crate) fn from_bcd(bcd: u32) -> Option<Date> {
        let text = format!("{bcd:08x}");
        format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]).parse().ok()
    }
}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Date, Error> {
        let parse = || {
            let mut parts = text.split('-');
            let mut next = |length| {
                let part = parts.next().filter(|p| p.len() == length)?;
                part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u16>().ok())?
            };
            let (year, month, day) = (next(4)?, next(2)? as u8, next(2)? as u8);
            let valid = parts.next().is_none()
                && year > 0
                && (1..=12).contains(&month)
                && (1..=days_in_month(year, month)).contains(&day.into());
            valid.then_some(Date { year, month, day })
        };
        parse().ok_or_else(|| Error::Date { text: text.into() })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_year(year: u16) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in_month(year: u16, month: u8) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_text_give_the_same_day() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_795_305_600, "2026-11-22"),
            (253_402_300_799, "9999-12-31"),
        ] {
            assert_eq!(Date::from_unix(seconds).unwrap().to_string(), text);
            assert_eq!(text.parse::<Date>().unwrap(), Date::from_unix(seconds).unwrap());
        }
        assert_eq!(Date::from_unix(253_402_300_800), None);
        assert_eq!(Date::from_unix(u64::MAX), None);
    }

    #[test]
    fn invalid_dates_are_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-00-10",
            "2026-1-01",
            "+026-01-01",
            "2026-01-01-",
            "26-01-01",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_argument_comes_before_the_manifests() {
        let (given, other) = ("2026-05-06".parse().unwrap(), "2025-01-01".parse().unwrap());
        let manifest = Manifest { date: Some(other), ..Manifest::default() };
        assert_eq!(Date::choose(Some(given), &manifest).unwrap(), given);
        assert_eq!(Date::choose(None, &manifest).unwrap(), other);
    }

    #[test]
    fn a_date_survives_its_encoding() {
        assert_eq!(Date::from_bcd(0x20260131).unwrap().to_string(), "2026-01-31");
        assert_eq!(Date::from_bcd(0x2026013a), None);
    }
}
