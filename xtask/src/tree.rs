//! The repository's own paths, and which of two trees is newer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders that hold what was made or installed, not what was written.
const MADE: [&str; 7] = ["target", "node_modules", "dist", ".git", "talkwire-data", "corpus", "__pycache__"];

/// The repository's root.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or_else(|| own.to_owned(), Path::to_owned)
}

/// The console's folder.
pub fn console() -> PathBuf {
    root().join("gui/frontend")
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The binary that `build` makes.
pub fn binary() -> PathBuf {
    release("talkwire")
}

/// A program of the release profile.
pub fn release(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// All files that people wrote, sorted, below `folder`.
pub fn written(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(folder, &mut files);
    files.sort();
    files
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let made = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| MADE.contains(&name));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !made => walk(&path, files),
            Ok(kind) if kind.is_file() => files.push(path),
            _ => {}
        }
    }
}

/// When the newest of these files or folders was touched; a folder counts with all that is in it, so that a removal is seen too.
pub fn newest(paths: &[PathBuf]) -> Option<SystemTime> {
    paths.iter().filter_map(|path| newest_below(path)).max()
}

fn newest_below(path: &Path) -> Option<SystemTime> {
    let meta = fs::metadata(path).ok()?;
    let own = meta.modified().ok();
    let inner = fs::read_dir(path).into_iter().flatten().flatten().filter_map(|entry| newest_below(&entry.path())).max();
    own.max(inner)
}
