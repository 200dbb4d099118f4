//! The `talkwire` command.
fn main() {}
