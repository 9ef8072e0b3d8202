//! Carries the C libraries that its dependency builds, and has no code of its own.

use libsqlite3_sys as _;
