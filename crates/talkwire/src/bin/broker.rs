//! Starts the exchange alone.
fn main() {}
