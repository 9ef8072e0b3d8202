//! Carries the C libraries that its dependency builds; there is nothing else in it.

use libsqlite3_sys as _;
