//! Waiting for something to become true, with a limit and a sentence when it does not.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Looks until it is there.
///
/// # Errors
/// When it is not there in time, with what was waited for.
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if began.elapsed() >= within {
            bail!("{what} was waited for {} s in vain", within.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_again_until_it_is_there_and_says_what_did_not_come() {
        let mut times = 0;
        let found = until("the third look", Duration::from_secs(5), || {
            times += 1;
            (times == 3).then_some(times)
        });
        assert_eq!(found.unwrap(), 3);
        let error = until::<()>("rain", Duration::ZERO, || None).unwrap_err().to_string();
        assert!(error.contains("rain"), "{error}");
    }
}
