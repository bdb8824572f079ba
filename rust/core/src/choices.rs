//! Ascending numbers, most of them close to the one before, in half a byte each.

use crate::Result;
use crate::room::{filled, refill};
use sparsefmt_kernels::Kernels;

/// The choices of the columns from one on.
pub(crate) struct Choices {
    low: usize,
    first: u32,
    steps: Steps,
}

/// From each number to the next; or the numbers, where a step is long or goes down.
enum Steps {
    Nibbles(Vec<u8>),
    Bytes(Vec<u8>),
    Wide(Vec<u32>),
}

impl Choices {
    /// Keeps `choice`, the first of which is that of column `low`. `steps` is work space.
    pub(crate) fn new(low: usize, choice: &[u32], steps: &mut Vec<u8>) -> Result<Self> {
        refill(steps, 0, choice.len().saturating_sub(1))?;
        let mut any = 0;
        for ((step, &next), &here) in steps.iter_mut().zip(&choice[1.min(choice.len())..]).zip(choice) {
            any |= next.wrapping_sub(here);
            *step = next.wrapping_sub(here) as u8;
        }
        let steps = match any {
            0..16 => {
                let mut packed = filled(0, steps.len().div_ceil(2))?;
                Kernels::active().pack_nibbles(steps, &mut packed);
                Steps::Nibbles(packed)
            }
            16..256 => {
                let mut kept = filled(0, steps.len())?;
                kept.copy_from_slice(steps);
                Steps::Bytes(kept)
            }
            _ => {
                let mut kept = filled(0, choice.len())?;
                kept.copy_from_slice(choice);
                Steps::Wide(kept)
            }
        };
        Ok(Self { low, first: choice.first().copied().unwrap_or(0), steps })
    }

    /// The choice of a column.
    pub(crate) fn at(&self, column: usize) -> usize {
        let (count, first) = (column.saturating_sub(self.low), self.first as usize);
        match &self.steps {
            Steps::Nibbles(steps) => {
                let whole = steps[..count / 2].iter().map(|&pair| usize::from(pair & 15) + usize::from(pair >> 4));
                first + whole.sum::<usize>() + if count % 2 == 1 { usize::from(steps[count / 2] & 15) } else { 0 }
            }
            Steps::Bytes(steps) => first + steps[..count].iter().map(|&step| usize::from(step)).sum::<usize>(),
            Steps::Wide(choice) => choice[count] as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for step in [1, 15, 16, 255, 256, 70_000] {
            for len in [1, 2, 3, 8, 9, 100] {
                let numbers: Vec<u32> = (0..len).map(|i| 7 + i / 2 * step + i % 2).collect();
                let kept = Choices::new(5, &numbers, &mut Vec::new()).expect("memory");
                for (i, &number) in numbers.iter().enumerate() {
                    assert_eq!(kept.at(5 + i), number as usize, "steps of {step}, {len} numbers");
                }
            }
        }
        let falling = [9, 8, 8, 200, 3];
        let kept = Choices::new(0, &falling, &mut Vec::new()).expect("memory");
        assert!(falling.iter().enumerate().all(|(i, &number)| kept.at(i) == number as usize));
    }
}
