//! Which processors there are, and running on some of them.

use std::io;
use std::num::ParseIntError;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Who runs where. The client has the last processor, so it shares one only with a server on all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    allowed: Vec<usize>,
}

impl Places {
    /// # Errors
    ///
    /// When the kernel does not say, or fewer than two processors are allowed: a client on the
    /// server's processor would be measured too.
    pub fn new() -> io::Result<Places> {
        let set = sched_getaffinity(None)?;
        let all = 0..CpuSet::MAX_CPU;
        let allowed: Vec<usize> = all.filter(|&processor| set.is_set(processor)).collect();
        if allowed.len() < 2 {
            let problem = "two processors are needed, one for the server and one for the client";
            return Err(io::Error::other(problem));
        }
        Ok(Places { allowed })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.allowed.len()
    }

    /// Those of a server that wants `count` of them, or all.
    #[must_use]
    pub fn server(&self, count: usize) -> &[usize] {
        &self.allowed[..count.min(self.allowed.len())]
    }

    /// That of the client.
    #[must_use]
    pub fn client(&self) -> usize {
        self.allowed[self.allowed.len() - 1]
    }
}

/// Runs the calling thread, and what it starts from now on, on `processors` only.
///
/// # Errors
///
/// When none of them is allowed.
pub fn pin(processors: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &processor in processors {
        if processor >= CpuSet::MAX_CPU {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        set.set(processor);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// The numbers in `0,1`.
///
/// # Errors
///
/// When one of them is none.
pub fn processors(text: &str) -> Result<Vec<usize>, ParseIntError> {
    text.split(',').map(str::parse).collect()
}

/// `0,1` of numbers.
#[must_use]
pub fn text(processors: &[usize]) -> String {
    let texts: Vec<String> = processors.iter().map(usize::to_string).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_two_of_two_processors_shares_one_with_the_client() {
        let places = Places {
            allowed: vec![3, 7],
        };
        assert_eq!(places.server(1), [3]);
        assert_eq!(places.client(), 7);
        assert_eq!(places.server(2), [3, 7]);
        assert_eq!(processors(&text(places.server(2))), Ok(vec![3, 7]));
    }
}
