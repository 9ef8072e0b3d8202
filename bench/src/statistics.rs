//! Samples: the statistics of several runs.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// The values of several runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub min: f64,
    pub median: f64,
    pub max: f64,
    /// All values, in the order in which they were measured.
    pub runs: Vec<f64>,
}

impl Sample {
    /// Returns the statistics of these values, or `None` without a value.
    pub(crate) fn of(runs: Vec<f64>) -> Option<Self> {
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.get(sorted.len() / 2)?;
        // An even number of values has two in the middle.
        let below = sorted[(sorted.len() - 1) / 2];
        Some(Sample {
            min: sorted[0],
            median: f64::midpoint(below, *middle),
            max: sorted[sorted.len() - 1],
            runs,
        })
    }

    /// Returns the sample of a constant value.
    pub(crate) fn exact(value: f64) -> Self {
        Sample { min: value, median: value, max: value, runs: vec![value] }
    }

    /// Returns the probability that two samples of the same distribution differ at least as much as
    /// these.
    pub(crate) fn chance_to_differ_so(&self, other: &Sample) -> f64 {
        let mut larger = 0.0_f64;
        for mine in &self.runs {
            for theirs in &other.runs {
                // A pair of equal values counts half for each side.
                larger += match mine.total_cmp(theirs) {
                    Ordering::Greater => 1.0,
                    Ordering::Equal => 0.5,
                    Ordering::Less => 0.0,
                };
            }
        }
        let pairs = (self.runs.len() * other.runs.len()) as f64;
        // If equal values leave a half, rounding up gives an upper bound of the probability.
        chance(self.runs.len(), other.runs.len(), larger.min(pairs - larger).ceil())
    }

    /// Returns the first and the third quartile, each interpolated between the two values beside
    /// its position. Half of the values lie between the two.
    pub(crate) fn quartiles(&self) -> (f64, f64) {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (sorted.len().max(1) - 1) as f64;
            let (below, above) = (place.floor() as usize, place.ceil() as usize);
            match (sorted.get(below), sorted.get(above)) {
                (Some(low), Some(high)) => low + (high - low) * place.fract(),
                _ => self.median,
            }
        };
        (at(0.25), at(0.75))
    }
}

/// Returns the probability that two samples of these sizes from the same distribution have a
/// Mann-Whitney U of `u` or less. The test is two-sided and exact.
///
/// U counts the pairs, one value of each sample, in which the first sample's value is the larger,
/// or those in which the second's is, whichever are fewer.
pub(crate) fn chance(first: usize, second: usize, u: f64) -> f64 {
    // ways[v] is the number of orders of all values that have v such pairs. The largest of the
    // remaining values is either the first sample's, and beats all of the second's, or the
    // second's.
    let most = first * second;
    let mut ways = vec![vec![0.0; most + 1]; second + 1];
    ways.iter_mut().for_each(|ways| ways[0] = 1.0);
    for _ in 0..first {
        let mut next = vec![vec![0.0; most + 1]; second + 1];
        next[0][0] = 1.0;
        for n in 1..=second {
            for v in 0..=most {
                let beaten = if v >= n { ways[n][v - n] } else { 0.0 };
                next[n][v] = next[n - 1][v] + beaten;
            }
        }
        ways = next;
    }
    let all: f64 = ways[second].iter().sum();
    let up_to = (u.floor() as usize).min(most);
    let small: f64 = ways[second][..=up_to].iter().sum();
    (2.0 * small / all).min(1.0)
}

/// Returns the geometric mean; `None` without a value, or if a value is not above 0.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| value.is_nan() || *value <= 0.0) {
        return None;
    }
    let logarithms: f64 = values.iter().map(|value| value.ln()).sum();
    Some((logarithms / values.len() as f64).exp())
}

/// The number of runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// The number of rounds, if there is time for all of them.
    pub runs: usize,
    /// The number of rounds that run however long they take.
    pub least: usize,
    /// The time after which no more rounds begin.
    pub budget: Duration,
}

