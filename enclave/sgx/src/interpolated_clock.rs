//! Computes the time between two answers of the host, from a counter that advances evenly.

/// After this many nanoseconds the host is asked again. The counter's rate is measured over at
/// least this time; an answer comes some microseconds late, which is little of it.
const MIN_INTERVAL: u64 = 20_000_000;

/// The rate is measured over at most this many nanoseconds, so that it follows a clock that is
/// being adjusted.
const MAX_INTERVAL: u64 = 1_000_000_000;

/// If the host's time differs from the prediction by more than this (ns), clock or counter were
/// set.
const MAX_DIFFERENCE: u64 = 1_000_000;

/// Limit, in ticks, on the time of an answer that measures the rate: it is unknown when in that
/// time the host read its clock. At 1 to 5 GHz this is at most 1% of the time that is measured
/// over.
const MAX_TICKS: u64 = 200_000;

/// The host's answers, as far as they are still needed.
#[derive(Debug)]
pub(crate) struct InterpolatedClock {
    /// The time of an earlier answer, and the counter then. The rate is measured from there.
    base: Option<(u64, u64)>,
    /// The same of the last answer.
    last: (u64, u64),
    /// Nanoseconds in 2^32 ticks, once they are known.
    rate: Option<u64>,
    /// The latest time that was returned.
    given: u64,
    /// Whether the clock is never set.
    steady: bool,
}

impl InterpolatedClock {
    /// Makes a clock that was never asked. `steady` means that the clock is never set.
    pub(crate) const fn new(steady: bool) -> Self {
        InterpolatedClock { base: None, last: (0, 0), rate: None, given: 0, steady }
    }

    /// Returns the time at this value of the counter. `None` if the host must be asked.
    pub(crate) fn at(&mut self, count: u64) -> Option<u64> {
        let expected = self.expected(count)?;
        if expected - self.last.0 > MIN_INTERVAL {
            return None;
        }
        self.given = self.given.max(expected);
        Some(self.given)
    }

    fn expected(&self, count: u64) -> Option<u64> {
        let ticks = count.checked_sub(self.last.1)?;
        let passed = (u128::from(ticks) * u128::from(self.rate?)) >> 32;
        self.last.0.checked_add(u64::try_from(passed).ok()?)
    }

    /// Takes an answer of the host, during which the counter went from `before` to `count`. Returns
    /// the time to return.
    pub(crate) fn told(&mut self, time: u64, before: u64, count: u64) -> u64 {
        if count.checked_sub(before).is_some_and(|ticks| ticks <= MAX_TICKS) {
            self.measure(time, count);
        }
        // A time that was returned a little too early stays.
        let early = self.given.saturating_sub(time);
        if early == 0 || early > MAX_DIFFERENCE && !self.steady {
            self.given = time;
        }
        self.given
    }

