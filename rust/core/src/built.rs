//! Tables that are built when they are first wanted.

use std::sync::OnceLock;

/// The table in `cell`, built if need be.
///
/// Not within the lock: a process that forks meanwhile hands on a lock that nobody will ever open, and the longer it is
/// held the more likely that is. Two threads may build it, and one is used.
pub(crate) fn built<T>(cell: &'static OnceLock<T>, build: impl FnOnce() -> T) -> &'static T {
    if let Some(found) = cell.get() {
        return found;
    }
    let made = build();
    cell.get_or_init(|| made)
}
