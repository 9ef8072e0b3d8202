//! Formats times.

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

/// Converts a day since 1970-01-01 to year, month and day of the Gregorian calendar.
fn date(day: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that a leap day is the last day of its year. 400 years have
    // 146,097 days, and day 0 is 719,468 days after 1 March of year 0.
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
    (year + u64::from(month <= 2), month, day)
}

fn parts(nanoseconds: u64) -> (String, String) {
    let seconds = nanoseconds / SECOND;
    let (year, month, day) = date(seconds / DAY);
    let second = seconds % DAY;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    (format!("{year:04}-{month:02}-{day:02}"), format!("{hour:02}:{minute:02}:{second:02}"))
}

/// Formats a time in nanoseconds since 1970 for a person, in UTC.
pub(crate) fn words(nanoseconds: u64) -> String {
    let (date, time) = parts(nanoseconds);
    format!("{date} {time}")
}

/// Formats the same for a machine (RFC 3339).
pub(crate) fn rfc3339(nanoseconds: u64) -> String {
    let (date, time) = parts(nanoseconds);
    format!("{date}T{time}.{:09}Z", nanoseconds % SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_709_210_096, "2024-02-29 12:34:56"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (18_446_744_073, "2554-07-21 23:34:33"),
        ] {
            assert_eq!(words(seconds * SECOND), text);
        }
        assert_eq!(rfc3339(u64::MAX), "2554-07-21T23:34:33.709551615Z");
    }
}
