//! Wakes a thread that waits in the host for sockets.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes one thread. That thread arms it, looks at what others may change, and then waits for sockets
/// and for the host's waker. Others change something, and then wake it. So no change is missed, and
/// the host is called only if somebody waits.
pub struct Pulse {
    wake: Box<dyn Fn() + Send + Sync>,
    armed: AtomicBool,
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("armed", &self.armed).finish_non_exhaustive()
    }
}

impl Pulse {
    /// Makes one that ends a wait by this call.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Pulse { wake: Box::new(wake), armed: AtomicBool::new(false) }
    }

    /// Has the next change end the wait that follows.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Has changes call the host no more.
    pub fn disarm(&self) {
        self.armed.store(false, Ordering::SeqCst);
    }

    /// Ends the wait, if there is one.
    pub fn wake(&self) {
        if self.armed.swap(false, Ordering::SeqCst) {
            (self.wake)();
        }
    }
}
