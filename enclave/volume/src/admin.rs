//! Administration of a volume: checking, compacting, and changing key slots.

pub(crate) mod check;
pub(crate) mod compact;
mod key_slots;
