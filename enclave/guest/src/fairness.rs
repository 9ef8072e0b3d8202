//! Keeps a program that asks for much from starving others.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many calls a program can make at once after a pause.
const BURST: u32 = 16;

/// The time after which a program can make one more.
const EACH: Duration = Duration::from_millis(250);

/// How many calls a program can make now. One call is added each quarter of a second, up to 16.
#[derive(Debug, Clone)]
pub struct Allowance {
    left: u32,
    /// The time of the last addition.
    at: Duration,
}

impl Allowance {
    /// Starts with all that a program can have.
    pub fn new(now: Duration) -> Self {
        Allowance { left: BURST, at: now }
    }

    /// Takes one call, at a time of a clock that does not go back. Returns whether there was one.
    pub fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_nanos() / EACH.as_nanos();
        let added = u32::try_from(passed).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(added).min(BURST);
        self.at = match self.left {
            BURST => now,
            _ => self.at + EACH * added,
        };
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// A place where threads do something one after the other, in the order in which they came.
#[derive(Debug, Default)]
pub struct Turns {
    numbers: Mutex<Numbers>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Numbers {
    /// The number of whoever comes next.
    next: u64,
    /// The number whose turn it is.
    now: u64,
}

/// A turn, which ends when this is dropped.
#[derive(Debug)]
pub struct Turn<'a>(&'a Turns);

impl Turns {
    /// Makes a place where nobody waits.
    pub const fn new() -> Self {
        Turns { numbers: Mutex::new(Numbers { next: 0, now: 0 }), changed: Condvar::new() }
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all who came before have had their turns.
    pub fn wait(&self) -> Turn<'_> {
        let mut numbers = self.numbers();
        let own = numbers.next;
        numbers.next += 1;
        let waited = self.changed.wait_while(numbers, |numbers| numbers.now != own);
        drop(waited);
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.numbers().now += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_program_has_sixteen_calls_at_once_and_then_four_each_second() {
        let mut allowance = Allowance::new(at(7));
        let mut granted = |now| (0..100).filter(|_| allowance.take(now)).count();
        assert_eq!(granted(at(7)), 16);
        assert_eq!(granted(at(256)), 0);
        assert_eq!(granted(at(257)), 1);
        assert_eq!(granted(at(506)), 0);
        assert_eq!(granted(at(1007)), 3);
        // A clock that goes back gives nothing.
        assert_eq!(granted(at(0)), 0);
        assert_eq!(granted(Duration::MAX), 16);
        assert_eq!(granted(Duration::MAX), 0);
    }

    #[test]
    fn parts_of_a_quarter_add_up() {
        let mut allowance = Allowance::new(at(0));
        while allowance.take(at(0)) {}
        let granted = (0..=1000).step_by(10).filter(|now| allowance.take(at(*now))).count();
        assert_eq!(granted, 4);
    }

    #[test]
    fn turns_come_in_the_order_in_which_they_were_asked_for() {
        static TURNS: Turns = Turns::new();
        let order = Mutex::new(Vec::new());
        let inside = AtomicU32::new(0);
        let first = TURNS.wait();
        thread::scope(|scope| {
            for number in 0..10 {
                let (order, inside) = (&order, &inside);
                let came = TURNS.numbers().next;
                scope.spawn(move || {
                    let _turn = TURNS.wait();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                    order.lock().unwrap().push(number);
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
                while TURNS.numbers().next == came {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(order.into_inner().unwrap(), (0..10).collect::<Vec<_>>());
    }
}
