//! What is done to a whole volume: to check it, to compact it, to change its key slots.

pub(crate) mod check;
pub(crate) mod compact;
mod key_slots;