    fn measure(&mut self, time: u64, count: u64) {
        let goes_on = time >= self.last.0 && count > self.last.1;
        let as_expected = self.rate.is_none()
            || self.expected(count).is_some_and(|at| at.abs_diff(time) <= MAX_DIFFERENCE);
        match self.base {
            Some((start, from)) if goes_on && as_expected => {
                let window = time - start;
                if window >= MIN_INTERVAL {
                    let rate = (u128::from(window) << 32) / u128::from(count - from);
                    self.rate = u64::try_from(rate).ok();
                }
                if window >= MAX_INTERVAL {
                    self.base = Some(self.last);
                }
            }
            _ => {
                self.base = Some((time, count));
                self.rate = None;
            }
        }
        self.last = (time, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Tells a clock these times, with a counter of 2.5 GHz that does not begin at 0.
    fn told(elapsed: &mut InterpolatedClock, times: impl IntoIterator<Item = u64>) {
        for time in times {
            assert_eq!(elapsed.told(time, count(time), count(time) + 10), time);
        }
    }

    fn count(time: u64) -> u64 {
        time / 2 * 5 + 7_000
    }

    #[test]
    fn the_host_is_asked_until_the_rate_is_known_and_each_20_ms_from_then_on() {
        let mut elapsed = InterpolatedClock::new(false);
        assert_eq!(elapsed.at(count(5)), None);
        told(&mut elapsed, [MS, 2 * MS, 20 * MS]);
        assert_eq!(elapsed.at(count(20 * MS + 10)), None);
        told(&mut elapsed, [21 * MS]);
        for after in [0, 1000, MS, 19 * MS] {
            let given = elapsed.at(count(21 * MS + after) + 10).unwrap();
            assert!(given.abs_diff(21 * MS + after) < 10, "{given} after {after}");
        }
        assert_eq!(elapsed.at(count(42 * MS)), None);
    }

    #[test]
    fn time_never_goes_back_by_the_little_that_was_given_too_early() {
        let mut elapsed = InterpolatedClock::new(false);
        told(&mut elapsed, [0, 30 * MS]);
        let given = elapsed.at(count(40 * MS)).unwrap();
        // The clock was slowed down by 1%.
        assert_eq!(elapsed.told(40 * MS - 100_000, count(40 * MS), count(40 * MS)), given);
        let next = elapsed.at(count(40 * MS) + 10).unwrap();
        assert!(next >= given);
        // By then it has caught up.
        assert_eq!(elapsed.told(60 * MS, count(60 * MS), count(60 * MS)), 60 * MS);
    }

    #[test]
    fn a_clock_that_is_set_is_believed_at_the_next_answer_and_measured_anew() {
        for set in [3_600_000 * MS, 5 * MS] {
            let mut elapsed = InterpolatedClock::new(false);
            told(&mut elapsed, [100 * MS, 130 * MS]);
            assert!(elapsed.at(count(131 * MS)).is_some());
            assert_eq!(elapsed.told(set, count(151 * MS), count(151 * MS)), set);
            assert_eq!(elapsed.at(count(152 * MS)), None);
            assert_eq!(
                elapsed.told(set + 21 * MS, count(172 * MS), count(172 * MS)),
                set + 21 * MS
            );
            let given = elapsed.at(count(173 * MS)).unwrap();
            assert!(given.abs_diff(set + 22 * MS) < 10);
        }
    }

    #[test]
    fn a_counter_that_jumps_or_stands_is_not_believed() {
        let mut elapsed = InterpolatedClock::new(false);
        told(&mut elapsed, [0, 30 * MS]);
        assert_eq!(elapsed.at(count(30 * MS) - 1), None);
        assert_eq!(elapsed.at(u64::MAX), None);
        assert_eq!(elapsed.told(60 * MS, 5, 5), 60 * MS);
        assert_eq!(elapsed.at(6), None);
        // The counter stops.
        assert_eq!(elapsed.told(90 * MS, 5, 5), 90 * MS);
        assert_eq!(elapsed.told(120 * MS, 5, 5), 120 * MS);
        assert_eq!(elapsed.at(5), None);
        // Extreme times.
        let mut elapsed = InterpolatedClock::new(false);
        for (time, count) in [(0, 0), (u64::MAX, 1), (u64::MAX, 2), (0, 3), (u64::MAX, u64::MAX)] {
            assert_eq!(elapsed.told(time, count, count), time);
            let _ = elapsed.at(u64::MAX);
        }
    }

    #[test]
    fn a_late_answer_is_not_measured_by() {
        let mut elapsed = InterpolatedClock::new(false);
        assert_eq!(elapsed.told(0, 0, MAX_TICKS + 1), 0);
        assert_eq!(elapsed.told(30 * MS, count(30 * MS), count(30 * MS)), 30 * MS);
        assert_eq!(elapsed.at(count(31 * MS)), None);
        assert_eq!(elapsed.told(51 * MS, count(51 * MS), count(51 * MS)), 51 * MS);
        let given = elapsed.at(count(52 * MS)).unwrap();
        assert!(given.abs_diff(52 * MS) < 10);
        // Nor does an answer during which the counter went back.
        assert_eq!(elapsed.told(53 * MS, count(53 * MS), count(51 * MS)), 53 * MS);
        assert!(elapsed.at(count(54 * MS)).unwrap().abs_diff(54 * MS) < 10);
    }

    #[test]
    fn a_steady_clock_never_goes_back() {
        let mut elapsed = InterpolatedClock::new(true);
        assert_eq!(elapsed.told(100 * MS, 0, 0), 100 * MS);
        assert_eq!(elapsed.told(50 * MS, 1, 1), 100 * MS);
        assert_eq!(elapsed.told(101 * MS, 2, 2), 101 * MS);
    }

    #[test]
    fn an_adjusted_clock_is_followed() {
        let mut elapsed = InterpolatedClock::new(false);
        let mut time = 0;
        for step in 0..1000 {
            // In the second half, the clock is slower by 1 in 2,000.
            let slower = if step < 500 { 0 } else { 10_000 };
            time += 20 * MS - slower;
            let given = elapsed.told(time, count(step * 20 * MS), count(step * 20 * MS));
            assert!(given.abs_diff(time) <= 20_000, "step {step}");
        }
        let expected = elapsed.at(count(999 * 20 * MS + 10 * MS)).unwrap();
        assert!(expected.abs_diff(time + 10 * MS - 5_000) < 1_000);
    }
}
