//! Working space that grows with the data: where the system has none, that is an error and not the end of the process.

use crate::{Error, Result};

/// Room for `len` items, none of them made.
pub(crate) fn reserved<T>(len: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    match room.try_reserve_exact(len) {
        Ok(()) => Ok(room),
        Err(_) => Err(Error::Memory { bytes: len.saturating_mul(size_of::<T>()) }),
    }
}

/// `len` items that are `value`.
pub(crate) fn filled<T: Clone>(value: T, len: usize) -> Result<Vec<T>> {
    let mut room = reserved(len)?;
    room.resize(len, value);
    Ok(room)
}

/// Makes `room` hold `len` items; those that it did not hold are `value`.
pub(crate) fn refill<T: Clone>(room: &mut Vec<T>, value: T, len: usize) -> Result<()> {
    let more = len.saturating_sub(room.len());
    room.try_reserve(more).map_err(|_| Error::Memory { bytes: more.saturating_mul(size_of::<T>()) })?;
    room.resize(len, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_memory_holds_is_an_error() {
        assert_eq!(filled(0u8, usize::MAX), Err(Error::Memory { bytes: usize::MAX }));
        let mut room = vec![1u16];
        assert!(refill(&mut room, 2, usize::MAX).is_err() && room == [1]);
        assert_eq!(refill(&mut room, 2, 3).map(|()| room), Ok(vec![1, 2, 2]));
    }
}
