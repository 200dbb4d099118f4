//! What must be installed before anything can be built, and what to say when it is not.

use crate::process;
use anyhow::{Result, bail};

/// The oldest Node that the console's tools run on.
const NODE: (u32, u32) = (20, 19);

/// A C compiler, for the database that is built in.
pub fn c_compiler() -> Result<()> {
    let named = std::env::var("CC").ok();
    if named.into_iter().chain(["cc".into(), "gcc".into(), "clang".into()]).any(|name| process::says(&name, "--version").is_some()) {
        return Ok(());
    }
    bail!("a C compiler is missing (SQLite is compiled into the binary); install one: `apt install gcc`, or `xcode-select --install` on a Mac")
}

/// Node and npm, for the console.
pub fn node() -> Result<()> {
    let advice = format!("install Node {}.{} or newer from https://nodejs.org or with your package manager", NODE.0, NODE.1);
    let Some(version) = process::says("node", "--version") else { bail!("node is missing (the console is built with it); {advice}") };
    if parse_version(&version).is_none_or(|found| found < NODE) {
        bail!("node is {version}, too old to build the console; {advice}");
    }
    if process::says("npm", "--version").is_none() {
        bail!("npm is missing (it comes with Node, or as the package `npm` in Debian); {advice}");
    }
    Ok(())
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse_version("v20.19.5").unwrap() >= NODE);
        assert!(parse_version("v100.0.0").unwrap() >= NODE);
        assert!(parse_version("v20.9.0").unwrap() < NODE);
        assert_eq!(parse_version("what"), None);
    }
}
