//! What the values of entries are, and which of them are listed.

use super::fault;
use super::number::Line;
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

/// Which half of the matrix is listed, and what follows for the other one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Symmetry {
    General,
    Symmetric,
    Skew,
    Hermitian,
}

/// The symmetry of a code.
pub(super) fn symmetry(code: usize) -> Result<Symmetry> {
    const ALL: [Symmetry; 4] = [Symmetry::General, Symmetry::Symmetric, Symmetry::Skew, Symmetry::Hermitian];
    ALL.get(code).copied().ok_or(Error::Parameter { name: "symmetry", got: code })
}

impl Field {
    /// Items of 8 bytes per value.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Pattern => 0,
            Self::Complex => 2,
            _ => 1,
        }
    }

    /// Reads a value into `out`.
    #[inline]
    pub(super) fn read(self, line: &mut Line<'_>, symmetry: Symmetry, out: &mut [u64]) -> std::result::Result<(), i64> {
        let wide = |fits: bool| if fits { Ok(()) } else { Err(fault::WIDE) };
        match self {
            Self::Pattern => {}
            Self::Signed => {
                let value = line.whole()?;
                wide(i64::try_from(value).is_ok() && !(symmetry == Symmetry::Skew && value == i128::from(i64::MIN)))?;
                out[0] = value as u64;
            }
            Self::Unsigned => {
                let value = line.whole()?;
                wide(u64::try_from(value).is_ok())?;
                out[0] = value as u64;
            }
            Self::Real => out[0] = line.real()?.to_bits(),
            Self::Complex => {
                out[0] = line.real()?.to_bits();
                out[1] = line.real()?.to_bits();
            }
        }
        Ok(())
    }
}
