//! Files that hold a secret: others on the machine may not read them.

use super::SettingsError;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Refuses a file that every user of the machine may read. A group may: that is how a service gets at its password.
pub(super) fn check<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<(), SettingsError> {
    for path in paths {
        let data = std::fs::metadata(path).map_err(|source| SettingsError::Read { path: path.clone(), source })?;
        let mode = data.mode() & 0o7777;
        if data.is_file() && mode & 0o004 != 0 {
            return Err(SettingsError::Open { path: path.clone(), mode });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_that_everybody_may_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "x").unwrap();
        for (mode, fits) in [(0o644, false), (0o604, false), (0o640, true), (0o600, true), (0o400, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let checked = check([&path].into_iter());
            assert_eq!(checked.is_ok(), fits, "{mode:o}");
            if let Err(error) = checked {
                assert!(error.to_string().contains("chmod 0600"), "{error}");
            }
        }
    }
}
