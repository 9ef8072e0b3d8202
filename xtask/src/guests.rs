//! Example programs: built from source or fetched from package registries.
