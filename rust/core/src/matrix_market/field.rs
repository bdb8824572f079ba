//! What the values of entries are.

use crate::error::{Error, Result};

/// What an entry's value is: [`Field::Pattern`] none, real and whole numbers one item of 8 bytes, complex two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Pattern,
    Signed,
    Unsigned,
    Real,
    Complex,
}

/// The field of a code.
pub(super) fn field(code: usize) -> Result<Field> {
    const ALL: [Field; 5] = [Field::Pattern, Field::Signed, Field::Unsigned, Field::Real, Field::Complex];
    ALL.get(code).copied().ok_or(Error::Parameter { name: "field", got: code })
}
