//! Lists the built console, so that it becomes part of the binary; a page that says how to build it stands in when there is none.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let dist = root.join("../../gui/frontend/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    wait_for_the_console();
    let mut files = Vec::new();
    collect(&dist, &mut files);
    files.sort();
    let mut table = String::from("pub static FILES: &[(&str, &[u8])] = &[\n");
    for file in &files {
        let name = file.strip_prefix(&dist).expect("it was found there").to_string_lossy().replace('\\', "/");
        let _ = writeln!(table, "    ({name:?}, include_bytes!({:?})),", file.display().to_string());
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("console_files.rs"), table).expect("OUT_DIR can be written");
}

/// `cargo xtask build` makes the console while our dependencies are compiled; the file that it names is there as long as that takes.
fn wait_for_the_console() {
    let Some(pending) = env::var_os("TALKWIRE_CONSOLE_PENDING").map(PathBuf::from) else { return };
    let began = Instant::now();
    while pending.exists() && began.elapsed() < Duration::from_secs(600) {
        thread::sleep(Duration::from_millis(100));
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
