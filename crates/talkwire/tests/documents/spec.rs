//! The specification's documents and the programs printed in them.

use std::fs;
use std::path::{Path, PathBuf};

/// A document, or why it cannot be read.
pub fn document(name: &str) -> Result<String, String> {
    let path = folder().join(name);
    fs::read_to_string(&path).map_err(|error| format!("{} cannot be read ({error}); name the specification's folder in TALKWIRE_SPEC", path.display()))
}

fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec");
    std::env::var_os("TALKWIRE_SPEC").map_or_else(beside, PathBuf::from)
}

/// All code blocks of a language, in their order.
pub fn blocks(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    document.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

/// The first code block of a language after a heading or sentence.
pub fn block_after(document: &str, heading: &str, language: &str) -> String {
    let (_, rest) = document.split_once(heading).unwrap_or_else(|| panic!("the document has no {heading:?}"));
    blocks(rest, language).into_iter().next().unwrap_or_else(|| panic!("no {language} block follows {heading:?}"))
}