/// Runs the rivals in turns (A B A B ...), so that a temporary disturbance of the machine affects
/// all of them alike. Returns one sample for each rival.
pub(crate) fn interleaved<E>(
    effort: Effort,
    rivals: &mut [&mut dyn FnMut() -> Result<f64, E>],
) -> Result<Vec<Sample>, E> {
    let mut values = vec![Vec::new(); rivals.len()];
    let start = Instant::now();
    for round in 0..effort.runs.max(1) {
        if round >= effort.least.max(1) && start.elapsed() > effort.budget {
            break;
        }
        for (rival, values) in rivals.iter_mut().zip(&mut values) {
            values.push(rival()?);
        }
    }
    Ok(values.into_iter().filter_map(Sample::of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::convert::Infallible;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        let odd = Sample::of(vec![5.0, 1.0, 3.0]).unwrap();
        assert_eq!((odd.min, odd.median, odd.max), (1.0, 3.0, 5.0));
        let even = Sample::of(vec![4.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!((even.min, even.median, even.max), (1.0, 3.0, 10.0));
        assert_eq!(Sample::of(vec![7.0]), Some(Sample::exact(7.0)));
        assert_eq!(Sample::of(vec![]), None);
    }

    #[test]
    fn a_sample_keeps_its_values_in_their_order() {
        assert_eq!(Sample::of(vec![3.0, 1.0, 2.0]).unwrap().runs, [3.0, 1.0, 2.0]);
    }

    #[test]
    fn half_of_the_values_lie_between_the_quartiles() {
        let sample = Sample::of(vec![5.0, 1.0, 2.0, 4.0, 3.0]).unwrap();
        assert_eq!(sample.quartiles(), (2.0, 4.0));
        assert_eq!(Sample::of(vec![1.0, 2.0]).unwrap().quartiles(), (1.25, 1.75));
        assert_eq!(Sample::exact(7.0).quartiles(), (7.0, 7.0));
    }

    #[test]
    fn a_geometric_mean_is_the_root_of_the_product() {
        let mean = geometric_mean(&[1.0, 4.0, 16.0]).unwrap();
        assert!((mean - 4.0).abs() < 1e-12, "{mean}");
        for none in [&[][..], &[1.0, 0.0], &[1.0, -1.0], &[f64::NAN]] {
            assert_eq!(geometric_mean(none), None);
        }
    }

    #[test]
    fn the_probability_matches_published_tables() {
        // Of the 252 orders of 5 and 5 values, 1, 1 and 2 have a U of 0, 1 and 2.
        assert_eq!(chance(5, 5, 0.0), 2.0 / 252.0);
        assert_eq!(chance(5, 5, 2.0), 8.0 / 252.0);
        assert_eq!(chance(3, 3, 0.0), 0.1);
        assert_eq!(chance(1, 1, 0.0), 1.0);
        assert_eq!(chance(4, 6, 12.0), chance(6, 4, 12.0));
        assert_eq!(chance(4, 4, 16.0), 1.0);
    }

    #[test]
    fn samples_far_apart_are_unlikely_to_be_of_one_thing() {
        let low = Sample::of(vec![1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let high = Sample::of(vec![11.0, 12.0, 13.0, 14.0, 15.0]).unwrap();
        assert_eq!(low.chance_to_differ_so(&high), 2.0 / 252.0);
        assert_eq!(high.chance_to_differ_so(&low), 2.0 / 252.0);
        assert_eq!(low.chance_to_differ_so(&low), 1.0);
    }

    #[test]
    fn rivals_run_in_turns() {
        let order = RefCell::new(String::new());
        let mut a = || {
            order.borrow_mut().push('a');
            Ok::<_, Infallible>(1.0)
        };
        let mut b = || {
            order.borrow_mut().push('b');
            Ok(2.0)
        };
        let effort = Effort { runs: 3, least: 1, budget: LONG };
        let samples = interleaved(effort, &mut [&mut a, &mut b]).unwrap();
        assert_eq!(*order.borrow(), "ababab");
        assert_eq!(samples[1].runs, [2.0; 3]);
    }

    #[test]
    fn no_round_starts_after_the_time_limit_except_the_minimum() {
        let effort = Effort { runs: 9, least: 2, budget: Duration::ZERO };
        let mut slow = || {
            std::thread::sleep(Duration::from_millis(1));
            Ok::<_, Infallible>(1.0)
        };
        assert_eq!(interleaved(effort, &mut [&mut slow]).unwrap()[0].runs.len(), 2);
    }

    #[test]
    fn a_rival_that_fails_ends_the_measurement() {
        let effort = Effort { runs: 3, least: 1, budget: LONG };
        assert_eq!(interleaved(effort, &mut [&mut || Err("no")]), Err("no"));
    }
}
