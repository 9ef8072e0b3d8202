//! Samples: what is taken of several runs.

use serde::Serialize;
use std::time::{Duration, Instant};

/// The values of several runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Sample {
    pub min: f64,
    pub median: f64,
    pub max: f64,
    /// All values, in the order in which they were measured.
    pub runs: Vec<f64>,
}

impl Sample {
    /// `None` without a value.
    pub(crate) fn of(runs: Vec<f64>) -> Option<Self> {
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.get(sorted.len() / 2)?;
        // Of an even number there are two in the middle.
        let below = sorted[(sorted.len() - 1) / 2];
        Some(Sample {
            min: sorted[0],
            median: f64::midpoint(below, *middle),
            max: sorted[sorted.len() - 1],
            runs,
        })
    }

    /// The sample of a value that does not vary.
    pub(crate) fn exact(value: f64) -> Self {
        Sample { min: value, median: value, max: value, runs: vec![value] }
    }
}

/// How often to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Rounds, when there is time for all of them.
    pub runs: usize,
    /// Rounds that are made however long they take.
    pub least: usize,
    /// The time after which no more rounds begin.
    pub budget: Duration,
}

/// Lets the rivals run in turns (A B A B ...), so that what disturbs the machine for a while
/// disturbs all of them alike. One sample for each rival.
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
    fn no_round_begins_when_the_time_is_over_but_the_least() {
        let effort = Effort { runs: 9, least: 2, budget: Duration::ZERO };
        let mut slow = || {
            std::thread::sleep(Duration::from_millis(1));
            Ok::<_, Infallible>(1.0)
        };
        assert_eq!(interleaved(effort, &mut [&mut slow]).unwrap()[0].runs.len(), 2);
    }

    #[test]
    fn a_rival_that_fails_ends_it() {
        let effort = Effort { runs: 3, least: 1, budget: LONG };
        assert_eq!(interleaved(effort, &mut [&mut || Err("no")]), Err("no"));
    }
}
