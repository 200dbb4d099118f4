//! Answers on standard output.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Writes a line of the answer, and ends the process with exit code 1 when it cannot be written. A reader that has seen enough and
/// closed its end, as `head` does, is no failure.
pub fn line(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    let written = out.write_fmt(text).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("talkwire: the answer cannot be written: {error}");
        std::process::exit(1);
    }
}

/// `println!` that survives a closed reader.
macro_rules! say {
    ($($part:tt)*) => {
        $crate::cli::say::line(format_args!($($part)*))
    };
}
pub(crate) use say;
