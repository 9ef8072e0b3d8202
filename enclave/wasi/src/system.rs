//! What WASI needs of the world outside.

use twine_protocol::wire::{Clock, PollRecord, Status, StreamKind};

/// The world outside, as WASI needs it. Streams are 0 (input), 1 (output) and 2 (error).
pub trait System: Send {
    /// Reads into `bytes`: at least one byte, or none at the end.
    ///
    /// # Errors
    /// How it failed.
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, Status>;

    /// Writes some of `bytes`; how many.
    ///
    /// # Errors
    /// How it failed.
    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, Status>;

    /// What a stream is connected to.
    ///
    /// # Errors
    /// How it failed; [`Status::BadStream`] for one that is not open.
    fn kind(&mut self, stream: u64) -> Result<StreamKind, Status>;

    /// Waits until a record is ready or `timeout` nanoseconds (`u64::MAX`: no limit) have
    /// gone by, and fills the records in. Without records it sleeps.
    ///
    /// # Errors
    /// How it failed.
    fn poll(&mut self, records: &mut [PollRecord], timeout: u64) -> Result<(), Status>;

    /// The time of a clock in nanoseconds; the monotonic one never goes back.
    ///
    /// # Errors
    /// How it failed.
    fn time(&mut self, clock: Clock) -> Result<u64, Status>;

    /// The resolution of a clock in nanoseconds.
    ///
    /// # Errors
    /// How it failed.
    fn resolution(&mut self, clock: Clock) -> Result<u64, Status>;

    /// Lets others run.
    fn yield_now(&mut self);
}
