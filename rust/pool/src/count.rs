//! How many threads there are unless somebody says.

use std::fmt;

/// The most threads that may be asked for.
pub const MAX_THREADS: usize = 1024;

/// `SPARSEFMT_NUM_THREADS` is no number of threads.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownCount(String);

impl fmt::Display for UnknownCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SPARSEFMT_NUM_THREADS={} is no number of threads; give 1 to {MAX_THREADS}", self.0)
    }
}

impl std::error::Error for UnknownCount {}

/// What `SPARSEFMT_NUM_THREADS` says; none where it is not set or empty.
///
/// # Errors
/// It is not a number from 1 to [`MAX_THREADS`].
pub fn from_env() -> Result<Option<usize>, UnknownCount> {
    std::env::var_os("SPARSEFMT_NUM_THREADS").map_or(Ok(None), |text| parse(&text.to_string_lossy()))
}

fn parse(text: &str) -> Result<Option<usize>, UnknownCount> {
    match text.trim() {
        "" => Ok(None),
        number => match number.parse() {
            Ok(count) if (1..=MAX_THREADS).contains(&count) => Ok(Some(count)),
            _ => Err(UnknownCount(text.to_owned())),
        },
    }
}

/// The number from the environment, else that of the CPUs that the calling thread may use: those of its affinity mask,
/// and no more than the quotas of its control groups and their parents pay for (cgroup v1 and v2, both looked up by
/// [`std::thread::available_parallelism`]).
pub(crate) fn default_threads() -> usize {
    match from_env() {
        Ok(Some(count)) => count,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_threads() {
        assert_eq!((parse(""), parse(" 7 "), parse("1024")), (Ok(None), Ok(Some(7)), Ok(Some(1024))));
        for text in ["0", "-1", "1025", "two", "1.5"] {
            assert_eq!(parse(text), Err(UnknownCount(text.to_owned())));
        }
    }
}
