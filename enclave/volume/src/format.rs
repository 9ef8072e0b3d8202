//! Encodes and decodes the bytes of a volume, without keys and without a storage.

pub(crate) mod attributes;
pub(crate) mod block;
pub(crate) mod bytes;
pub(crate) mod dirent;
pub(crate) mod entry;
pub(crate) mod extents;
pub(crate) mod identity;
pub(crate) mod item;
pub(crate) mod limits;
pub(crate) mod mark;
pub(crate) mod node;
pub(crate) mod numbers;
pub(crate) mod pointer;
pub(crate) mod record;
pub(crate) mod ring;
pub(crate) mod root;
pub(crate) mod slot_kind;
