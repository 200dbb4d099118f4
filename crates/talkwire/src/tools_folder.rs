//! The folder with tool entries of the house's own: `DIR/tools/*.toml`, beside the catalogue that is built in.

use crate::config::ConfigError;
use std::path::{Path, PathBuf};
use talkwire_agent::Mind;
use talkwire_core::Catalogue;

/// Most bytes of one file; the built-in ones have less than a tenth of it.
const FILE_BYTES: u64 = 1024 * 1024;

/// The built-in catalogue, and what the folder adds to it.
///
/// # Errors
/// When the folder or a file in it cannot be read or used: with file, line and what to do.
pub fn catalogue(folder: Option<&Path>) -> Result<Catalogue, ConfigError> {
    let builtin = Catalogue::builtin();
    let Some(folder) = folder else { return Ok(builtin) };
    let refuse = |path: &Path, why: String| ConfigError::Catalog { path: path.to_owned(), why };
    let tools = folder.join("tools");
    let listed =
        std::fs::read_dir(&tools).map_err(|error| refuse(&tools, format!("cannot be read: {error}; put your tool files into a folder `tools` in it")))?;
    let mut paths: Vec<PathBuf> =
        listed.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    paths.sort();
    if paths.is_empty() {
        return Err(refuse(&tools, "has no file that ends in .toml; put your tool files there, or start without --catalog".into()));
    }
    let mut texts = Vec::new();
    for path in &paths {
        if std::fs::metadata(path).is_ok_and(|data| data.len() > FILE_BYTES) {
            return Err(refuse(path, format!("has more than {FILE_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| refuse(path, format!("cannot be read: {error}")))?;
        texts.push((path.display().to_string(), text));
    }
    let named = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let whole =
        builtin.with(named).map_err(|error| refuse(&tools, format!("cannot be used; mend the file or take it away\n{}", error.to_string().trim_end())))?;
    if let Err(error) = Mind::fits(&whole) {
        // Narrowing is the house's right; that a diagnosis will miss something should be known.
        tracing::warn!(%error, "the catalogue folder {} no longer allows what a diagnosis asks for; that step will be refused", tools.display());
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_folder_there_are_the_built_in_tools() {
        assert_eq!(catalogue(None).unwrap().tools().count(), Catalogue::builtin().tools().count());
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let said = || catalogue(Some(dir.path())).unwrap_err().to_string();
        assert!(said().contains("folder `tools`"), "{}", said());
        std::fs::create_dir(dir.path().join("tools")).unwrap();
        assert!(said().contains(".toml"), "{}", said());
        std::fs::write(dir.path().join("tools/fan.toml"), "[[tool]]\nop = 5\n").unwrap();
        assert!(said().contains("fan.toml") && said().contains("line 2"), "{}", said());
    }
}
